"""Read and write OME-Zarr: axes, sizes, channels, a pyramid; plain Zarr is read too.

Needs the package zarr (``pip install "napari-dip[zarr]"``). Pixels are read and written by the
plane, never whole.

References
----------
Moore et al., OME-Zarr: a cloud-optimized bioimaging file format with international community
support, Histochemistry and Cell Biology 2023, doi:10.1007/s00418-023-02209-1. Written is version
0.4, read are 0.4 and 0.5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_dip.files.channel_names import default_names, fitting_names, names_from_omero
from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.format import Format
from napari_dip.files.pixel_sizes import clean_unit, positive
from napari_dip.files.provenance import KEY, read_provenance, write_record
from napari_dip.files.series import Series, choose_series
from napari_dip.images.image import LETTERS, Image, printable_name

CHUNK = 1024  # side of a chunk, in pixels
SMALLEST = 256  # the pyramid ends with a level no larger than this
_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
_NAMES = {
    "pm": "picometer",
    "nm": "nanometer",
    "um": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "ns": "nanosecond",
    "us": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
}
_COLOURS = ("FF0000", "00FF00", "0000FF", "FFFF00", "FF00FF", "00FFFF")


def read_zarr(path: Path, axes: str | None = None, series: int | str | None = None) -> Image:
    """Read the finest level of an OME-Zarr image, or a plain Zarr array; pixels stay on disk."""
    node = _open(path)
    name = path.name.split(".")[0] or path.stem
    found = list_zarr_series(path, node)
    chosen = choose_series(found, series, path.name)
    if hasattr(node, "shape"):
        return Image(node, axes or "", name=name)
    if len(found) > 1:
        name = f"{name} {printable_name(found[chosen].name) or chosen}"
    attributes = _attributes(node)
    try:
        scales = attributes["multiscales"][chosen]
        level = scales["datasets"][0]
        array = node[level["path"]]
        letters = found[chosen].axes
        units = tuple(clean_unit(axis.get("unit") or "") for axis in scales["axes"])
        sizes = _scale(scales, level, len(units))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise ValueError(_no_image(path)) from None
    if axes is None and (set(letters) - set(LETTERS) or len(array.shape) != len(letters)):
        raise ValueError(
            f"{path.name} has axes {letters}; T, Z, C, Y and X are known: name them with `axes`."
        )
    letters = axes.upper() if axes else letters
    known = len(units) == len(letters)
    return Image(
        array,
        letters,
        scale=sizes if known else (),
        units=units if known else (),
        name=name,
        provenance=_provenance(node),
        channels=fitting_names(names_from_omero(attributes), letters, array.shape),
    )


def list_zarr_series(path: Path, node: Any = None) -> list[Series]:
    """Return what images a Zarr folder holds: one for each entry of ``multiscales``."""
    node = _open(path) if node is None else node
    if hasattr(node, "shape"):
        return [Series("", "", tuple(node.shape))]
    found = []
    try:
        for scales in _attributes(node)["multiscales"]:
            letters = "".join(str(axis["name"]).upper() for axis in scales["axes"])
            shape = tuple(node[scales["datasets"][0]["path"]].shape)
            found.append(Series(str(scales.get("name", "")), letters, shape))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        found = []
    if not found:
        raise ValueError(_no_image(path))
    return found


def _attributes(node: Any) -> Any:
    """Return the attributes of OME-Zarr, which 0.5 puts one level down."""
    attributes = dict(node.attrs)
    return attributes.get("ome", attributes)


def _no_image(path: Path) -> str:
    return f"{path.name} holds no OME-Zarr image: give the folder of one image in it."


def read_zarr_provenance(path: Path) -> dict[str, Any]:
    """Return what made a Zarr image of ours, empty for others."""
    try:
        return _provenance(_open(path))
    except ValueError:
        return {}


def _open(path: Path) -> Any:
    zarr = _zarr()
    try:
        return zarr.open(str(path), mode="r")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        raise ValueError(
            f"{path.name} is a damaged Zarr folder; copy it again from its source."
        ) from None


def _provenance(node: Any) -> dict[str, Any]:
    return read_provenance([node.attrs.get(KEY, "")])


def write_zarr(path: Path, image: Image, dtype: np.dtype[Any]) -> int:
    """Write OME-Zarr 0.4 with a pyramid into a new folder; return the number of clipped values."""
    order = "".join(a for a in LETTERS if a in image.axes)
    positions = [image.axes.index(a) for a in order]
    shape = tuple(image.shape[i] for i in positions)
    group = _zarr().open_group(str(path), mode="w", zarr_format=2)
    levels = [_new_level(group, 0, shape, dtype)]
    clipped = 0
    for place, plane in image.pages(order[:-2], "YX"):
        levels[0][place], count = cast_pixels(plane, dtype)
        clipped += count
    while max(levels[-1].shape[-2:]) > SMALLEST:
        levels.append(_halve(group, len(levels), levels[-1]))
    sizes = [(image.scale[i], image.units[i]) for i in positions]
    _describe(group, image, order, sizes, [level.shape for level in levels])
    return clipped


def _new_level(group: Any, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    chunks = (*(1 for _ in shape[:-2]), *(min(n, CHUNK) for n in shape[-2:]))
    return group.create_array(
        str(number),
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0,
    )


def _halve(group: Any, number: int, level: Any) -> Any:
    """Add the next level of the pyramid: means over 2 x 2 pixels."""
    shape = (*level.shape[:-2], *(-(-n // 2) for n in level.shape[-2:]))
    half = _new_level(group, number, shape, level.dtype)
    for place in np.ndindex(shape[:-2]):
        plane = np.asarray(level[place], dtype=np.float64)
        plane = np.pad(plane, [(0, n % 2) for n in plane.shape], mode="edge")
        mean = (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
        half[place] = cast_pixels(mean, level.dtype)[0]
    return half


def _describe(
    group: Any,
    image: Image,
    order: str,
    sizes: list[tuple[float, str]],
    shapes: list[tuple[int, ...]],
) -> None:
    """Write the metadata of OME-Zarr, and our record."""
    axes, datasets = [], []
    for letter, (_, unit) in zip(order, sizes, strict=True):
        axis = {"name": letter.lower(), "type": _TYPES[letter]}
        axes.append(axis | ({"unit": _NAMES[unit]} if unit in _NAMES and letter != "C" else {}))
    for number, shape in enumerate(shapes):
        factors = [first / n for first, n in zip(shapes[0], shape, strict=True)]
        scale = [size * factor for (size, _), factor in zip(sizes, factors, strict=True)]
        transform = {"type": "scale", "scale": scale}
        datasets.append({"path": str(number), "coordinateTransformations": [transform]})
    name = "".join(c for c in image.name if c.isprintable()) or KEY
    multiscale = {"version": "0.4", "name": name, "axes": axes, "datasets": datasets}
    group.attrs["multiscales"] = [multiscale]
    count = shapes[0][order.index("C")] if "C" in order else 1
    names = image.channels or default_names(count)
    colours = ("FFFFFF",) if count == 1 else _COLOURS
    channels = [
        {"label": label, "color": colours[i % len(colours)], "active": True}
        for i, label in enumerate(names)
    ]
    group.attrs["omero"] = {"channels": channels}
    group.attrs[KEY] = write_record(image, {})


def _scale(scales: Any, level: Any, ndim: int) -> tuple[float, ...]:
    """Multiply the scales of a level and of all levels."""
    size = np.ones(ndim)
    for node in (level, scales):
        for step in node.get("coordinateTransformations", []):
            if step.get("type") == "scale":
                size *= np.asarray([positive(s) or 1.0 for s in step["scale"]], dtype=float)
    return tuple(float(s) for s in size)


def _zarr() -> Any:
    try:
        import zarr
    except ImportError:
        raise ValueError(
            'Zarr folders need the package zarr: pip install "napari-dip[zarr]".'
        ) from None
    return zarr


OME_ZARR = Format(
    "OME-Zarr",
    (".zarr",),
    read_zarr,
    write_zarr,
    list_series=list_zarr_series,
    read_provenance=read_zarr_provenance,
    folder_signs=(".zarray", ".zgroup", "zarr.json", ".zattrs"),
)
