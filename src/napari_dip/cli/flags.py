"""Flags and how they are made. A setting's flag is read off its `Settings`.

(No ``from __future__ import annotations`` where verbs stand: cyclopts reads the annotations, and
some are made at run time.)
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Group, Parameter

from napari_dip.errors import UsageError
from napari_dip.settings import Settings

Chosen = TypeVar("Chosen", bound=Settings)

# The parts of a verb's help, in this order; the settings of the method stand third.
FILES = Group("Input and output", sort_key=1)
WAY = Group("How to work", sort_key=2)
SETTINGS = 3
MANY = Group("Many files, many machines", sort_key=4)
OUTPUT = Group("What is said", sort_key=5)


def flag(text: str, *names: str, group: Group = WAY) -> Parameter:
    """Return one flag; a switch has no ``--no-`` twin, and a list none that empties it."""
    return Parameter(name=names or None, help=text, negative="", group=group)


def several(text: str) -> Parameter:
    """Return a flag that takes all words up to the next one, or is said again for each."""
    return Parameter(help=text, negative="", group=FILES, consume_multiple=True)


Inputs = Annotated[
    list[Path], flag("Images (TIFF, PNG, JPEG, Zarr) or folders of them.", group=FILES)
]
Axes = Annotated[
    str | None,
    flag(
        "A letter of TZCYX for each axis, such as ZYX; by default read off the file.", group=FILES
    ),
]
Device = Annotated[
    str,
    flag("auto, cpu, cuda:0 (or another number) or mps; auto takes the first GPU, else the CPU."),
]
Json = Annotated[
    bool,
    flag(
        "Print one JSON object last on stdout; other text goes to stderr.", "--json", group=OUTPUT
    ),
]
Quiet = Annotated[bool, flag("Show no progress.", "--quiet", "-q", group=OUTPUT)]


def build_settings(method: type[Chosen], preset: str, given: Chosen | None) -> Chosen:
    """Return the settings: the preset's, with the flags that were given on top.

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


def with_settings(
    verb: Callable[..., int], method: type[Settings], **flags: Any
) -> Callable[..., int]:
    """Make the parameters ``preset`` and ``how`` of a verb the flags of a method; add others."""
    optional: Any = method | None
    group = Group(f"Settings of {method.title}", sort_key=SETTINGS)
    verb.__annotations__ |= {
        "preset": Annotated[choice(method.presets), flag(_presets_help(method))],
        "how": Annotated[optional, Parameter(name="*", group=group)],
        **flags,
    }
    return verb


def choice(names: Iterable[str]) -> Any:
    """Return the type of one of these names."""
    return Literal[tuple(names)]


def _presets_help(method: type[Settings]) -> str:
    """Say what each preset changes, so that the help shows the values that will be used."""
    texts = []
    for name, values in method.presets.items():
        changes = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in values.items())
        texts.append(f"{name} ({changes or 'the defaults below'})")
    return "Where the settings start: " + "; ".join(texts) + ". Flags given beside it win."
