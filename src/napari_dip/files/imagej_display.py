"""How ImageJ shows an image: lookup tables, display ranges, and a label above each plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.channel_names import imagej_labels
from napari_dip.images.details import Details

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.images.image import Image

GREY = "FFFFFF"


def read_display(tags: Mapping[str, Any], count: int) -> Details:
    """Return the tables and ranges among ImageJ's tags, for so many channels."""
    about: list[dict[str, Any]] = [{} for _ in range(count)]
    tables, ranges = tags.get("LUTs"), tags.get("Ranges")
    tables = () if tables is None else tables
    if getattr(tables, "ndim", 0) == 2:  # as tifffile has a single one
        tables = (tables,)
    if ranges is None and count == 1 and "min" in tags and "max" in tags:
        ranges = (tags["min"], tags["max"])
    ranges = () if ranges is None else tuple(ranges)
    for number, channel in enumerate(about):
        try:
            low, high = (float(end) for end in ranges[2 * number : 2 * number + 2])
            if np.isfinite((low, high)).all():
                channel["Range"] = (low, high)
        except (TypeError, ValueError):
            pass
        table: NDArray[Any] = np.asarray(tables[number] if number < len(tables) else ())
        if table.shape == (3, 256) and table.dtype == np.uint8:
            channel |= _of_table(table)
    return Details(channels=tuple(about)) if any(about) else Details()


def with_labels(image: Image, labels: object) -> Image:
    """Return the image with ImageJ's labels, one a plane in the order T, Z, C."""
    labels = [labels] if isinstance(labels, str) else labels
    lengths = _lengths(image)
    if not isinstance(labels, list | tuple) or len(labels) != int(np.prod(lengths)):
        return image
    planes = {place: dict(about) for place, about in image.details.planes.items()}
    for (t, z, c), label in zip(np.ndindex(*lengths), labels, strict=True):
        text = "".join(one for one in str(label) if one.isprintable() or one == "\n")
        if text:
            planes.setdefault((t, z, c), {})["Label"] = text
    return replace(image, details=replace(image.details, planes=planes))


def imagej_display(image: Image) -> dict[str, Any]:
    """Return ImageJ's tags for what is known of how an image is shown."""
    lengths = _lengths(image)
    found: dict[str, Any] = {}
    planes = image.details.planes
    labels = [planes.get(at, {}).get("Label", "") for at in _places(lengths)]
    if not any(labels):
        labels = imagej_labels(image)
    if any(labels):
        found["Labels"] = labels
    if image.is_rgb:
        return found
    about = image.details.channels if len(image.details.channels) == lengths[2] else ()
    if any("Color" in one or "LUT" in one or "Inverted" in one for one in about):
        found["LUTs"] = [_table(one) for one in about]
    ranges = [one["Range"] for one in about if "Range" in one]
    if ranges and len(ranges) == len(about):
        found["Ranges"] = tuple(float(end) for one in ranges for end in one)
        found["min"], found["max"] = found["Ranges"][:2]
    return found


def _of_table(table: NDArray[np.uint8]) -> dict[str, Any]:
    """Return a table; of one that runs from black to a colour that colour, too."""
    found: dict[str, Any] = {"LUT": table}
    if np.array_equal(table, _ramp(GREY)[:, ::-1]):
        return {"Inverted": True}
    colour = "".join(f"{value:02X}" for value in table[:, -1].tolist())
    if np.abs(table.astype(int) - _ramp(colour)).max() <= 1:
        found = {"Color": colour}
    return found


def _table(channel: Mapping[str, Any]) -> NDArray[np.uint8]:
    if "LUT" in channel:
        return np.asarray(channel["LUT"], np.uint8)
    table = _ramp(str(channel.get("Color", GREY)))
    return table[:, ::-1] if channel.get("Inverted") else table


def _ramp(colour: str) -> NDArray[np.uint8]:
    ends = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)])
    return (ends[:, None] * np.arange(256) // 255).astype(np.uint8)


def _lengths(image: Image) -> list[int]:
    """Return the lengths of T, Z and C; the colours of RGB are no channels."""
    lengths = [image.shape[image.axes.index(a)] if a in image.axes else 1 for a in "TZC"]
    return [*lengths[:2], 1] if image.is_rgb else lengths


def _places(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    return [(t, z, c) for t, z, c in np.ndindex(*lengths)]
