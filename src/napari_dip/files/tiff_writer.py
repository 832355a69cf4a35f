"""Write TIFF that Fiji opens right: ImageJ where it can hold the image, else OME-TIFF.

BigTIFF from 4 GB on. Planes are cast and written one by one, so that a stack larger than the memory
can be written.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import tifffile

from napari_dip.files.channel_names import imagej_labels
from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.pixel_sizes import (
    calibration_of,
    imagej_calibration,
    imagej_tags,
    ome_attributes,
    ome_calibration,
)
from napari_dip.files.provenance import KEY, write_record
from napari_dip.images.image import LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_dip.images.image import Image

BIG = 2**32 - 2**25
"""Bytes from which 32-bit offsets no longer reach, with room for the tags of each plane."""

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


def write_tiff(path: Path, image: Image, dtype: np.dtype[Any], *, ome: bool) -> int:
    """Write an image and return the number of clipped values."""
    dialect, big = choose_layout(image.axes, image.shape, dtype, ome=ome)
    page_axes = "YXC" if image.is_rgb else "YX"
    stack_axes = "".join(a for a in LETTERS if a in image.axes and a not in page_axes)
    metadata, options = _imagej_metadata(image) if dialect == "imagej" else _ome_metadata(image)
    clipped = 0

    def pages() -> Iterator[Any]:
        nonlocal clipped
        for _, page in image.pages(stack_axes, page_axes):
            page, count = cast_pixels(page, dtype)
            clipped += count
            yield np.ascontiguousarray(page)

    imagej = dialect == "imagej"
    with tifffile.TiffWriter(
        path, bigtiff=big, byteorder="<", imagej=imagej, ome=not imagej
    ) as writer:
        writer.write(
            pages(),
            shape=tuple(image.shape[image.axes.index(a)] for a in stack_axes + page_axes),
            dtype=dtype,
            photometric="rgb" if image.is_rgb else "minisblack",
            planarconfig="contig" if image.is_rgb else None,
            metadata={"axes": stack_axes + page_axes.replace("C", "S"), **metadata},
            software=KEY,
            **options,
        )
    return clipped


def _imagej_metadata(image: Image) -> tuple[dict[str, Any], dict[str, Any]]:
    tags = imagej_tags(calibration_of(image))
    metadata: dict[str, Any] = {
        key: tags[key] for key in ("unit", "spacing", "finterval") if key in tags
    }
    if "C" in image.axes and not image.is_rgb:
        metadata["mode"] = "composite"
    if labels := imagej_labels(image):
        metadata["Labels"] = labels
    # Without a resolution ImageJ takes 1 pixel, and the reader finds the tag (1, 1).
    read_back = {"xresolution": 1, "yresolution": 1, **tags}
    metadata["Info"] = write_record(image, imagej_calibration(read_back))
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
        **({"Channel": {"Name": list(image.channels)}} if image.channels else {}),
        "CommentAnnotation": {"Namespace": KEY, "Value": record},
    }, {}
