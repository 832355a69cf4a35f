"""Where a file is to be written: whether it may, whether there is room, and why it was not."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from napari_dip.files.ome_zarr import is_zarr

ROOM = 1 << 20  # bytes of a file beside its pixels, at most
NO_SPACE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    None,
)  # numpy reports a short write without a number


def check_place(target: Path, overwrite: bool) -> None:
    """Refuse a name under which no file can or may be written."""
    try:
        if target.is_dir() and not (target.suffix.lower() == ".zarr" and is_zarr(target)):
            raise IsADirectoryError(f"{target} is a folder; give the name of a file in it.")
        if target.exists() and not overwrite:
            raise FileExistsError(
                f"{target} exists already; allow overwriting (overwrite=True) or choose another name."
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
    folder = target.absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed + ROOM > free:
        raise OSError(
            f"{target.name} needs {needed:,} bytes{why}, and the disk of {folder} has {free:,} left; make room or "
            "choose another disk."
        )


def why_not_written(error: OSError, target: Path, needed: int) -> str:
    """Say in a sentence why a file of so many bytes was not written."""
    if error.errno in NO_SPACE:
        free = shutil.disk_usage(target.absolute().parent).free
        return (
            f"{target} was not written: it needs {needed:,} bytes and the disk has {free:,} left "
            "(or a limit was reached); make room or choose another disk."
        )
    return f"{target} was not written: {error.strerror or error}; choose a folder you may write to."
