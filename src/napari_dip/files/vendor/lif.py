"""LIF of Leica, by liffile (BSD-3-Clause)."""

from __future__ import annotations

from functools import partial
from io import BufferedReader, FileIO
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.pixel_sizes import Calibration
from napari_dip.files.vendor.scene import Place, Scene, vendor_format
from napari_dip.images.details import Details

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_COLOURS = {
    "red": "FF0000",
    "green": "00FF00",
    "blue": "0000FF",
    "cyan": "00FFFF",
    "magenta": "FF00FF",
    "yellow": "FFFF00",
    "gray": "FFFFFF",
    "grey": "FFFFFF",
}


class InPlace(BufferedReader):
    """A file whose next long read goes into memory that is there, without a copy."""

    place: memoryview | None = None

    def read(self, size: int | None = -1, /) -> Any:
        """Read so many bytes, into `place` where that has as many."""
        if self.place is None or self.place.nbytes != size:
            return super().read(size)
        done = 0
        while done < size and (count := self.readinto(self.place[done:])):
            done += count
        return self.place[:done]


def open_lif(path: Path) -> list[Scene]:
    """Describe the images of a LIF file; tiles of a mosaic are images of their own."""
    import liffile

    file = liffile.LifFile(InPlace(FileIO(path)))
    return [scene for image in file.images if not image.is_flim for scene in _scenes(image)]


def _scenes(image: Any) -> list[Scene]:
    """Describe one image: what is scanned along another axis than Y is a plane all the same."""
    frame = [a for a in image.frames.frame_dims if a != "S"]
    stack = [a for a in image.dims if a not in image.frames.frame_dims]
    names = _rename(stack, frame)
    split = [a for a in stack if a not in names]  # tiles, and what else there may be
    sizes = {names[a]: image.sizes[a] for a in (*stack, *frame) if a in names}
    if "S" in image.sizes:
        sizes["S"] = image.sizes["S"]
    calibration = _calibration(image, names)
    channels, about = [], []
    for channel in image._channels:
        colour = _COLOURS.get(str(channel.lut_name).lower())
        about.append({"Color": colour} if colour else {})
        channels.append(channel.name_of_measured_quantity or "")
    taken = image.timestamps
    date = str(taken[0]) if taken is not None and len(taken) else ""
    details = Details(date=date, channels=tuple(about))
    scenes = []
    for places in np.ndindex(*(image.sizes[a] for a in split)):
        fixed = dict(zip(split, places, strict=True))
        read = partial(_plane, image, {new: old for old, new in names.items()}, fixed)
        tile = "".join(f" {a}{n}" for a, n in fixed.items())
        dtype = np.dtype(image.dtype)
        name, close = image.name + tile, image.parent.filehandle.close
        scenes.append(Scene(name, sizes, dtype, read, calibration, tuple(channels), details, close))
    return scenes


def _rename(stack: list[str], frame: list[str]) -> dict[str, str]:
    """Name the axes of frames Y and X, and others as they are, or by what is free.

    Scans of lines along Z (xz) have no Y, or a stack of them; wavelengths become channels.
    """
    names = dict(zip(frame, "YX", strict=True))
    free = [a for a in "ZCT" if a not in stack]
    for letter in stack:
        if letter in "TZC":
            names[letter] = letter
        elif letter != "M" and free:
            wave = letter in ("λ", "Λ") and "C" in free
            names[letter] = "C" if wave else free[0]
            free.remove(names[letter])
    return names


def _plane(image: Any, old: dict[str, str], fixed: Place, place: Place) -> NDArray[Any]:
    there = {old[a]: n for a, n in place.items() if a in old and a not in "YX"}
    frames, file = image.frames, image.parent.filehandle
    out = np.empty(frames.frame_shape, image.dtype)
    file.place = out.reshape(-1).view(np.uint8).data
    try:
        return np.asarray(image.frame(**there, **fixed, out=out))
    finally:
        file.place = None


def _calibration(image: Any, names: dict[str, str]) -> Calibration:
    found: Calibration = {}
    for letter, places in image.coords.items():
        new = names.get(letter, "C")
        step = abs(float(places[-1] - places[0])) / max(1, len(places) - 1)
        if new == "T" and letter == "T" and step > 0:
            found["T"] = (step, "s")
        elif letter in "XYZ" and step > 0:
            found[new] = (round(step * 1e6, 12), "um")
    return found


LIF = vendor_format("LIF", (".lif",), "liffile", open_lif)
