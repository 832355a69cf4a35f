"""IMS of Imaris, which is HDF5, by h5py (BSD-3-Clause)."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.pixel_sizes import Calibration, positive
from napari_dip.files.vendor.scene import Place, Scene, vendor_format
from napari_dip.images.details import Details
from napari_dip.images.units import clean_unit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LEVEL = "DataSet/ResolutionLevel 0"
MOST_KEPT = 64 << 20  # bytes of chunks, so that each is decompressed once and not for each plane


def open_ims(path: Path) -> list[Scene]:
    """Describe the image of an IMS file: its finest level."""
    import h5py

    file = h5py.File(path, "r", rdcc_nbytes=0)
    if layer := _layer(file[f"{LEVEL}/TimePoint 0/Channel 0/Data"]):
        file.close()
        file = h5py.File(path, "r", rdcc_nbytes=layer)
    level = file[LEVEL]
    times = len(level)
    channels = len(level["TimePoint 0"])
    info = file["DataSetInfo/Image"].attrs
    lengths = {axis: int(_text(info[axis])) for axis in "ZYX"}  # arrays may be padded
    sizes = {"T": times, "C": channels, **lengths}
    dtype = np.dtype(level["TimePoint 0/Channel 0/Data"].dtype).newbyteorder("=")
    names, about = [], []
    for number in range(channels):
        group = file.get(f"DataSetInfo/Channel {number}")
        one = {} if group is None else group.attrs
        names.append(_text(one.get("Name", "")))
        about.append(_channel(one))
    taken = _dates(file, times)
    details = Details(date=taken[0] if taken else "", channels=tuple(about))
    # The chunks that are kept go with the array: it stays open for the next plane.
    array = lru_cache(maxsize=1)(lambda t, c: level[f"TimePoint {t}/Channel {c}/Data"])
    read = partial(_plane, array, lengths["Y"], lengths["X"])
    calibration = _calibration(info, lengths, taken)
    return [Scene("", sizes, dtype, read, calibration, tuple(names), details, file.close)]


def _layer(array: Any) -> int:
    """Return how many bytes of chunks to keep: a layer where it holds several planes, or none."""
    if array.chunks is None or array.chunks[0] == 1:
        return 0
    depth, *sides = array.chunks
    padded = prod(-(-n // side) * side for n, side in zip(array.shape[1:], sides, strict=True))
    layer = int(depth * padded * array.dtype.itemsize)
    return layer if layer <= MOST_KEPT else 0


def _plane(array: Any, height: int, width: int, place: Place) -> NDArray[Any]:
    t, c, z = (place.get(a, 0) for a in "TCZ")
    return np.asarray(array(t, c)[z, :height, :width])


def _text(value: Any) -> str:
    """Return an attribute, which IMS stores letter by letter."""
    if isinstance(value, str):
        return value
    return b"".join(np.atleast_1d(value).astype("S1").tolist()).decode("utf-8", "replace")


def _calibration(info: Any, lengths: dict[str, int], taken: list[str]) -> Calibration:
    """Return the sizes of pixels, from the ends of the volume; of time the mean step."""
    unit = clean_unit(_text(info.get("Unit", "um")))
    found: Calibration = {}
    for number, axis in enumerate("XYZ"):
        ends = [float(_text(info.get(f"Ext{end}{number}", "0"))) for end in ("Min", "Max")]
        if size := positive((ends[1] - ends[0]) / lengths[axis]):
            found[axis] = (round(size, 9), unit)
    if len(taken) > 1:
        spans = [datetime.fromisoformat(one) for one in (taken[0], taken[-1])]
        step = (spans[1] - spans[0]).total_seconds() / (len(taken) - 1)
        if step > 0:
            found["T"] = (step, "s")
    return found


def _dates(file: Any, count: int) -> list[str]:
    """Return when each time point was taken; none where one of them is no date."""
    group = file.get("DataSetInfo/TimeInfo")
    attributes = {} if group is None else group.attrs
    texts = [_text(attributes.get(f"TimePoint{n + 1}", "")) for n in range(count)]
    try:
        return [datetime.fromisoformat(text).isoformat() for text in texts]
    except ValueError:
        return []


def _channel(attributes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    parts = _numbers(attributes, "Color")
    if len(parts) >= 3:
        found["Color"] = "".join(f"{round(255 * min(1.0, max(0.0, p))):02X}" for p in parts[:3])
    ends = _numbers(attributes, "ColorRange")[:2]
    if len(ends) == 2 and np.isfinite(ends).all():
        found["Range"] = ends
    waves = {"LSMEmissionWavelength": "EmissionWavelength"}
    waves["LSMExcitationWavelength"] = "ExcitationWavelength"
    for theirs, ours in waves.items():
        if number := positive(_text(attributes.get(theirs, ""))):
            found[ours] = number
    return found


def _numbers(attributes: Any, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _text(attributes[name]).split())
    except (KeyError, ValueError):
        return ()


IMS = vendor_format("IMS", (".ims",), "h5py", open_ims)
