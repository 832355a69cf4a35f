"""The images that a call means: patterns of names, and several images of one file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_dip.files.read_write import list_series
from napari_dip.files.registry import format_of
from napari_dip.images.part import find_places

ALL = "all"  # the word for every image of a file


def resolve_pattern(path: Path) -> list[Path]:
    """Return a file or folder itself, or those that fit a pattern, sorted.

    Shells on Windows leave patterns to the program, and any leaves it those that are quoted.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    """
    if path.exists():
        return [path]
    if not any(letter in str(path) for letter in "*?["):
        raise FileNotFoundError(f"There is no file or folder {path}; check the name.")
    root = Path(path.anchor) if path.is_absolute() else Path()
    found = sorted(root.glob(str(path.relative_to(path.anchor))))
    if not found:
        raise FileNotFoundError(f"No file fits the pattern {path}.")
    return found


def files_of_image(path: Path) -> list[Path]:
    """Return the files that hold the image of a file, the one to be read first.

    A file that cannot be looked into is alone; it says so when it is read.
    """
    record = format_of(path)
    if record is None or record.files_of is None:
        return [path]
    try:
        return record.files_of(path)
    except (OSError, ValueError):
        return [path]


def one_of_each_image(paths: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Leave out files of images that others stand for; return (as given, to be read) of the rest.

    An OME-TIFF may lie in many files, each of which gives the whole image.
    """
    kept, seen = [], set[Path]()
    for path in paths:
        files = files_of_image(path)
        if len(files) > 1 and files[0].resolve() in seen:
            continue
        seen.add(files[0].resolve())
        kept.append((path, files[0]))
    return kept


def names_several(wanted: int | str | None) -> bool:
    """Return whether more than one image of a file may be meant."""
    text = str(wanted)
    return text == ALL or "," in text or ":" in text


def series_numbers(path: Path, wanted: int | str | None) -> list[int] | None:
    """Return which images of a file are wanted where several may be; None where one is named.

    None also for a file that cannot be looked into, or lacks one of them: it says so when it is
    read.
    """
    if not names_several(wanted):
        return None
    text = str(wanted)
    try:
        names = [one.name for one in list_series(path)]
        places = find_places(":" if text == ALL else text, len(names), "series", names, path.name)
    except (OSError, ValueError):
        return None
    return [places] if isinstance(places, int) else list(places)
