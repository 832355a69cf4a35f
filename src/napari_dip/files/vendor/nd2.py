"""ND2 of Nikon, by nd2 (BSD-3-Clause)."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.pixel_sizes import Calibration
from napari_dip.files.vendor.scene import Place, Scene, Unsupported, vendor_format
from napari_dip.images.details import Details

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PLANES_DESCRIBED = 5000
"""Planes up to which times and positions are read, one by one."""


def open_nd2(path: Path) -> list[Scene]:
    """Describe the positions of an ND2 file."""
    import nd2

    file = nd2.ND2File(path)
    sizes = dict(file.sizes)
    if any(n > 1 for a, n in sizes.items() if a not in "TZCYXPS"):
        raise Unsupported.axes({a: n for a, n in sizes.items() if n > 1}, "TZCYXPS")
    loops = [a for a in sizes if a not in "CYXS"]
    count = prod(sizes[a] for a in loops)
    if missing := _missing_frames(file, path, count):
        raise Unsupported.missing(missing, count)
    order = [a for a in sizes if a in "TZ"] + [a for a in ("C", "Y", "X", "S") if a in sizes]
    positions = sizes.get("P", 1)
    names = file._position_names() if positions > 1 else [""]
    channels = tuple(channel.channel.name for channel in file.metadata.channels or ())
    scenes = []
    for number in range(positions):
        at = partial(_frame_number, loops, tuple(sizes[a] for a in loops), number)
        scenes.append(
            Scene(
                names[number],
                {a: sizes[a] for a in order},
                np.dtype(file.dtype),
                partial(_plane, file, at, "C" in sizes),
                _calibration(file),
                channels,
                _details(file),
                file.close,
                partial(_planes_details, file, at, sizes),
            )
        )
    return scenes


def _missing_frames(file: Any, path: Path, count: int) -> int:
    """Return how many frames fewer a file holds than its loops say."""
    about = file.attributes
    starts = getattr(getattr(file, "_rdr", None), "_frame_offsets", None)
    if starts is None or count > about.sequenceCount:
        return max(0, count - int(about.sequenceCount))
    whole = about.compressionType is None
    size = about.heightPx * about.widthBytes if whole and about.widthBytes else 0
    end = path.stat().st_size - size
    return sum(number not in starts or starts[number] > end for number in range(count))


def _frame_number(loops: list[str], lengths: tuple[int, ...], position: int, place: Place) -> int:
    """Return the place of a plane in the file's sequence of frames."""
    if not loops:
        return 0
    at = {"P": position} | place
    return int(np.ravel_multi_index(tuple(at.get(a, 0) for a in loops), lengths))


def _plane(file: Any, at: Any, has_channels: bool, place: Place) -> NDArray[Any]:
    frame = file.read_frame(at(place))  # a view of the mapped file, all channels
    return np.asarray(frame[place.get("C", 0)] if has_channels else frame)


def _calibration(file: Any) -> Calibration:
    volume = file.metadata.channels[0].volume
    size = dict(zip("XYZ", file.voxel_size(), strict=True))
    known = dict(zip("XYZ", volume.axesCalibrated, strict=True))
    found: Calibration = {a: (size[a], "um") for a in "XYZ" if known[a] and size[a] > 0}
    for loop in file.experiment:
        period = getattr(loop.parameters, "periodMs", 0) or _mean_period(loop)
        if loop.type in ("TimeLoop", "NETimeLoop") and period > 0:
            found["T"] = (period / 1000, "s")
    return found


def _mean_period(loop: Any) -> float:
    """Return what was measured between frames that were taken as fast as it went, in ms."""
    measured = getattr(loop.parameters, "periodDiff", None)
    return float(getattr(measured, "avg", 0) or 0)


def _details(file: Any) -> Details:
    """Return colours, wavelengths and the date."""
    about = []
    for one in file.metadata.channels or ():
        channel = one.channel
        colour = channel.color
        found: dict[str, Any] = {"Color": f"{colour.r:02X}{colour.g:02X}{colour.b:02X}"}
        waves = (channel.emissionLambdaNm, channel.excitationLambdaNm)
        for key, wave in zip(("EmissionWavelength", "ExcitationWavelength"), waves, strict=True):
            if wave and wave > 0:
                found[key] = wave
        about.append(found)
    return Details(date=_date(file), channels=tuple(about))


def _planes_details(
    file: Any, at: Any, sizes: dict[str, int]
) -> dict[tuple[int, int, int], dict[str, Any]]:
    """Return times and positions of the stage."""
    planes: dict[tuple[int, int, int], dict[str, Any]] = {}
    count, depth, channels = (sizes.get(a, 1) for a in "TZC")
    if count * depth > PLANES_DESCRIBED:
        return planes
    for t, z in np.ndindex(count, depth):
        try:
            frame = file.frame_metadata(at({"T": t, "Z": z}))
        except IndexError:  # no times
            break
        for c, one in enumerate(frame.channels[:channels]):
            planes[t, z, c] = _plane_details(one)
    return planes


def _plane_details(frame: Any) -> dict[str, Any]:
    place = frame.position.stagePositionUm
    found = {"DeltaT": frame.time.relativeTimeMs / 1000}
    for axis, value in zip("XYZ", place, strict=True):
        found |= {f"Position{axis}": value, f"Position{axis}Unit": "µm"}
    return found


def _date(file: Any) -> str:
    """Return when the file was made, where it says so in the way that is usual."""
    try:
        text = file.text_info.get("date", "")
        return datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").isoformat()
    except (ValueError, TypeError, AttributeError):
        return ""


ND2 = vendor_format("ND2", (".nd2",), "nd2", open_nd2)
