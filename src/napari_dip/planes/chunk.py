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
    """Chunks along an axis as one float32 array-like; only the one read last is kept open.

    Parameters
    ----------
    shape : tuple of int
        Of the whole.
    axis : int
        Along which the chunks lie.
    bounds : sequence of int
        Where each begins, and the end of the last.
    open_chunk : callable
        Is given the number of a chunk and returns its pixels.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        axis: int,
        bounds: Sequence[int],
        open_chunk: Callable[[int], ArrayLike],
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(np.float32)
        self._axis, self._bounds, self._open_chunk = axis, bounds, open_chunk
        self._number = -1
        self.base: ArrayLike | None = None  # the chunk that is open

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        out = np.empty([len(places) for places in ranges], self.dtype)
        keys = [as_slice(places) for places in ranges]
        for plane, place in zip(np.moveaxis(out, self._axis, 0), ranges[self._axis], strict=True):
            number = bisect_right(self._bounds, place) - 1
            if number != self._number:
                self.base, self._number = self._open_chunk(number), number
            assert self.base is not None
            inside = (*keys[: self._axis], place - self._bounds[number], *keys[self._axis + 1 :])
            plane[...] = self.base[inside]
        return out
