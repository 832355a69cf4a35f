"""The flags of ``train`` beside its data and its settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_dip.cli.flags import (
    FILES,
    Axes,
    Device,
    Json,
    Quiet,
    flag,
    several,
)
from napari_dip.cli.part_options import NO_PART, PartOptions


@Parameter(name="*")
@dataclass(frozen=True)
class TrainOptions:
    """The flags of the verb, beside its data and its settings."""

    out: Annotated[
        Path, flag("The model to write, a .safetensors file.", "--out", "-o", group=FILES)
    ]
    targets: Annotated[
        list[Path],
        several(
            "Second captures (n2n) or clean images (supervised), as many as images, sorted alike.",
        ),
    ] = field(default_factory=list)
    samples: Annotated[
        list[str],
        several(
            "For FMD: beginnings of the samples' names, or all; see the docs for what is left out.",
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
    part_options: PartOptions = NO_PART
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
