"""Write TIFF that Fiji opens right: ImageJ where it can hold the image, else OME-TIFF, BigTIFF from 4 GB on.

Planes are cast and written one by one, so that a stack larger than the memory can be written.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import tifffile

from napari_dip.files.channel_names import labels_of
from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.pixel_sizes import (
    imagej_calibration,
    imagej_tags,
    ome_attributes,
    ome_calibration,
)
from napari_dip.files.provenance import KEY, pack
from napari_dip.images.image import release_pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_dip.images.image import Image

BIG = 2**32 - 2**25
"""Bytes of pixels from which 32-bit offsets no longer reach, with room for the tags of each plane."""

_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")
_ORDER = "TZCYX"


def check_tiff(dtype: np.dtype[Any]) -> None:
    """Refuse what no TIFF of ours can hold.

    Raises
    ------
    ValueError
        For other types of pixels.
    """
    if dtype.name not in _OME_TYPES:
        raise ValueError(
            f"TIFF files here hold {', '.join(_OME_TYPES)}; given was {dtype.name}: choose another "
            "dtype."
        )


def choose_layout(
    axes: str, shape: tuple[int, ...], dtype: np.dtype[Any], *, ome: bool
) -> tuple[str, bool]:
    """Choose a TIFF dialect.

    Parameters
    ----------
    axes, shape, dtype
        Of the pixels as they will be stored.
    ome : bool
        Whether the file's name asks for OME-TIFF.

    Returns
    -------
    dialect : {"imagej", "ome"}
        ImageJ's format holds 8- and 16-bit whole numbers and float32, colour only in 8 bits, and 4 GB.
    big : bool
        Whether it must be a BigTIFF.

    """
    big = prod(shape) * dtype.itemsize >= BIG
    colour_fits = not axes.endswith("C") or (dtype.name == "uint8" and shape[-1] == 3)
    imagej = not ome and not big and dtype.name in _IMAGEJ_TYPES and colour_fits
    return ("imagej" if imagej else "ome"), big


def write_tiff(path: Path, image: Image, dtype: np.dtype[Any], *, ome: bool) -> int:
    """Write an image and return the number of clipped values."""
    dialect, big = choose_layout(image.axes, image.shape, dtype, ome=ome)
    order = (
        "".join(a for a in _ORDER if a in image.axes and not (a == "C" and image.is_rgb))
        + "C" * image.is_rgb
    )
    shape = tuple(image.shape[image.axes.index(a)] for a in order)
    stored_axes = order[:-1] + "S" if image.is_rgb else order
    metadata, options = _imagej_metadata(image) if dialect == "imagej" else _ome_metadata(image)
    counter = _Counter()
    with tifffile.TiffWriter(
        path, bigtiff=big, imagej=dialect == "imagej", ome=dialect == "ome", byteorder="<"
    ) as writer:
        writer.write(
            _planes(image, order, dtype, counter),
            shape=shape,
            dtype=dtype,
            photometric="rgb" if image.is_rgb else "minisblack",
            planarconfig="contig" if image.is_rgb else None,
            metadata={"axes": stored_axes, **metadata},
            software=KEY,
            **options,
        )
    return counter.clipped


class _Counter:
    """Counts clipped values over the planes."""

    clipped = 0


def _planes(image: Image, order: str, dtype: np.dtype[Any], counter: _Counter) -> Iterator[Any]:
    """Yield each page's pixels, in the order of storage."""
    page_axes = order[order.index("Y") :]
    left = [a for a in image.axes if a in page_axes]
    turn = [left.index(a) for a in page_axes]
    steps = order[: order.index("Y")]
    for place in product(*(range(image.shape[image.axes.index(a)]) for a in steps)):
        at = dict(zip(steps, place, strict=True))
        page = np.asarray(image.pixels[tuple(at.get(a, slice(None)) for a in image.axes)])
        page, clipped = cast_pixels(page.transpose(turn), dtype)
        counter.clipped += clipped
        release_pages(image.pixels)
        yield np.ascontiguousarray(page)


def _imagej_metadata(image: Image) -> tuple[dict[str, Any], dict[str, Any]]:
    tags = imagej_tags(
        dict(zip(image.axes, zip(image.scale, image.units, strict=True), strict=True))
    )
    metadata: dict[str, Any] = {
        key: tags[key] for key in ("unit", "spacing", "finterval") if key in tags
    }
    if "C" in image.axes and not image.is_rgb:
        metadata["mode"] = "composite"
    if labels := labels_of(image):
        metadata["Labels"] = labels
    options = (
        {"resolution": (tags["xresolution"], tags["yresolution"])} if "xresolution" in tags else {}
    )
    # ImageJ without a resolution means 1 pixel; the reader finds the tag (1, 1) then, hence the same here.
    read_back = {"xresolution": 1, "yresolution": 1, **tags}
    metadata["Info"] = pack(image, imagej_calibration(read_back))
    return metadata, options


def _ome_metadata(image: Image) -> tuple[dict[str, Any], dict[str, Any]]:
    attributes = ome_attributes(
        dict(zip(image.axes, zip(image.scale, image.units, strict=True), strict=True))
    )
    comment = {"Namespace": KEY, "Value": pack(image, ome_calibration(attributes))}
    name = (
        "".join(c for c in image.name if c.isprintable()) or KEY
    )  # XML knows no control characters
    identity = f"urn:uuid:{uuid4()}"  # tifffile's own would hold the machine's network address
    channels = {"Channel": {"Name": list(image.channels)}} if image.channels else {}
    return {
        "UUID": identity,
        "Name": name,
        **attributes,
        **channels,
        "CommentAnnotation": comment,
    }, {}
