"""Read and write images in any of the formats of `napari_dip.files.registry`."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.files.atomic import atomic_path
from napari_dip.files.dtypes import target_dtype
from napari_dip.files.registry import (
    folder_format,
    format_of_name,
    is_closed,
    readable_suffixes,
    writable_suffixes,
)
from napari_dip.files.series import Series, choose_series
from napari_dip.files.target import check_room, check_target
from napari_dip.images.as_image import as_image
from napari_dip.images.image import printable_name
from napari_dip.images.part import note_part

if TYPE_CHECKING:
    from os import PathLike

    import numpy as np
    from numpy.typing import DTypeLike

    from napari_dip.files.format import Format
    from napari_dip.images.image import ArrayLike, Image


def read(
    path: str | PathLike[str],
    *,
    axes: str | None = None,
    series: int | str | None = None,
    channel: int | str | None = None,
    time: int | str | None = None,
    plane: int | str | None = None,
) -> Image:
    """Read an image with its axes, scale, units and provenance.

    Parameters
    ----------
    path : path-like
        A TIFF (plain, ImageJ, OME, LSM, STK), PNG or JPEG file, or a folder in the Zarr format
        (OME-Zarr 0.4 and 0.5; a plain array); with the extra ``vendor`` CZI, ND2, LIF, OIB, OIF,
        DV and IMS. Of a palette PNG the pixels are the indices. Pixels of Zarr and of the extra's
        formats stay on disk, and so do uncompressed TIFFs from 32 MiB on, which are read when they
        are wanted; of grey TIFF stacks from 256 MiB on that are compressed, parts are decoded then;
        others are read whole.
    axes : str, optional
        A letter an axis out of ``TZCYX``, where the file does not say or says it wrongly. A stack
        that names nothing is taken as ZYX. Singleton axes of a file need not be named.
    series : int or str, optional
        Which image of a file that holds several, such as positions: its number from 0 on, or its
        name; see `list_series`.
    channel, time, plane : int or str, optional
        Which part of it, see `Image.take`: ``channel="GFP"``, ``plane="2:10"``.

    Returns
    -------
    Image
        `scale` and `units` from ImageJ's or OME's metadata, 1 pixel where there are none. What was
        left out, and `axes` that contradict the file, are said in its `remarks`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    ValueError
        If it is empty, damaged, cut short, complex, no image, or its axes are not among T, Z, C, Y
        and X; or if it holds several images and `series` names none of them, or has no such part.
    """
    file = Path(path)
    image = _read_series(_format_of_file(file), file, axes, series)
    target_dtype(image.dtype, None)  # refuses complex pixels
    return image.take(channel=channel, time=time, plane=plane)


def _read_series(record: Format, file: Path, axes: str | None, series: int | str | None) -> Image:
    if record.list_series is None:
        if series not in (None, 0, "0"):
            raise ValueError(
                f"{file.name} holds one image, its number is 0; `series` (--series) is {series!r}."
            )
        return record.read(file, axes)
    image = record.read(file, axes, series)
    if series is None:
        return image
    found = record.list_series(file)
    number = choose_series(found, series, file.name)
    taken: dict[str, Any] = {"taken": str(number), "of": len(found)}
    if found[number].name:
        taken["names"] = [printable_name(found[number].name)]
    return note_part(image, {"series": taken}) if len(found) > 1 else image


def list_series(path: str | PathLike[str]) -> tuple[Series, ...]:
    """List the images that a file holds, such as positions of the stage; reads no pixels.

    Parameters
    ----------
    path : path-like
        As for `read`.

    Returns
    -------
    tuple of Series
        Name, axes and shape of each; `read` takes the place or the name of one as ``series``.
        Thumbnails and the coarser levels of pyramids are left out.
    """
    file = Path(path)
    record = _format_of_file(file)
    if record.list_series is not None:
        return tuple(record.list_series(file))
    image = record.read(file, None)
    return (Series(image.name, image.axes, image.shape),)


def write(
    path: str | PathLike[str],
    image: Image | ArrayLike,
    *,
    axes: str | None = None,
    dtype: DTypeLike | None = None,
    overwrite: bool = False,
    compression: str | None = None,
    ome_zarr: str | None = None,
) -> int:
    """Write an image with its axes, scale, units and provenance, whole or not at all.

    Parameters
    ----------
    path : path-like
        ``.tif`` and ``.tiff`` become ImageJ TIFF where that can hold the image, else OME-TIFF;
        ``.ome.tif`` always OME-TIFF; from 4 GB on BigTIFF. ``.png`` holds one plane of uint8 or
        uint16. ``.zarr`` becomes a folder, OME-Zarr with a pyramid.
    image : Image or array-like
        Read plane by plane, so it may be larger than the memory.
    axes : str, optional
        A letter an axis for a bare array, such as ``"ZYX"``; guessed where not given.
    dtype : dtype-like or "same", optional
        A type to round and clip to; ``"same"`` is the image's own. By default uint8, uint16 and
        float32 stay and everything else becomes float32.
    overwrite : bool
        Whether a file of that name may be replaced.
    compression : {"none", "deflate", "zstd", "lzw"}, optional
        How a TIFF is compressed, without loss; not at all by default. A Zarr folder is compressed
        by zarr's default, unless this is ``"none"``; a PNG always is.
    ome_zarr : {"0.4", "0.5"}, optional
        Which version of OME-Zarr is written; 0.4 by default, which most programs read.

    Returns
    -------
    int
        Values that had to be clipped to fit `dtype`.

    Raises
    ------
    FileExistsError
        If the file is there and `overwrite` is False.
    OSError
        If the disk is full or does not let us write; nothing is left under `path` or beside it
        then.
    ValueError
        If the name's suffix, or the image in that format, is not supported.
    """
    target = Path(path)
    image = as_image(image, axes)
    record = _writable_format(target)
    write_pixels = record.write
    assert write_pixels is not None
    check_target(target, overwrite)
    stored = check_fits(target, image, dtype)
    given = {"compression": compression, "ome_zarr": ome_zarr}
    options = {key: given[key] for key in record.options if given[key]}
    size = prod(image.shape) * stored.itemsize
    with atomic_path(target, size, overwrite=overwrite) as part:
        return write_pixels(part, image, stored, **options)


def check_fits(
    path: str | PathLike[str], image: Image, dtype: DTypeLike | None = None
) -> np.dtype[Any]:
    """Refuse what a file of that name could not hold, so that nobody learns it after a long fit."""
    target = Path(path)
    stored = target_dtype(image.dtype, dtype)
    check = _writable_format(target).check
    if check is not None:
        check(image, stored)
    check_room(target, prod(image.shape) * stored.itemsize)
    return stored


def read_provenance(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what made a file: method, settings, seed, versions, as `write` stored it.

    Empty for files that `write` has not made.
    """
    file = Path(path)
    return _format_of_file(file).read_provenance(file)


def _writable_format(target: Path) -> Format:
    found = format_of_name(target)
    if found is None or found.write is None:
        raise ValueError(
            f"{target.name} has no suffix that can be written; name it "
            f"{', '.join(writable_suffixes())}."
        )
    return found


def _format_of_file(file: Path) -> Format:
    """Return the format of a file or folder that may be an image, or refuse it with the reason."""
    suffixes = ", ".join(readable_suffixes())
    if is_closed(file):
        raise PermissionError(f"The folder {file} cannot be read: it does not let this user in.")
    folder = folder_format(file)
    if folder is not None:
        return folder
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; give an image file ({suffixes}).")
    if not file.exists():
        raise FileNotFoundError(f"There is no file {file}; check the name and the folder.")
    found = format_of_name(file)
    if found is None:
        raise ValueError(f"{file.name} has no suffix of an image that can be read: {suffixes}.")
    if found.folder_signs:
        raise ValueError(f"{file.name} is a file; {found.name} images are folders.")
    if file.stat().st_size == 0:
        raise ValueError(f"{file.name} is empty: it holds 0 bytes; copy it again from its source.")
    return found
