"""Write OME-Zarr 0.4 and 0.5: axes, sizes, channels, a pyramid; plane by plane.

The models of yaozarrs check the metadata while they are made; zarr writes the pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.halve import halve, level_shapes
from napari_dip.files.provenance import KEY, write_record
from napari_dip.images.image import Image

ORDER = "TCZYX"
"""The order of axes that the format asks for."""

VERSIONS = ("0.4", "0.5")
CHUNK = 1024  # side of a chunk, in pixels
UNKNOWN_COLOUR = "FFFFFF"  # the format asks for one
RGB = ("FF0000", "00FF00", "0000FF", "FFFFFF")
_NAMES = {
    "pm": "picometer",
    "nm": "nanometer",
    "um": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "inch": "inch",
    "ns": "nanosecond",
    "us": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
}


def import_zarr() -> Any:
    """Return zarr, or say how it is installed."""
    try:
        import zarr
    except ImportError:
        raise ValueError(
            'Zarr folders need the package zarr: pip install "napari-dip[zarr]".'
        ) from None
    return zarr


def write_zarr(
    path: Path, image: Image, dtype: np.dtype[Any], *, ome_zarr: str = "0.4", compression: str = ""
) -> int:
    """Write OME-Zarr with a pyramid into a new folder; return the number of clipped values."""
    _check_version(ome_zarr)
    order = "".join(a for a in ORDER if a in image.axes)
    shape = tuple(image.shape[image.axes.index(a)] for a in order)
    zarr_format = 2 if ome_zarr == "0.4" else 3
    group = import_zarr().open_group(str(path), mode="w", zarr_format=zarr_format)
    new = _Levels(group, order, dtype, zarr_format, compression == "none")
    levels = [new.add(shape)]
    ends = np.tile([np.inf, -np.inf], (shape[order.index("C")] if "C" in order else 1, 1))
    clipped = 0
    for place, page in image.pages(order[:-2], "YX"):
        plane, count = cast_pixels(page, dtype)
        levels[0][place] = plane
        clipped += count
        _widen(ends[place[order.index("C")] if "C" in order else 0], plane)
    for sides in level_shapes(*shape[-2:])[1:]:
        levels.append(_halve(new, levels[-1], sides))
    metadata = _metadata(image, order, ome_zarr, len(levels), _windows(image, ends, dtype))
    group.attrs.update(metadata | {KEY: write_record(image, {})})
    return clipped


def _check_version(version: str) -> None:
    """Refuse a version that is not written."""
    if version not in VERSIONS:
        raise ValueError(f"OME-Zarr is written as {' or '.join(VERSIONS)}, not {version}.")
    try:
        import yaozarrs  # noqa: F401
    except ImportError:
        raise ValueError(
            'OME-Zarr is written with the package yaozarrs: pip install "napari-dip[zarr]".'
        ) from None


class _Levels:
    """Adds the arrays of a pyramid to a group."""

    def __init__(
        self, group: Any, order: str, dtype: np.dtype[Any], zarr_format: int, plain: bool
    ) -> None:
        self.group, self.dtype, self.number = group, dtype, 0
        keys = {"name": "v2" if zarr_format == 2 else "default", "separator": "/"}
        names = {"dimension_names": list(order.lower())} if zarr_format == 3 else {}
        none = {"compressors": None} if plain else {}
        self.how = {"fill_value": 0, "chunk_key_encoding": keys, **names, **none}

    def add(self, shape: tuple[int, ...]) -> Any:
        """Return the next level, empty."""
        chunks = (*(1 for _ in shape[:-2]), *(min(n, CHUNK) for n in shape[-2:]))
        level = self.group.create_array(
            str(self.number), shape=shape, dtype=self.dtype, chunks=chunks, **self.how
        )
        self.number += 1
        return level


def _halve(new: _Levels, level: Any, sides: tuple[int, int]) -> Any:
    """Add the next level of the pyramid."""
    half = new.add((*level.shape[:-2], *sides))
    for place in np.ndindex(level.shape[:-2]):
        half[place] = halve(np.asarray(level[place]))
    return half


def _widen(ends: Any, plane: Any) -> None:
    """Take a plane's least and greatest value into those of its channel."""
    finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
    if finite.size:
        ends[:] = min(ends[0], float(finite.min())), max(ends[1], float(finite.max()))


def _windows(image: Image, ends: Any, dtype: np.dtype[Any]) -> list[dict[str, float]]:
    """Return what of the values is shown: the input's display range, else all there are."""
    shown = image.details.of_channels("Range", len(ends))
    windows = []
    for (low, high), wanted in zip(np.where(np.isfinite(ends), ends, 0.0), shown, strict=True):
        least, most = float(low), float(high)
        if dtype.kind in "ui":
            least, most = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
        start, end = wanted or (float(low), float(high))
        windows.append({"min": least, "max": most, "start": start, "end": end})
    return windows


def _metadata(
    image: Image, order: str, version: str, count: int, windows: list[dict[str, float]]
) -> dict[str, Any]:
    """Return the attributes of the format, checked by its models."""
    from yaozarrs import v04, v05

    axes, sizes, starts = [], [], []
    for letter in order:
        at = image.axes.index(letter)
        unit = _NAMES.get(image.units[at]) if letter != "C" else None
        kind = {"T": "time", "C": "channel"}.get(letter, "space")
        axes.append({"name": letter.lower(), "type": kind} | ({"unit": unit} if unit else {}))
        sizes.append(float(image.scale[at]))
        starts.append(float(image.details.origin.get(letter, 0.0)))
    datasets = []
    for level in range(count):
        factors = [2.0**level if letter in "YX" else 1.0 for letter in order]
        # The first pixel of a level is the mean of 2**level pixels: its centre lies further in.
        places = [s + (f - 1) / 2 * size for s, f, size in zip(starts, factors, sizes, strict=True)]
        scale = [size * f for size, f in zip(sizes, factors, strict=True)]
        steps = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": places},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    name = "".join(c for c in image.name if c.isprintable()) or KEY
    scales = {"name": name, "axes": axes, "datasets": datasets, "type": "mean"}
    content = {"multiscales": [scales], "omero": {"channels": _channels(image, windows)}}
    model = v04.Image if version == "0.4" else v05.Image
    checked: dict[str, Any] = model.model_validate(content).model_dump(exclude_none=True)
    return checked if version == "0.4" else {"ome": checked}


def _channels(image: Image, windows: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Return names, colours and windows; white where the input has no colour."""
    count = len(windows)
    colours = image.details.of_channels("Color", count)
    if image.is_rgb:
        colours = list(RGB[:count])
    labels = image.channels or [None] * count
    inverted = image.details.of_channels("Inverted", count)
    return [
        {"color": colour or UNKNOWN_COLOUR, "window": window, "active": True}
        | ({"label": label} if label else {})
        | ({"inverted": True} if dark else {})
        for colour, window, label, dark in zip(colours, windows, labels, inverted, strict=True)
    ]
