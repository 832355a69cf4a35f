"""The file formats that are known, and which one a path has.

To add a format: write its record in a file of its own, and register it at the end of this file, as
other packages do.
"""

from __future__ import annotations

import os
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from napari_dip.files.ome_zarr import OME_ZARR
from napari_dip.files.png import JPEG, PNG
from napari_dip.files.tiff import COMPANION, LSM, OME_TIFF, STK, TIFF
from napari_dip.files.vendor.czi import CZI
from napari_dip.files.vendor.dv import DV
from napari_dip.files.vendor.ims import IMS
from napari_dip.files.vendor.lif import LIF
from napari_dip.files.vendor.nd2 import ND2
from napari_dip.files.vendor.oif import OIF

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_dip.files.format import Format

FORMATS: list[Format] = [TIFF, OME_TIFF, PNG, OME_ZARR, JPEG]
FORMATS += [CZI, ND2, LIF, OIF, DV, IMS, LSM, STK, COMPANION]


def register_format(format_: Format | str) -> None:
    """Add a file format, its record or the ``"module:name"`` of that, to those that are read.

    A napari plugin that does so also names the reader
    ``napari_dip.widgets.napari_hooks.reader:get_reader`` in its manifest.

    Raises
    ------
    ValueError
        If a suffix is not lower case with a dot, or belongs to another format.
    """
    record: Format = resolve_name(format_) if isinstance(format_, str) else format_
    for suffix in record.suffixes:
        if not suffix.startswith(".") or suffix != suffix.lower():
            raise ValueError(f"The suffix {suffix!r} must be lower case and start with a dot.")
        if any(suffix in other.suffixes for other in FORMATS):
            raise ValueError(f"The suffix {suffix} belongs to another format already.")
    FORMATS.append(record)


def readable_suffixes() -> tuple[str, ...]:
    """Return the suffixes of images that can be read, such as ``.tif``."""
    return _suffixes(FORMATS)


def writable_suffixes() -> tuple[str, ...]:
    """Return the suffixes of images that can be written."""
    return _suffixes([one for one in FORMATS if one.write is not None])


def _suffixes(formats: list[Format]) -> tuple[str, ...]:
    """List suffixes, leaving out longer forms of others (.ome.tif)."""
    found = [suffix for one in formats for suffix in one.suffixes]
    return tuple(suffix for suffix in found if suffix.count(".") == 1)


def format_of_name(path: Path) -> Format | None:
    """Return the format that a file's name asks for, None if no format has its suffix."""
    name = path.name.lower()
    fitting = [
        (len(s), one) for one in FORMATS for s in one.suffixes if name.endswith(s) and name != s
    ]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def folder_format(path: Path) -> Format | None:
    """Return the format of a folder that is one image, None for other folders and files."""
    if not path.is_dir():
        return None
    fitting = (one for one in FORMATS if any((path / sign).exists() for sign in one.folder_signs))
    return next(fitting, None)


def format_of(path: Path) -> Format | None:
    """Return the format of a file by its name, or of a folder by what is in it; None if unknown."""
    return folder_format(path) if path.is_dir() else format_of_name(path)


def is_image_folder(path: Path) -> bool:
    """Return whether a path is a folder that is one image, such as OME-Zarr."""
    return folder_format(path) is not None


def images_in(path: Path) -> list[Path]:
    """Return the images in a folder of a format that collects them, such as a plate of OME-Zarr.

    Of other images, and of a damaged one, the path itself.
    """
    record = folder_format(path)
    try:
        return record.images_in(path) if record and record.images_in else [path]
    except (OSError, ValueError):  # said when it is read
        return [path]


def is_one_image(path: Path) -> bool:
    """Return whether a path can be one image: a file, or a folder that is no collection of them."""
    return path.is_file() or (is_image_folder(path) and images_in(path) == [path])


def _belongs_to_another(path: Path) -> bool:
    """Return whether a file lies in the folder that holds the content of a file beside that."""
    for record in FORMATS:
        ends = tuple(suffix + record.companions for suffix in record.suffixes)
        for folder in path.parents if record.companions else ():
            if folder.name.lower().endswith(ends):
                return folder.with_name(folder.name.removesuffix(record.companions)).is_file()
    return False


def images_under(
    folder: Path, *, recursive: bool = True, leave_out: Path | None = None
) -> list[Path]:
    """List the images in a folder, sorted; hidden files and folders and `leave_out` are skipped.

    The folder may itself be a collection of images. A folder in it that cannot be looked into is
    listed, too: reading it says why.
    """
    if is_image_folder(folder):
        return images_in(folder)
    found: list[Path] = []
    nested = None if leave_out is None else leave_out.resolve()
    for path in _walk(folder, recursive):
        if nested not in path.resolve().parents:
            found += [path] if is_closed(path) else images_in(path)
    return found


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    """Walk images and closed folders in order, but for hidden ones; into no image: it may be large.

    Of collections of images what is inside is looked at by `images_in`.
    """
    for path in sorted(folder.iterdir()):
        record = format_of_name(path)
        if path.name.startswith("."):
            continue
        if is_closed(path):
            if recursive or record is not None:
                yield path
        elif path.is_dir():
            if record is not None and is_image_folder(path):
                yield path
            elif recursive and not path.is_symlink():
                yield from _walk(path, recursive)
        elif record is None or record.folder_signs or not path.is_file():
            continue
        elif not _belongs_to_another(path):
            yield path


def is_closed(path: Path) -> bool:
    """Return whether a path is a folder that this user may not look into."""
    return path.is_dir() and not os.access(path, os.R_OK | os.X_OK)
