"""Pixel sizes and units as ImageJ and OME write them.

A `Calibration` gives size and unit of a pixel by axis letter, for the axes a file says something about. Units
are spelled one way on our side (``um``, ``s``, ``pixel``); the spellings found in files are many.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Mapping

Calibration = dict[str, tuple[float, str]]
Tags = dict[str, object]

LENGTHS = {
    "pm": 1e-6,
    "nm": 1e-3,
    "um": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "inch": 25400.0,
}  # in um
TIMES = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}  # in s
OME_SPELLING = {"um": "µm", "inch": "in", "us": "µs"}
_ALIASES = {
    **dict.fromkeys(
        ("µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre"), "um"
    ),
    **dict.fromkeys(("nanometer", "nanometers", "nanometre"), "nm"),
    **dict.fromkeys(("millimeter", "millimeters", "millimetre"), "mm"),
    **dict.fromkeys(("centimeter", "centimeters", "centimetre"), "cm"),
    **dict.fromkeys(("meter", "meters", "metre"), "m"),
    **dict.fromkeys(("in", "inches"), "inch"),
    **dict.fromkeys(("sec", "second", "seconds"), "s"),
    **dict.fromkeys(("msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("µs", "μs", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("minute", "minutes"), "min"),
    **dict.fromkeys(("hour", "hours", "hr"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("", "pixels", "px", "voxel", "voxels"), "pixel"),
}
_LONGEST_UNIT = 16


def clean_unit(text: object) -> str:
    """Return one spelling for a unit, ``"pixel"`` for what cannot be a unit.

    Headers are written by strangers: a unit that is long or holds unprintable characters is not passed on.
    """
    unit = str(text).strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    lower = unit.lower()
    if lower in _ALIASES:
        return _ALIASES[lower]
    if unit in LENGTHS or unit in TIMES:
        return unit
    return unit if len(unit) <= _LONGEST_UNIT and unit.isprintable() else "pixel"


def converted(size: float, unit: str, wanted: str) -> float | None:
    """Express a size in another unit, or None where the two do not measure the same thing."""
    if unit == wanted:
        return size
    for table in (LENGTHS, TIMES):
        if unit in table and wanted in table:
            return size * table[unit] / table[wanted]
    return None


def agree(a: Calibration, b: Calibration, axes: str) -> bool:
    """Whether two calibrations say the same about `axes`, within what a TIFF rational can hold."""
    for axis in axes:
        one, other = a.get(axis), b.get(axis)
        if (one is None) != (other is None):
            return False
        if (
            one
            and other
            and not (one[1] == other[1] and math.isclose(one[0], other[0], rel_tol=1e-4))
        ):
            return False
    return True


def imagej_tags(calibration: Calibration) -> Tags:
    """Return what ImageJ keeps of a calibration.

    That is one ``unit`` for X, Y and Z, pixels per unit along X and Y, ``spacing`` along Z and ``finterval``.
    A size without a place there (Z in another kind of unit than X, time in pixels) is left out.
    """
    tags: Tags = {}
    unit = calibration["X"][1]
    x, y = calibration["X"][0], converted(*calibration["Y"], unit)
    if not (unit.isascii() and unit.isprintable()) or y is None:  # the tag is a line of ASCII text
        return tags
    if unit != "pixel" or (x, y) != (1, 1):
        tags |= {"unit": unit, "xresolution": 1 / x, "yresolution": 1 / y}
    spacing = converted(*calibration["Z"], unit) if "Z" in calibration else None
    if spacing is not None and (unit != "pixel" or spacing != 1):
        tags |= {"unit": unit, "spacing": spacing}
    interval = converted(*calibration["T"], "s") if "T" in calibration else None
    if interval is not None:
        tags["finterval"] = interval
    return tags


def imagej_calibration(tags: Mapping[str, object]) -> Calibration:
    """Read a calibration off ImageJ's tags, as `imagej_tags` names them (``resolutionunit`` 3 means cm)."""
    found: Calibration = {}
    named = clean_unit(tags.get("unit", ""))
    if named == "pixel" and tags.get("resolutionunit") == 3:
        named = "cm"
    per_inch = (
        named == "pixel" and tags.get("resolutionunit") == 2
    )  # 72 dpi of a printer says nothing here
    for axis, key in (("X", "xresolution"), ("Y", "yresolution")):
        density = positive(tags.get(key))
        if density and not per_inch:
            found[axis] = (1 / density, named)
    spacing = positive(tags.get("spacing"))
    if spacing:
        found["Z"] = (spacing, named)
    rate = positive(tags.get("fps"))
    interval = positive(tags.get("finterval")) or (1 / rate if rate else None)
    if interval:
        unit = clean_unit(tags.get("tunit", "s"))
        found["T"] = (interval, unit if unit in TIMES else "s")
    return found


def ome_attributes(calibration: Calibration) -> Tags:
    """Return OME's PhysicalSize and TimeIncrement attributes, leaving out units that OME does not know."""
    attributes: Tags = {}
    for axis, (size, unit) in calibration.items():
        if axis in "XYZ" and (unit in LENGTHS or (unit == "pixel" and size != 1)):
            attributes[f"PhysicalSize{axis}"] = size
            attributes[f"PhysicalSize{axis}Unit"] = OME_SPELLING.get(unit, unit)
        elif axis == "T" and unit in TIMES:
            attributes["TimeIncrement"] = size
            attributes["TimeIncrementUnit"] = OME_SPELLING.get(unit, unit)
    return attributes


def ome_calibration(attributes: Mapping[str, object]) -> Calibration:
    """Read a calibration off the attributes of OME's Pixels element."""
    found: Calibration = {}
    for axis in "XYZ":
        size = positive(attributes.get(f"PhysicalSize{axis}"))
        if size:
            found[axis] = (size, clean_unit(attributes.get(f"PhysicalSize{axis}Unit", "um")))
    interval = positive(attributes.get("TimeIncrement"))
    if interval:
        found["T"] = (interval, clean_unit(attributes.get("TimeIncrementUnit", "s")))
    return found


def ome_header(xml: str) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the first image's Pixels attributes, its channels' names, and the comments; empty if broken."""
    if (
        "<!DOCTYPE" in xml or "<!ENTITY" in xml
    ):  # OME-XML has neither; entities can be made to fill the memory
        return {}, [], []
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        return {}, [], []
    pixels = root.find(".//{*}Image/{*}Pixels")
    comments = [node.text or "" for node in root.iterfind(".//{*}CommentAnnotation/{*}Value")]
    if pixels is None:
        return {}, [], comments
    return (
        dict(pixels.attrib),
        [node.get("Name", "") for node in pixels.iterfind("{*}Channel")],
        comments,
    )


def positive(value: object) -> float | None:
    """Return a positive finite number out of a header's value (a number, a text or a rational), else None."""
    try:
        if isinstance(value, tuple) and len(value) == 2:
            number = float(value[0]) / float(value[1])
        else:
            number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None
