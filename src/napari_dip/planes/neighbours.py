"""The planes near each plane of a stack, as far as they help to predict it.

Planes before and after show the same with noise of their own. Whether they do is not assumed: each
is matched to the plane, whose pixels are predicted from those around them with that neighbour and
without (`napari_dip.nets.neighbours.Judge`). One that does not help is left out, as across a cut,
beside a blank frame, or where all has moved too far, and another stands in for it: a network that
goes on from plane to plane always sees as many. Near the ends of a stack the neighbours are those
at the one side. A neighbour of the same noise, such as a frame that was stored twice or
interpolated, would predict the noise: it is left out as well.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.images.nearby import ALONG, offsets
from napari_dip.planes.chunk import Chunk
from napari_dip.planes.image_statistics import ImageStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

NEARBY = "Planes nearby along "  # begins the note
SAME_NOISE = (
    "Neighbours left out since they have a plane's own noise, as frames that were stored twice or "
    "interpolated: {}."
)

Slot = tuple[str, int]  # an axis and how far away along it, such as ("T", -1)
Places = tuple[int, ...]  # of a plane along the axes of the stack


def neighbours_note(provenance: Mapping[str, Any]) -> str:
    """Return the sentences for the user on what `Neighbours.to_json` has recorded."""
    used: list[str] = provenance.get("neighbours_used", [])
    if not used:
        return ""
    along, helped = " and ".join(provenance["neighbours_along"]), len(used) - used.count("")
    note = f"{NEARBY}{along} helped in {helped} of {len(used)} planes."
    if len(used) == 1:
        note = f"{NEARBY}{along} that helped: {used[0] or 'none'}."
    same = provenance["neighbours_of_same_noise"]
    return f"{note} {SAME_NOISE.format(same)}" if same else note


class Neighbours:
    """Reads, matches and judges the planes near each plane of an image.

    Parameters
    ----------
    source : Image
        The whole stack.
    stats : ImageStatistics
        Of `source`.
    count : int
        Planes at most before, and as many after, along each axis.
    along : str
        The axes, T and Z by default.
    chunk : Chunk, optional
        Part of `source` whose planes are asked for; indices are then those in this part.

    Attributes
    ----------
    axes : list of str
        Along which there are neighbours.
    used : dict of str
        Of each plane that was asked for: its neighbours that help, such as ``"T-1 T+1"``.
    same_noise : dict of int
        Of each, how many were left out since they have the plane's own noise.
    """

    def __init__(
        self,
        source: Image,
        stats: ImageStatistics,
        count: int,
        along: str = ALONG,
        chunk: Chunk | None = None,
    ) -> None:
        self.source, self.stats, self.count, self.chunk = source, stats, count, chunk
        lengths = zip(source.axes, source.shape, strict=True)
        self.axes = [axis for axis, n in lengths if axis in along and n > 1 and count]
        self.used: dict[Places, str] = {}
        self.same_noise: dict[Places, int] = {}
        self._read: OrderedDict[Places, NDArray[np.float32] | None] = OrderedDict()

    def note(self, indices: Sequence[PlaneIndex]) -> str:
        """Return sentences for the user on some planes."""
        return neighbours_note(self.to_json(indices))

    def to_json(self, indices: Sequence[PlaneIndex]) -> dict[str, Any]:
        """Return what was used for some planes, for the provenance; "" for one left as it is."""
        if not self.axes:
            return {}
        places = [_places(self._in_source(index)) for index in indices]
        return {
            "neighbours_used": [self.used.get(place, "") for place in places],
            "neighbours_along": "".join(self.axes),
            "neighbours_of_same_noise": sum(self.same_noise.get(place, 0) for place in places),
        }

    def near(
        self, index: PlaneIndex, y: Tensor, noise: float, hole: tuple[int, int]
    ) -> Tensor | None:
        """Return the neighbours of a plane that help, matched to it.

        Parameters
        ----------
        index : PlaneIndex
            Of the plane.
        y : Tensor
            Shape (C, Y, X), the plane in the unit range.
        noise : float
            Standard deviation of its noise.
        hole : (int, int)
            How far pixels share their noise.

        Returns
        -------
        Tensor or None
            Shape (N * C, Y, X), N the number of slots along the axes that help; None where no
            neighbour does.
        """
        import torch

        from napari_dip.nets.neighbours import Judge

        index = self._in_source(index)
        mean = y.mean()
        x = (y - mean) / noise
        slots = [(axis, n) for axis in self.axes for n in self._offsets(index, axis)]
        planes = {slot: self._plane_at(index, *slot) for slot in slots}
        others = {
            slot: (torch.as_tensor(plane).to(y) - mean) / noise
            for slot, plane in planes.items()
            if plane is not None
        }
        matches, self.same_noise[_places(index)] = Judge(x, hole).choose(others)
        kept = {slot: found.apply(others[slot]) for slot, found in matches.items()}
        self.used[_places(index)] = " ".join(f"{axis}{offset:+d}" for axis, offset in kept)
        near = [_stand_in(slot, kept) for slot in slots if any(slot[0] == axis for axis, _ in kept)]
        return torch.cat(near) * noise + mean if near else None

    def as_many(self, index: PlaneIndex, y: Tensor, noise: float, hole: tuple[int, int]) -> Tensor:
        """Return (2 * count, C, Y, X): as `near`, along one axis, for a trained network.

        Where no neighbour helps, the plane's own surroundings stand in.
        """
        from napari_dip.nets.neighbours import surroundings

        near = self.near(index, y, noise, hole)
        if near is None:
            return surroundings(y, hole).expand(2 * self.count, -1, -1, -1)
        return near.reshape(2 * self.count, *y.shape)

    def _in_source(self, index: PlaneIndex) -> PlaneIndex:
        return self.chunk.index_in_whole(index) if self.chunk else index

    def _offsets(self, index: PlaneIndex, axis: str) -> list[int]:
        """Return how far along an axis the neighbours of a plane lie."""
        at = self.source.axes.index(axis)
        place, length = index[at], self.source.shape[at]
        assert isinstance(place, int)
        return offsets(place, length, self.count)

    def _plane_at(self, index: PlaneIndex, axis: str, offset: int) -> NDArray[np.float32] | None:
        """Return a plane near another in the unit range; None where not all of it is finite.

        Those read last are kept, so that each is read and repaired once.
        """
        at = self.source.axes.index(axis)
        place = index[at]
        assert isinstance(place, int)
        wanted = (*index[:at], place + offset, *index[at + 1 :])
        key = _places(wanted)
        if key not in self._read:
            self._read[key] = None
            if np.isfinite(self.source.plane(wanted)).all():
                unit_range = self.stats.unit_range(self.source, wanted)
                pixels = unit_range.to_unit(self.stats.repair(self.source, wanted))
                self._read[key] = pixels.astype(np.float32)
            if len(self._read) > 2 * self.count * len(self.axes) + 1:
                self._read.popitem(last=False)
        self._read.move_to_end(key)
        return self._read[key]


def _places(index: PlaneIndex) -> Places:
    return tuple(-1 if isinstance(i, slice) else i for i in index)


def _stand_in(slot: Slot, kept: dict[Slot, Tensor]) -> Tensor:
    """Return the neighbour of a slot, or of those kept along its axis the one nearest to it."""
    axis, offset = slot
    return kept[axis, min((n for other, n in kept if other == axis), key=lambda n: abs(n - offset))]
