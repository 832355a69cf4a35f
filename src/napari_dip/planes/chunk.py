"""A range of a stack as an image of its own, and such ranges as one stack again; read lazily."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.planes.canvas import full_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from napari_dip.images.image import ArrayLike, Image
    from napari_dip.planes.image_statistics import ImageStatistics


@dataclass(frozen=True)
class Chunk:
    """The range from `start` to `stop` along an axis, with the statistics of the whole stack.

    All chunks share its intensity map and noise model, so that they fit together again.
    """

    axis: int
    start: int
    stop: int
    stats: ImageStatistics

    def view(self, image: Image) -> Image:
        """Return this range of the whole stack `image`."""
        return image.with_pixels(ChunkView(image.pixels, self.axis, self.start, self.stop))


class _Lazy:
    """An array-like that calls `_read` with a whole number or a slice an axis."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[()], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = full_key(key, len(self.shape))
        return np.asarray(self[()])[key] if keys is None else self._read(list(keys))

    def _read(self, keys: list[Any]) -> NDArray[Any]:
        raise NotImplementedError


class ChunkView(_Lazy):
    """The range from `start` to `stop` along an axis of an array-like."""

    def __init__(self, pixels: ArrayLike, axis: int, start: int, stop: int) -> None:
        self.base = pixels  # by this name `release_pages` finds a memory map
        self.shape = (*pixels.shape[:axis], stop - start, *pixels.shape[axis + 1 :])
        self.dtype = pixels.dtype
        self._axis, self._range = axis, range(start, stop)

    def _read(self, keys: list[Any]) -> NDArray[Any]:
        at = self._range[keys[self._axis]]
        if isinstance(at, range):
            stop = at.stop if at.stop >= 0 else None
            keys[self._axis] = slice(at.start, stop, at.step)
        else:
            keys[self._axis] = at
        return np.asarray(self.base[tuple(keys)])


class ChunkedStack(_Lazy):
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

    def _read(self, keys: list[Any]) -> NDArray[Any]:
        axis, at = self._axis, range(self.shape[self._axis])[keys[self._axis]]
        if isinstance(at, range):
            planes = [self._read([*keys[:axis], i, *keys[axis + 1 :]]) for i in at]
            return np.stack(planes, axis=sum(isinstance(key, slice) for key in keys[:axis]))
        number = bisect_right(self._bounds, at) - 1
        if number != self._number:
            self.base, self._number = self._open_chunk(number), number
        assert self.base is not None
        return np.asarray(self.base[(*keys[:axis], at - self._bounds[number], *keys[axis + 1 :])])
