"""Pixel sizes and units as ImageJ and OME write them.

A `Calibration` gives size and unit of a pixel by axis letter, for the axes a file says something
about. Units are spelled one way on our side (``um``, ``s``, ``pixel``); the spellings in files are
many.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_dip.images.units import clean_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_dip.images.image import Image

Calibration = dict[str, tuple[float, str]]
Tags = dict[str, object]

# in um
LENGTHS = {"pm": 1e-6, "nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0}
# in s
TIMES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
OME_SPELLING = {"um": "µm", "inch": "in", "us": "µs"}


def convert(size: float, unit: str, wanted: str) -> float | None:
    """Express a size in another unit, or None where the two do not measure the same thing."""
    if unit == wanted:
        return size
    for table in (LENGTHS, TIMES):
        if unit in table and wanted in table:
            return size * table[unit] / table[wanted]
    return None


def positive(value: Any) -> float | None:
    """Return a positive finite number out of a header's number, text or rational, else None."""
    try:
        is_rational = isinstance(value, tuple) and len(value) == 2
        number = float(value[0]) / float(value[1]) if is_rational else float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def calibration_of(image: Image) -> Calibration:
    """Return the calibration of an image's axes."""
    return dict(zip(image.axes, zip(image.scale, image.units, strict=True), strict=True))


def scale_and_units(calibration: Calibration, axes: str) -> dict[str, Any]:
    """Return `Image`'s arguments `scale` and `units`, 1 pixel by default."""
    sizes = [calibration.get(a, (1.0, "pixel")) for a in axes]
    return {"scale": tuple(size for size, _ in sizes), "units": tuple(unit for _, unit in sizes)}


def agree(a: Calibration, b: Calibration, axes: str) -> bool:
    """Return whether two calibrations of `axes` agree, within what a TIFF rational can hold."""
    for axis in axes:
        one, other = a.get(axis), b.get(axis)
        if one is None or other is None:
            if one is not other:
                return False
        elif one[1] != other[1] or not math.isclose(one[0], other[0], rel_tol=1e-4):
            return False
    return True


def imagej_tags(calibration: Calibration) -> Tags:
    """Return what ImageJ keeps of a calibration.

    That is one ``unit`` for X, Y and Z, pixels per unit along X and Y, ``spacing`` along Z and
    ``finterval``. A size that has no tag (Z in another kind of unit than X, time in pixels) is left
    out.
    """
    tags: Tags = {}
    x, unit = calibration["X"]
    y = convert(*calibration["Y"], unit)
    if not (unit.isascii() and unit.isprintable()) or y is None:  # the tag is a line of ASCII text
        return tags
    if unit != "pixel" or (x, y) != (1, 1):
        tags |= {"unit": unit, "xresolution": 1 / x, "yresolution": 1 / y}
    spacing = convert(*calibration["Z"], unit) if "Z" in calibration else None
    if spacing is not None and (unit != "pixel" or spacing != 1):
        tags |= {"unit": unit, "spacing": spacing}
    interval = convert(*calibration["T"], "s") if "T" in calibration else None
    if interval is not None:
        tags["finterval"] = interval
    return tags


def imagej_calibration(tags: Mapping[str, object]) -> Calibration:
    """Read a calibration off ImageJ's tags, as `imagej_tags` names them."""
    found: Calibration = {}
    unit = clean_unit(tags.get("unit", ""))
    resolution_unit = tags.get("resolutionunit")
    if unit == "pixel" and resolution_unit == 3:
        unit = "cm"
    if unit != "pixel" or resolution_unit != 2:  # not the 72 dpi of a printer
        for axis, key in (("X", "xresolution"), ("Y", "yresolution")):
            density = positive(tags.get(key))
            if density:
                found[axis] = (1 / density, unit)
    spacing = positive(tags.get("spacing"))
    if spacing:
        found["Z"] = (spacing, unit)
    rate = positive(tags.get("fps"))
    interval = positive(tags.get("finterval")) or (1 / rate if rate else None)
    if interval:
        time_unit = clean_unit(tags.get("tunit", "s"))
        found["T"] = (interval, time_unit if time_unit in TIMES else "s")
    return found
