"""Flags and how they are made. A setting's flag is read off its `Settings`; the others stand here.

(No ``from __future__ import annotations``: cyclopts reads the annotations, and many are made at run time.)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Group, Parameter

from napari_dip.errors import UsageError
from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings

Chosen = TypeVar("Chosen", bound=Settings)
Kind = TypeVar("Kind")


# The parts of a verb's help, in this order; the settings of the method stand between the second and the third.
FILES = Group("Input and output", sort_key=1)
WAY = Group("How to work", sort_key=2)
SETTINGS = 3
MANY = Group("Many files, many machines", sort_key=4)
TOLD = Group("What is said", sort_key=5)


def flag(kind: Any, text: str, *names: str, group: Group = WAY) -> Any:
    """Return the annotation of one flag; a switch has no ``--no-`` twin, and a list none that empties it."""
    return Annotated[kind, Parameter(name=names or None, help=text, negative="", group=group)]


INPUTS = flag(list[Path], "Images (TIFF, PNG, JPEG, Zarr) or folders of them.", group=FILES)
OUT = flag(
    Path,
    "A file for one image; a folder for several or for a folder, whose tree is kept.",
    "--out",
    "-o",
    group=FILES,
)
AXES = flag(
    str | None,
    "A letter of TZCYX for each axis, such as ZYX; by default read off the file.",
    group=FILES,
)
DTYPE = flag(
    Literal["float32", "same"],
    "Type of the values written; `same` rounds and clips to the input's.",
    group=FILES,
)
STD = flag(
    bool,
    "Write a standard deviation for every pixel beside each output, as OUT_std.tif: a map of where the answer is less "
    "certain; on eight real crops the error was 0.9 to 1.4 times as large on average, on an "
    "empty one twice. So does --uncertainty.",
    "--std",
    group=FILES,
)
OVERWRITE = flag(
    bool,
    "Replace files that exist. Without it outputs in a folder that were made from the same content with the same "
    "settings are left as done, so that a run that was cut off goes on where it stopped.",
    group=FILES,
)
DRY_RUN = flag(bool, "Say what would be done and how large it gets, and write nothing.", group=MANY)
SHARD = flag(
    str | None,
    "Do every n-th file from the i-th on, such as 2/8: for several machines or a queue's array.",
    group=MANY,
)
PATTERN = flag(
    str,
    "Which images of a folder, such as `*_raw.tif`; `day1/*.tif` asks for the folder too.",
    group=MANY,
)
RECURSIVE = Annotated[
    bool, Parameter(help="Whether the folders in a folder are searched too.", group=MANY)
]
WORKERS = flag(
    int | None,
    "Do so many files at once, or pieces of a large stack, each in a process of its own here; needs the extra "
    "distributed.",
    group=MANY,
)
SCHEDULER = flag(
    str | None,
    "Have the workers of a dask scheduler do the files, such as tcp://host:8786; they must see the same paths.",
    group=MANY,
)
CONFIG = flag(
    Path | None,
    "A file of settings, TOML, each line a flag of this verb without its dashes: seed = 4. Flags given here win.",
)
SAVE_CONFIG = flag(
    Path | None,
    "Write this call's settings as such a file (.toml), unless with --dry-run; the dock Batch loads it.",
)
DEVICE = flag(
    str, "auto, cpu, cuda:0 (or another number) or mps; auto takes the first GPU, else the CPU."
)
JSON = flag(
    bool, "Print one JSON object last on stdout; other text goes to stderr.", "--json", group=TOLD
)
QUIET = flag(bool, "Show no progress.", "--quiet", "-q", group=TOLD)
DEMO_OUT = flag(Path, "Folder for the TIFF and the picture.", "--out", "-o", group=FILES)
CLEAN = flag(Path, "The ground truth, or the best there is.", group=FILES)
RESTORED = flag(Path, "The image to judge, of the same shape.", group=FILES)
DATA_RANGE = flag(
    float | None,
    "Span of possible values, in gray levels; by default that of the clean image's integer type.",
)
AFFINE = flag(bool, "First match gain and offset to the clean image by least squares.")
FILE = flag(Path, "An image file, or a model.", group=FILES)
MODEL = flag(
    Path | None,
    "A trained model (.safetensors) to apply instead of a fit; it brings its own settings.",
)


def settings_of(method: type[Chosen], preset: str, given: Chosen | None) -> Chosen:
    """Build the settings: the preset's, with the flags that were given on top.

    Raises
    ------
    UsageError
        When they do not go together.
    """
    changes = {name: getattr(given, name) for name in given.model_fields_set} if given else {}
    try:
        return method.preset(preset, **changes)
    except ValueError as error:  # flags that are fine one by one but not together
        raise UsageError(str(error)) from error


def common(method: type[Settings]) -> dict[str, Any]:
    """Return the flags that the verbs which fit share: preset, device, every setting of the method."""
    optional: Any = method | None
    settings = Annotated[
        optional, Parameter(name="*", group=Group(f"Settings of {method.title}", sort_key=SETTINGS))
    ]
    preset = flag(choice(method.presets), _presets_help(method))
    return {"preset": preset, "device": DEVICE, "json": JSON, "how": settings}


def annotated(verb: Callable[..., int], **flags: Any) -> Callable[..., int]:
    """Put the flags in the place of the plain types, which are there for the type checker."""
    verb.__annotations__.update(flags)
    return verb


def flagged(**flags: Any) -> Callable[[type[Kind]], type[Kind]]:
    """Put the flags in the place of the plain types of a class whose fields are flags."""

    def change(cls: type[Kind]) -> type[Kind]:
        cls.__annotations__.update(flags)
        return cls

    return change


def choice(names: Any) -> Any:
    return Literal[tuple(names)]


def methods_help() -> str:
    return (
        "What denoises: "
        + "; ".join(f"{name}: {method.settings.title}" for name, method in METHODS.items())
        + "."
    )


def _presets_help(method: type[Settings]) -> str:
    """Say what each preset changes, so that the help shows the values that will be used."""
    texts = []
    for name, values in method.presets.items():
        changes = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in values.items())
        texts.append(f"{name} ({changes or 'the defaults below'})")
    return "Where the settings start: " + "; ".join(texts) + ". Flags given beside it win."
