"""OIB and OIF of Olympus, by oiffile (BSD-3-Clause)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.pixel_sizes import TIMES, Calibration, convert, positive
from napari_dip.files.vendor.scene import Place, Scene, Unsupported, vendor_format
from napari_dip.images.details import Details
from napari_dip.images.units import clean_unit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def open_oif(path: Path) -> list[Scene]:
    """Describe the image of an OIB or OIF file; each of its planes is a TIFF."""
    import oiffile

    file = oiffile.OifFile(path)
    planes = file.series[0]
    files = list(planes)
    letters = list(planes.axes) if len(files) > 1 else []
    first = file.asarray(files[0])
    if len(letters) != len(planes.shape) and letters:
        raise ValueError("planes without places")
    sizes = dict(zip(letters, planes.shape, strict=True)) if letters else {}
    if any(n > 1 for a, n in sizes.items() if a not in "TZC"):
        raise Unsupported.axes({a: n for a, n in sizes.items() if n > 1}, "TZC")
    by_place = dict(zip(planes.indices if letters else [()], files, strict=True))
    read = partial(_plane, file, letters, by_place)
    header = file.mainfile
    sizes = {a: sizes[a] for a in "TZC" if a in sizes} | {"Y": first.shape[0], "X": first.shape[1]}
    names, details = _channels(header, sizes.get("C", 1))
    size = _calibration(header, sizes)
    return [Scene("", sizes, first.dtype, read, size, names, details, file.close)]


def _plane(file: Any, letters: list[str], by_place: Any, place: Place) -> NDArray[Any]:
    return np.asarray(file.asarray(by_place[tuple(place.get(a, 0) for a in letters)]))


def _calibration(header: Any, sizes: dict[str, int]) -> Calibration:
    found: Calibration = {}
    image = header.get("Reference Image Parameter", {})
    for axis, side in (("X", "Width"), ("Y", "Height")):
        size = positive(image.get(f"{side}ConvertValue"))
        if size:
            found[axis] = (size, clean_unit(image.get(f"{side}Unit", "um")))
    for number in range(8):
        one = header.get(f"Axis {number} Parameters Common", {})
        axis, count = one.get("AxisCode"), sizes.get(one.get("AxisCode"), 1)
        if axis not in ("Z", "T") or count < 2 or not {"StartPosition", "EndPosition"} <= {*one}:
            continue
        step = abs(float(one["EndPosition"]) - float(one["StartPosition"])) / (count - 1)
        unit = clean_unit(one.get("UnitName", "nm" if axis == "Z" else "ms"))
        wanted = "s" if unit in TIMES else "um"
        if (size := convert(step, unit, wanted)) and size > 0:
            found[axis] = (size, wanted)
    return found


def _channels(header: Any, count: int) -> tuple[tuple[str, ...], Details]:
    """Return names and wavelengths; the window lists channels that were not taken, too."""
    windows = [header.get(f"GUI Channel {n} Parameters", {}) for n in range(1, 33)]
    by_name = {one["CH Name"]: one for one in windows if "CH Name" in one}
    names, about = [], []
    for number in range(1, count + 1):
        taken = header.get(f"Channel {number} Parameters", windows[number - 1])
        name = taken.get("CH Name", "")
        one = by_name.get(name, windows[number - 1])
        dye = taken.get("DyeName") or one.get("DyeName")
        names.append(str(name if dye in ("", None, "None") else dye))
        found = {}
        for key in ("EmissionWavelength", "ExcitationWavelength"):
            if wave := positive(one.get(key)):
                found[key] = wave
        about.append(found)
    date = str(header.get("Acquisition Parameters Common", {}).get("ImageCaputreDate", ""))
    return tuple(names), Details(date=date.strip("'").replace(" ", "T"), channels=tuple(about))


OIF = vendor_format("OIB/OIF", (".oib", ".oif"), "oiffile", open_oif, companions=".files")
