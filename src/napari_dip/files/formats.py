"""Read and write images: TIFF (plain, ImageJ, OME), PNG and OME-Zarr in and out, JPEG in.

Writing is atomic: a file stands under its final name whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.files.checksum import sha256
from napari_dip.files.dtypes import cast, target_dtype
from napari_dip.files.ome_zarr import is_zarr
from napari_dip.files.writing import check_place, check_room, why_not_written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

    from napari_dip.images.image import Image

__all__ = [
    "READABLE",
    "WRITABLE",
    "cast",
    "check_fits",
    "read",
    "read_provenance",
    "sha256",
    "write",
]

_TIFF = (".tif", ".tiff", ".btf")
WRITABLE = (*_TIFF, ".png", ".zarr")
READABLE = (*WRITABLE, ".jpg", ".jpeg")


def read(path: str | PathLike[str], *, axes: str | None = None) -> Image:
    """Read an image with its axes, scale, units and provenance.

    Parameters
    ----------
    path : path-like
        A TIFF (plain, ImageJ, OME), PNG or JPEG file, or a folder in the Zarr format (OME-Zarr 0.4 and 0.5; a plain
        array). Of a palette PNG the pixels are the indices. Zarr pixels stay on disk.
        Uncompressed TIFFs from 32 MiB on are memory-mapped, read-only; of grey TIFF stacks from 256 MiB on that can't
        be mapped, compressed ones, parts are decoded when they are wanted; others are read whole.
    axes : str, optional
        A letter an axis out of ``TZCYX``, where the file does not say or says it wrongly. A stack that names
        nothing is taken as ZYX. Singleton axes of a file need not be named.

    Returns
    -------
    Image
        `scale` and `units` from ImageJ's or OME's metadata, 1 pixel where there are none.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    ValueError
        If it is empty, damaged, cut short, complex, no image, or its axes are not among T, Z, C, Y and X.
    """
    file = _existing(path)
    if file.is_dir():
        from napari_dip.files.ome_zarr import read_zarr

        image = read_zarr(file, axes)
    elif file.suffix.lower() in _TIFF:
        from napari_dip.files.tiff_reader import read_tiff

        image = read_tiff(file, axes)
    else:
        from napari_dip.files.png import read_picture

        image = read_picture(file, axes)
    target_dtype(image.dtype, None)  # refuses complex pixels
    return image


def write(
    path: str | PathLike[str],
    image: Image,
    *,
    dtype: DTypeLike | None = None,
    overwrite: bool = False,
) -> int:
    """Write an image with its axes, scale, units and provenance.

    Parameters
    ----------
    path : path-like
        ``.tif`` and ``.tiff`` become ImageJ TIFF where that can hold the image, else OME-TIFF; ``.ome.tif``
        always OME-TIFF; from 4 GB on BigTIFF. ``.png`` holds one plane of uint8 or uint16. ``.zarr`` becomes a
        folder, OME-Zarr 0.4 with a pyramid.
    image : Image
        Read plane by plane, so it may be larger than the memory.
    dtype : dtype-like or "same", optional
        A type to round and clip to; ``"same"`` is the image's own. By default uint8, uint16 and float32 stay
        and everything else becomes float32.
    overwrite : bool
        Whether a file of that name may be replaced.

    Returns
    -------
    int
        Values that had to be clipped to fit `dtype`.

    Raises
    ------
    FileExistsError
        If the file is there and `overwrite` is False.
    OSError
        If the disk is full or does not let us write; nothing is left under `path` or beside it then.
    ValueError
        If the name's suffix, or the image in that format, is not supported.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in WRITABLE:
        raise ValueError(
            f"{target.name} has no suffix that can be written; name it {', '.join(WRITABLE)}."
        )
    check_place(target, overwrite)
    stored = check_fits(target, image, dtype)
    # Hidden, with a suffix that no reader takes for an image, and short: the target's name may be as long as names get.
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        clipped = _write_part(part, target, image, stored)
        if target.is_dir():  # an OME-Zarr to be replaced
            target.rename(old := part.with_suffix(".old"))
            part.rename(target)
            shutil.rmtree(old)
        else:
            os.replace(part, target)  # noqa: PTH105
    except OSError as error:
        raise OSError(
            why_not_written(error, target, prod(image.shape) * stored.itemsize)
        ) from error
    finally:
        with suppress(OSError):  # what went wrong above is what is to be said
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    return clipped


def check_fits(
    path: str | PathLike[str], image: Image, dtype: DTypeLike | None = None
) -> np.dtype[Any]:
    """Refuse what a file of that name could not hold, so that nobody learns it after a long fit.

    Parameters
    ----------
    path, image, dtype
        As for `write`; of the image only axes, shape and type count.

    Returns
    -------
    dtype
        The type that will be stored.

    Raises
    ------
    ValueError
        If the image in that type and format is not supported.
    OSError
        If the disk has no room for it.
    """
    stored = target_dtype(image.dtype, dtype)
    if Path(path).suffix.lower() == ".png":
        from napari_dip.files.png import check_png

        check_png(image, stored)
    elif Path(path).suffix.lower() != ".zarr":
        from napari_dip.files.tiff_writer import choose_layout

        choose_layout(image.axes, image.shape, stored, ome=".ome." in Path(path).name.lower())
    check_room(Path(path), prod(image.shape) * stored.itemsize)
    return stored


def _write_part(part: Path, target: Path, image: Image, dtype: np.dtype[Any]) -> int:
    if target.suffix.lower() == ".zarr":
        from napari_dip.files.ome_zarr import write_zarr

        return write_zarr(part, image, dtype)
    with part.open("xb+") as file:
        if target.suffix.lower() == ".png":
            from napari_dip.files.png import write_png

            clipped = write_png(file, image, dtype)
        else:
            from napari_dip.files.tiff_writer import write_tiff

            clipped = write_tiff(file, image, dtype, ome=".ome." in target.name.lower())
        file.flush()
        os.fsync(file.fileno())
    return clipped


def read_provenance(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what made a file: method, settings, seed, versions, as `write` stored it; empty for other files.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, ValueError
        As in `read`.
    """
    file = _existing(path)
    if file.is_dir():
        from napari_dip.files.ome_zarr import read_zarr_record

        return read_zarr_record(file)
    if file.suffix.lower() in _TIFF:
        from napari_dip.files.tiff_reader import read_tiff_record

        record = read_tiff_record(file)
    else:
        from napari_dip.files.png import read_picture_record

        record = read_picture_record(file)
    return record.provenance if record else {}


def _existing(path: str | PathLike[str]) -> Path:
    """Return the path of a file that may be an image, or refuse with the reason."""
    file = Path(path)
    if is_zarr(file):
        return file
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; give an image file ({', '.join(READABLE)}).")
    if not file.exists():
        raise FileNotFoundError(f"There is no file {file}; check the name and the folder.")
    if file.suffix.lower() not in READABLE:
        raise ValueError(
            f"{file.name} has no suffix of an image that can be read: {', '.join(READABLE)}."
        )
    if file.stat().st_size == 0:
        raise ValueError(f"{file.name} is empty: it holds 0 bytes; copy it again from its source.")
    return file
