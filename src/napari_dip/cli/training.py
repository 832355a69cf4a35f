"""The verb ``train``: how it is called.

(No ``from __future__ import annotations``: cyclopts reads the annotations, and many are made at run time.)
"""

from collections.abc import Callable
from pathlib import Path

from napari_dip.cli.flags import AXES, OVERWRITE, QUIET, annotated, choice, common, flag, settings_of
from napari_dip.cli.talk import Talk
from napari_dip.settings import TRAINED, Trained

DATA = flag(list[Path], "Noisy images, folders of them, or patterns; the FMD data set is read by name.")
MODEL_OUT = flag(Path, "The model to write, a .safetensors file.", "--out", "-o")
TARGETS = flag(list[Path], "Second captures (n2n) or clean images (supervised), as many as images, sorted alike.")
SAMPLES = flag(list[str], "For FMD: beginnings of the samples' names, or all; see the docs for what is left out.")
PREVIEW = flag(Path | None, "An image to judge by while it trains; by default the middle of the first one.")
CHECKPOINT_EVERY = flag(float, "Seconds between two checkpoints.")
RESUME = flag(bool, "Go on from the checkpoint beside OUT.")
DESCRIPTION = flag(str, "A text for the model file: microscope, stain, who trained it.")
LICENCE = flag(str, "Under which terms the model may be used.")


def command(method: type[Trained]) -> Callable[..., int]:
    """Make the verb ``train`` with the flags of one method."""

    def train(
        data: list[Path],
        /,
        *,
        out: Path,
        method_name: str = method.method,
        preset: str = next(iter(method.presets)),
        targets: list[Path] = [],  # noqa: B006 - only read
        samples: list[str] = [],  # noqa: B006
        preview: Path | None = None,
        checkpoint_every: float = 60.0,
        resume: bool = False,
        description: str = "",
        licence: str = "",
        device: str = "auto",
        axes: str | None = None,
        overwrite: bool = False,
        json: bool = False,
        quiet: bool = False,
        how: Trained | None = None,
    ) -> int:
        """Train a denoiser on noisy images, to be applied with `denoise --model`.

        Ctrl-C stops and keeps: the model so far is written, and a checkpoint that --resume goes on from.
        """
        from napari_dip.cli.train import Training, run

        task = Training(
            settings=settings_of(method, preset, how),
            data=data,
            targets=targets,
            preview=preview,
            checkpoint_every=checkpoint_every,
            samples=samples,
            axes=axes,
            resume=resume,
            device=device,
            description=description,
            licence=licence,
        )
        return run(task, out, Talk(json, quiet), overwrite=overwrite)

    names = "; ".join(f"{name}: {cls.title}" for name, cls in TRAINED.items())
    return annotated(
        train,
        data=DATA,
        out=MODEL_OUT,
        method_name=flag(choice(TRAINED), f"How it is trained: {names}.", "--method"),
        targets=TARGETS,
        samples=SAMPLES,
        preview=PREVIEW,
        checkpoint_every=CHECKPOINT_EVERY,
        resume=RESUME,
        description=DESCRIPTION,
        licence=LICENCE,
        axes=AXES,
        overwrite=OVERWRITE,
        quiet=QUIET,
        **common(method),
    )
