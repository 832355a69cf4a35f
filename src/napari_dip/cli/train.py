"""The verb ``train``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from napari_dip.cli.flags import (
    FILES,
    Axes,
    Device,
    Json,
    Quiet,
    build_settings,
    choice,
    flag,
    with_settings,
)
from napari_dip.cli.output import Output
from napari_dip.methods.registry import TRAINED
from napari_dip.settings import Trained


@Parameter(name="*")
@dataclass(frozen=True)
class TrainOptions:
    """The flags of the verb, beside its data and its settings."""

    out: Annotated[
        Path, flag("The model to write, a .safetensors file.", "--out", "-o", group=FILES)
    ]
    targets: Annotated[
        list[Path],
        flag(
            "Second captures (n2n) or clean images (supervised), as many as images, sorted alike.",
            group=FILES,
        ),
    ] = field(default_factory=list)
    samples: Annotated[
        list[str],
        flag(
            "For FMD: beginnings of the samples' names, or all; see the docs for what is left out.",
            group=FILES,
        ),
    ] = field(default_factory=list)
    preview: Annotated[
        Path | None,
        flag(
            "An image to judge by while it trains; by default the middle of the first one.",
            group=FILES,
        ),
    ] = None
    axes: Axes = None
    description: Annotated[
        str,
        flag("A text for the model file: microscope, stain, who trained it.", group=FILES),
    ] = ""
    licence: Annotated[str, flag("Under which terms the model may be used.", group=FILES)] = ""
    overwrite: Annotated[
        bool, flag("Replace the model that is there, if there is one.", group=FILES)
    ] = False
    device: Device = "auto"
    checkpoint_every: Annotated[float, flag("Seconds between two checkpoints.")] = 60.0
    resume: Annotated[bool, flag("Go on from the checkpoint beside OUT.")] = False
    json: Json = False
    quiet: Quiet = False


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
