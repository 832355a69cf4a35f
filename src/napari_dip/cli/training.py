"""The verb ``train``: how it is called.

(No ``from __future__ import annotations``: cyclopts reads the annotations, and many are made at run time.)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cyclopts import Parameter

from napari_dip.cli.flags import (
    AXES,
    DEVICE,
    FILES,
    JSON,
    QUIET,
    annotated,
    choice,
    common,
    flag,
    flagged,
    settings_of,
)
from napari_dip.cli.output import Talk
from napari_dip.methods.registry import TRAINED
from napari_dip.settings import Trained

DATA = flag(
    list[Path],
    "Noisy images, folders of them, or patterns.",
    group=FILES,
)
MODEL_OUT = flag(Path, "The model to write, a .safetensors file.", "--out", "-o", group=FILES)
TARGETS = flag(
    list[Path],
    "Second captures (n2n) or clean images (supervised), as many as images, sorted alike.",
    group=FILES,
)
SAMPLES = flag(
    list[str],
    "For a folder of the FMD data set, whose noisy captures are taken then: beginnings of its "
    "samples' names, or all; field 19 is left out.",
    group=FILES,
)
PREVIEW = flag(
    Path | None,
    "An image to judge by while it trains; by default the middle of the first one.",
    group=FILES,
)
CHECKPOINT_EVERY = flag(float, "Seconds between two checkpoints.")
RESUME = flag(bool, "Go on from the checkpoint beside OUT.")
DESCRIPTION = flag(
    str, "A text for the model file: microscope, stain, who trained it.", group=FILES
)
REPLACE = flag(bool, "Replace the model that is there, if there is one.", group=FILES)
LICENCE = flag(str, "Under which terms the model may be used.", group=FILES)


@Parameter(name="*")
@dataclass(frozen=True)
@flagged(
    out=MODEL_OUT,
    targets=TARGETS,
    samples=SAMPLES,
    preview=PREVIEW,
    axes=AXES,
    description=DESCRIPTION,
    licence=LICENCE,
    overwrite=REPLACE,
    device=DEVICE,
    checkpoint_every=CHECKPOINT_EVERY,
    resume=RESUME,
    json=JSON,
    quiet=QUIET,
)
class Call:
    """The flags of the verb, beside its data and its settings."""

    out: Path
    targets: list[Path] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    preview: Path | None = None
    axes: str | None = None
    description: str = ""
    licence: str = ""
    overwrite: bool = False
    device: str = "auto"
    checkpoint_every: float = 60.0
    resume: bool = False
    json: bool = False
    quiet: bool = False


def command(method: type[Trained]) -> Callable[..., int]:
    """Make the verb ``train`` with the flags of one method."""

    def train(
        data: list[Path],
        /,
        *,
        call: Call,
        method_name: str = method.method,
        preset: str = next(iter(method.presets)),
        how: Trained | None = None,
    ) -> int:
        """Train a denoiser on noisy images, to be applied with `denoise --model`.

        Ctrl-C stops and keeps: the model so far is written, and a checkpoint that --resume goes on from.
        """
        from napari_dip.cli.torchrun import run
        from napari_dip.cli.train import Training

        given = {
            name: getattr(call, name)
            for name in Training.__dataclass_fields__
            if hasattr(call, name)
        }
        task = Training(settings_of(method, preset, how), data, **given)
        return run(task, call.out, Talk(call.json, call.quiet), overwrite=call.overwrite)

    names = "; ".join(f"{name}: {method.settings.title}" for name, method in TRAINED.items())
    shared = common(method)
    return annotated(
        train,
        data=DATA,
        method_name=flag(choice(TRAINED), f"How it is trained: {names}.", "--method"),
        preset=shared["preset"],
        how=shared["how"],
    )
