"""Checks of the place where a file is to be written, before any work starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from napari_dip.files.registry import folder_format, format_of_name

ROOM = 1 << 20  # bytes of a file beside its pixels, at most


def check_target(target: Path, overwrite: bool) -> None:
    """Refuse a name under which no file can or may be written."""
    try:
        image = folder_format(target)
        if target.is_dir() and (image is None or image is not format_of_name(target)):
            raise IsADirectoryError(f"{target} is a folder; give the name of a file in it.")
        if target.exists() and not overwrite:
            raise FileExistsError(
                f"{target} exists already; allow overwriting (overwrite=True) or choose another "
                "name."
            )
        if not target.absolute().parent.is_dir():
            raise FileNotFoundError(
                f"The folder {target.parent} does not exist; create it or choose another one."
            )
    except OSError as error:
        if error.errno is None:  # ours
            raise
        start = str(target)[:60]
        raise OSError(
            f"{start}... cannot be looked up ({error.strerror}); choose another, shorter name."
        ) from None


def check_room(target: Path, needed: int, why: str = "") -> None:
    """Refuse what the disk has no room for; `why` is said after the number of bytes."""
    folder, free = _free(target)
    if needed + ROOM > free:
        raise OSError(
            f"{target.name} needs {needed:,} bytes{why}, and the disk of {folder} has {free:,} "
            "left; make room or choose another disk."
        )


def has_room(target: Path, needed: int) -> bool:
    """Return whether the disk has room for so many bytes more."""
    return needed + ROOM <= _free(target)[1]


def _free(target: Path) -> tuple[Path, int]:
    """Return the folder of a file, or the nearest one above that is there, and its free bytes."""
    folder = target.absolute().parent
    while not folder.exists():
        folder = folder.parent
    return folder, shutil.disk_usage(folder).free
