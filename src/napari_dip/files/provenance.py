"""The record in a written file: axes, scale, units and provenance, as one line of JSON.

TIFF tags hold sizes as rounded rationals and no singleton axes; the record holds both exactly.
Where a file was edited afterwards (another pixel size given in Fiji, slices turned into frames),
the tags win.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from napari_dip.files.channel_names import fitting_names
from napari_dip.files.pixel_sizes import Calibration, agree, positive, scale_and_units
from napari_dip.images.image import Image
from napari_dip.images.units import clean_unit

KEY = "napari-dip"
LONGEST_NOTE = 1 << 20  # characters
_PREFIX = f"{KEY} = "


@dataclass(frozen=True)
class Record:
    """What a file of ours says about itself; `written` is the calibration in its tags."""

    axes: str
    shape: tuple[int, ...]
    scale: tuple[float, ...]
    units: tuple[str, ...]
    written: Calibration = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def write_record(image: Image, written: Calibration) -> str:
    """Return the record of an image as one line of ASCII."""
    content = {
        "axes": image.axes,
        "shape": image.shape,
        "scale": image.scale,
        "units": image.units,
        "written": written,
        "provenance": dict(image.provenance),
    }
    try:
        return _PREFIX + json.dumps(content, default=_to_json)
    except (TypeError, ValueError):
        raise ValueError(
            "The image's provenance cannot be stored: it may hold text, numbers, lists and dicts."
        ) from None


def read_record(texts: Iterable[object]) -> Record | None:
    """Find and read the record among a file's texts; None where there is none or it is damaged.

    Nothing in a text is trusted: it is parsed as JSON, and every field is checked for its type.
    """
    for text in texts:
        for line in str(text).splitlines():
            if line.startswith(_PREFIX):
                try:
                    return _checked(json.loads(line.removeprefix(_PREFIX)))
                except (
                    ValueError,
                    TypeError,
                    KeyError,
                    AttributeError,
                    RecursionError,
                    OverflowError,
                ):
                    return None
    return None


def without_record(text: str) -> str:
    """Return what else than our record a text holds, without what XML and ImageJ do not know."""
    lines = (line for line in text.splitlines() if not line.startswith(_PREFIX))
    kept = ("".join(c for c in line if c.isprintable() or c == "\t") for line in lines)
    return "\n".join(kept).strip()[:LONGEST_NOTE]


def read_provenance(texts: Iterable[object]) -> dict[str, Any]:
    """Return the provenance in the record among a file's texts, empty if there is no record."""
    record = read_record(texts)
    return record.provenance if record else {}


def apply_record(
    record: Record,
    pixels: Any,
    letters: str,
    found: Calibration,
    name: str,
    channels: tuple[str, ...] = (),
) -> Image | None:
    """Lay pixels out as the record says: order of axes, singletons, exact sizes.

    `found`, what the file's tags say now, wins where it is not what was written. None where the
    file's axes are no longer those of the record; a crop still fits.
    """
    long_axes = {a for a, n in zip(record.axes, record.shape, strict=True) if n > 1} | {"Y", "X"}
    if set(letters) != long_axes or len(letters) != len(long_axes):
        return None
    order = [a for a in record.axes if a in letters]
    pixels = pixels.transpose([letters.index(a) for a in order])
    lengths = dict(zip(order, pixels.shape, strict=True))
    pixels = pixels.reshape([lengths.get(a, 1) for a in record.axes])
    exact = {"scale": record.scale, "units": record.units}
    untouched = agree(record.written, found, "".join(order))
    try:
        return Image(
            pixels,
            record.axes,
            **(exact if untouched else scale_and_units(found, record.axes)),
            name=name,
            provenance=record.provenance,
            channels=fitting_names(channels, record.axes, pixels.shape),
        )
    except ValueError:
        return None


def _checked(content: Any) -> Record:
    axes = content["axes"]
    shape = tuple(int(n) for n in content["shape"])
    scale = tuple(positive(s) or 1.0 for s in content["scale"])
    units = tuple(clean_unit(u) for u in content["units"])
    if not isinstance(axes, str) or not len(axes) == len(shape) == len(scale) == len(units):
        raise ValueError("not a record")
    written = {
        str(a): (float(size), clean_unit(unit)) for a, (size, unit) in content["written"].items()
    }
    return Record(axes, shape, scale, units, written, dict(content["provenance"]))


def _to_json(value: object) -> object:
    """Turn what JSON does not know into what it does: numpy, paths, other mappings."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
