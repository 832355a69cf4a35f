"""A range of a stack as an image of its own, and such ranges as one stack again; read lazily."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.lazy_array import LazyArray, as_slice
from napari_dip.images.part import PartOf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_dip.images.image import ArrayLike, Image, PlaneIndex
    from napari_dip.planes.image_statistics import ImageStatistics


@dataclass(frozen=True)
class Chunk:
    """The range from `start` to `stop` along an axis, with the statistics of the whole stack.

    All chunks share its intensity map and noise model, so that they fit together again. A plane to
    be looked at by itself may do without them: where `stats` is None its own are measured. `more`
    has ranges along further axes. `carried` are the weights that fits of the planes before have
    ended with, where those of this range go on from them; they are left there for the next range.
    """

    axis: int
    start: int
    stop: int
    stats: ImageStatistics | None
    more: Mapping[int, range] = field(default_factory=dict)
    carried: Any = None

    @property
    def is_first(self) -> bool:
        """Whether it begins where the stack does."""
        return self.start == 0 and all(places[0] == 0 for places in self.more.values())

    def view(self, image: Image) -> Image:
        """Return this range of the whole stack `image`."""
        return image.with_pixels(PartOf(image.pixels, self._ranges))

    def index_in_whole(self, index: PlaneIndex) -> PlaneIndex:
        """Return the index in the whole stack of a plane of this range."""
        whole = list(index)
        for axis, places in self._ranges.items():
            place = index[axis]
            assert isinstance(place, int)
            whole[axis] = places[place]
        return tuple(whole)

    @property
    def _ranges(self) -> dict[int, range]:
        return {self.axis: range(self.start, self.stop), **self.more}


class ChunkedStack(LazyArray):
    """Chunks of a stack as one float32 array-like; only the one read last is kept open.

    Parameters
    ----------
    shape : tuple of int
        Of the whole.
    axes : sequence of int
        Those that are divided. Their places are counted in the order of storage; a chunk is a range
        of them along the last, at one place of the others.
    bounds : sequence of int
        Where each chunk begins, and the end of the last.
    open_chunk : callable
        Is given the number of a chunk and returns its pixels.
    elsewhere : callable, optional
        Is given an index of a place after the last chunk and returns the pixels there.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        axes: Sequence[int],
        bounds: Sequence[int],
        open_chunk: Callable[[int], ArrayLike],
        elsewhere: Callable[[tuple[Any, ...]], Any] | None = None,
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(np.float32)
        self._axes, self._bounds = axes, bounds
        self._open_chunk, self._elsewhere = open_chunk, elsewhere
        self._number = -1
        self.base: ArrayLike | None = None  # the chunk that is open

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        out = np.empty([len(places) for places in ranges], self.dtype)
        to: list[Any] = [slice(None)] * len(ranges)
        index: list[Any] = [as_slice(places) for places in ranges]
        for numbers in np.ndindex(*(len(ranges[axis]) for axis in self._axes)):
            for axis, number in zip(self._axes, numbers, strict=True):
                to[axis], index[axis] = number, ranges[axis][number]
            out[tuple(to)] = self._place(index)
        return out

    def _place(self, index: list[Any]) -> Any:
        lengths = [self.shape[axis] for axis in self._axes]
        place = int(np.ravel_multi_index([index[axis] for axis in self._axes], lengths))
        if place >= self._bounds[-1] and self._elsewhere is not None:
            return self._elsewhere(tuple(index))
        number = bisect_right(self._bounds, place) - 1
        if number != self._number:
            self.base, self._number = self._open_chunk(number), number
        assert self.base is not None
        inside = list(index)
        for axis in self._axes:
            inside[axis] = 0
        inside[self._axes[-1]] = place - self._bounds[number]
        return self.base[tuple(inside)]
