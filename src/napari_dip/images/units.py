"""One spelling for a unit, out of the many in files and arrays."""

from __future__ import annotations

_SPELLINGS = {
    "pm": "picometer",
    "ns": "nanosecond",
    "um": "µm μm micron microns micrometer micrometers micrometre",
    "nm": "nanometer nanometers nanometre",
    "mm": "millimeter millimeters millimetre",
    "cm": "centimeter centimeters centimetre",
    "m": "meter meters metre",
    "inch": "in inches",
    "s": "sec second seconds",
    "ms": "msec millisecond milliseconds",
    "us": "µs μs microsecond microseconds",
    "min": "minute minutes",
    "h": "hour hours hr",
    "d": "day days",
    "pixel": "pixels px voxel voxels",
}
_UNITS = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
_LONGEST_UNIT = 16


def clean_unit(text: object) -> str:
    """Return one spelling for a unit, ``"pixel"`` for what cannot be a unit.

    Headers are not trusted: a unit that is long or holds unprintable characters is not passed on.
    """
    unit = str(text).strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    if unit.lower() in _UNITS:
        return _UNITS[unit.lower()]
    return unit if unit and len(unit) <= _LONGEST_UNIT and unit.isprintable() else "pixel"
