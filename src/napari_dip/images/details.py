"""`Details`: what a file says of an acquisition beside axes, sizes and names, to be passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Details:
    """Colours, display ranges, wavelengths, times and positions, by the names that OME gives them.

    No computation uses them; a writer stores those that its format holds.

    Parameters
    ----------
    date : str
        When the image was taken, ISO 8601.
    channels : tuple of mapping
        One mapping each along C, or the only channel's; empty where nothing is known. ``Color`` is
        six hexadecimal digits, ``Range`` the lowest and highest value shown, ``LUT`` a (3, 256)
        array of uint8; all other keys are attributes of OME's Channel, such as
        ``EmissionWavelength``.
    planes : mapping
        From (t, z, c) to attributes of OME's Plane, such as ``DeltaT`` and ``PositionX``, and
        ``Label``, the text that ImageJ shows above a plane.
    note : str
        Free text: ImageJ's Info, OME's Description.
    origin : mapping
        From an axis letter to where its first pixel lies, in the unit of that axis.
    """

    date: str = ""
    channels: tuple[Attributes, ...] = ()
    planes: Mapping[tuple[int, int, int], Attributes] = field(default_factory=dict)
    origin: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def take(self, axis: str, places: Sequence[int]) -> Details:
        """Return the details of some places along an axis, in the order given."""
        if axis not in "TZC":
            return self
        at = "TZC".index(axis)
        by_place: dict[int, list[tuple[tuple[int, int, int], Attributes]]] = {}
        for place, attributes in self.planes.items():
            by_place.setdefault(place[at], []).append((place, attributes))
        planes: dict[tuple[int, int, int], Attributes] = {}
        for number, old in enumerate(places):
            for place, attributes in by_place.get(old, []):
                t, z, c = (number if i == at else n for i, n in enumerate(place))
                planes[t, z, c] = attributes
        channels = self.channels
        if axis == "C" and channels:
            channels = tuple(channels[i] for i in places if i < len(channels))
        return replace(self, planes=planes, channels=channels)

    def rename(self, names: Mapping[str, str]) -> Details:
        """Return the details of an image whose axes are called otherwise: old letters to new."""
        old = {new: letter for letter, new in names.items()}
        kept = [old.get(axis, "" if axis in names else axis) for axis in "TZC"]
        planes = {}
        for place, attributes in self.planes.items():
            at = dict(zip("TZC", place, strict=True))
            t, z, c = (at.get(axis, 0) for axis in kept)
            planes[t, z, c] = attributes
        channels = self.channels if kept[2] == "C" or not names else ()
        return replace(self, planes=planes, channels=channels)

    def of_channels(self, key: str, count: int) -> list[Any]:
        """Return one attribute of each of `count` channels, None where it is not known."""
        if len(self.channels) != count:
            return [None] * count
        return [channel.get(key) for channel in self.channels]
