"""The verb ``train``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from napari_dip.cli.flags import (
    FILES,
    build_settings,
    choice,
    flag,
    with_settings,
)
from napari_dip.cli.output import Output
from napari_dip.cli.train_options import TrainOptions
from napari_dip.methods.registry import TRAINED
from napari_dip.settings import Trained


def train_verb(method: type[Trained]) -> Callable[..., int]:
    """Return the verb with the flags of one method."""

    def train(
        data: Annotated[
            list[Path],
            flag(
                "Noisy images, folders of them, or patterns; the FMD data set is read by name.",
                group=FILES,
            ),
        ],
        /,
        *,
        options: TrainOptions,
        method_name: str = method.method,
        preset: str = next(iter(method.presets)),
        how: Trained | None = None,
    ) -> int:
        """Train a denoiser on noisy images, to be applied with `denoise --model`.

        Ctrl-C stops and keeps: the model so far is written, and a checkpoint that --resume goes on
        from.
        """
        from napari_dip.cli.run_training import run

        settings = build_settings(method, preset, how)
        return run(data, settings, options, Output(options.json, options.quiet))

    titles = "; ".join(f"{name}: {record.settings.title}" for name, record in TRAINED.items())
    names: Any = Annotated[choice(TRAINED), flag(f"How it is trained: {titles}.", "--method")]
    return with_settings(train, method, method_name=names)
