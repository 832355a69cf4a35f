"""Write TIFF that Fiji opens right: ImageJ where it can hold the image, else OME-TIFF.

BigTIFF from 4 GB on. Planes are cast and written one by one, so that a stack larger than the memory
can be written.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import tifffile

from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.halve import halve, level_shapes
from napari_dip.files.imagej_display import imagej_display
from napari_dip.files.ome_xml import ome_attributes, ome_calibration, ome_details
from napari_dip.files.pixel_sizes import (
    calibration_of,
    imagej_calibration,
    imagej_tags,
)
from napari_dip.files.provenance import KEY, write_record
from napari_dip.images.image import LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_dip.images.image import Image

BIG = 2**32 - 2**25
"""Bytes from which 32-bit offsets no longer reach, with room for the tags of each plane."""

COMPRESSIONS = ("none", "deflate", "zstd", "lzw")

PYRAMID_FROM = 4096
"""Pixels of the longest side of a plane from which an OME-TIFF has tiles and a pyramid."""

TILE = (512, 512)

_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")


def check_tiff(dtype: np.dtype[Any]) -> None:
    """Refuse what no TIFF of ours can hold."""
    if dtype.name not in _OME_TYPES:
        raise ValueError(
            f"TIFF files here hold {', '.join(_OME_TYPES)}, not {dtype.name}: choose another dtype."
        )


def choose_layout(
    axes: str, shape: tuple[int, ...], dtype: np.dtype[Any], *, ome: bool
) -> tuple[str, bool]:
    """Return "imagej" where that can hold the pixels, else "ome", and whether it is a BigTIFF."""
    big = prod(shape) * dtype.itemsize >= BIG
    colour_fits = not axes.endswith("C") or (dtype.name == "uint8" and shape[-1] == 3)
    imagej = not ome and not big and dtype.name in _IMAGEJ_TYPES and colour_fits
    return ("imagej" if imagej else "ome"), big


def write_tiff(
    path: Path, image: Image, dtype: np.dtype[Any], *, ome: bool, compression: str = "none"
) -> int:
    """Write an image and return the number of clipped values.

    An OME-TIFF with large planes has tiles and a pyramid.
    """
    if compression not in COMPRESSIONS:
        raise ValueError(
            f"A TIFF is compressed by {', '.join(COMPRESSIONS[1:])} or none, not {compression}."
        )
    dialect, big = choose_layout(image.axes, image.shape, dtype, ome=ome)
    page_axes = "YXC" if image.is_rgb else "YX"
    stack_axes = "".join(a for a in LETTERS if a in image.axes and a not in page_axes)
    metadata, options = _imagej_metadata(image) if dialect == "imagej" else _ome_metadata(image)
    imagej = dialect == "imagej"
    sides = [image.shape[image.axes.index(a)] for a in "YX"]
    levels = [] if imagej or max(sides) < PYRAMID_FROM else level_shapes(*sides)[1:]
    pages = _Pages(image, dtype, stack_axes, page_axes, bool(levels))
    how: dict[str, Any] = {
        "dtype": dtype,
        "photometric": _photometric(image, imagej),
        "planarconfig": "contig" if image.is_rgb else None,
        "compression": None if compression == "none" else compression,
        "predictor": compression != "none",
        "tile": TILE if levels else None,
        "software": KEY,
    }
    with tifffile.TiffWriter(
        path, bigtiff=big, byteorder="<", imagej=imagej, ome=not imagej
    ) as writer:
        for number, (height, width) in enumerate([tuple(sides), *levels]):
            # Levels are written from the whole pages again: none of them stays in memory.
            shape = [*(pages.length(a) for a in stack_axes), height, width]
            axes = {"axes": stack_axes + page_axes.replace("C", "S"), **metadata}
            writer.write(
                pages.walk(number),
                shape=(*shape, *([pages.length("C")] if image.is_rgb else [])),
                metadata=axes if number == 0 else None,
                subifds=len(levels) if number == 0 else None,
                subfiletype=1 if number else None,
                **how,
                **options,
            )
    return pages.clipped


class _Pages:
    """The pages of an image in the type that is written, and how many values were clipped."""

    def __init__(
        self, image: Image, dtype: np.dtype[Any], stack_axes: str, page_axes: str, tiled: bool
    ) -> None:
        self.image, self.dtype, self.clipped = image, dtype, 0
        self.axes, self.tiled = (stack_axes, page_axes), tiled

    def length(self, axis: str) -> int:
        """Return the length of an axis."""
        return self.image.shape[self.image.axes.index(axis)]

    def walk(self, level: int) -> Iterator[Any]:
        """Yield the pages of a level of the pyramid, or their tiles; level 0 is the image."""
        for _, page in self.image.pages(*self.axes):
            page, count = cast_pixels(page, self.dtype)
            self.clipped += 0 if level else count
            for _ in range(level):
                page = halve(page)
            pixels = np.ascontiguousarray(page)
            yield from _tiles(pixels) if self.tiled else [pixels]


def _tiles(page: Any) -> Iterator[Any]:
    """Yield the tiles of a page, row by row."""
    height, width = TILE
    for y, x in product(range(0, page.shape[0], height), range(0, page.shape[1], width)):
        yield page[y : y + height, x : x + width]


def _photometric(image: Image, imagej: bool) -> str:
    """Return how numbers are shown; ImageJ has a table for what is dark where it is large."""
    if image.is_rgb:
        return "rgb"
    inverted = any(channel.get("Inverted") for channel in image.details.channels)
    return "miniswhite" if inverted and not imagej else "minisblack"


def _imagej_metadata(image: Image) -> tuple[dict[str, Any], dict[str, Any]]:
    tags = imagej_tags(calibration_of(image))
    metadata: dict[str, Any] = {
        key: tags[key] for key in ("unit", "spacing", "finterval") if key in tags
    }
    if "C" in image.axes and not image.is_rgb:
        metadata["mode"] = "composite"
    metadata |= imagej_display(image)
    # Without a resolution ImageJ takes 1 pixel, and the reader finds the tag (1, 1).
    read_back = {"xresolution": 1, "yresolution": 1, **tags}
    record = write_record(image, imagej_calibration(read_back))
    # The record first: it is the line that this program looks for.
    metadata["Info"] = f"{record}\n{image.details.note}" if image.details.note else record
    if "xresolution" not in tags:
        return metadata, {}
    return metadata, {"resolution": (tags["xresolution"], tags["yresolution"])}


def _ome_metadata(image: Image) -> tuple[dict[str, Any], dict[str, Any]]:
    attributes = ome_attributes(calibration_of(image))
    record = write_record(image, ome_calibration(attributes))
    # XML knows no control characters.
    name = "".join(c for c in image.name if c.isprintable()) or KEY
    return {
        "UUID": f"urn:uuid:{uuid4()}",  # tifffile's own would hold the machine's network address
        "Name": name,
        **attributes,
        **ome_details(image),
        "CommentAnnotation": {"Namespace": KEY, "Value": record},
    }, {}
