"""A range of a stack as a stack of its own, and such ranges as one stack again; both read only what is asked for."""

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
class Part:
    """Which places along one axis, and what the whole stack says: its intensity map and noise hold for every part."""

    axis: int
    start: int
    stop: int
    stats: ImageStatistics

    def of(self, image: Image) -> Image:
        """Return the part of a whole stack."""
        return image.with_pixels(View(image.pixels, self.axis, self.start, self.stop))


class _Lazy:
    """What numpy asks of an array-like, from `_read`, which is given a whole number or a slice an axis."""

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


class View(_Lazy):
    """The places from `start` to `stop` along an axis of an array-like."""

    def __init__(self, pixels: ArrayLike, axis: int, start: int, stop: int) -> None:
        self.base = pixels  # by this name `release_pages` finds a memory map
        self.shape = (*pixels.shape[:axis], stop - start, *pixels.shape[axis + 1 :])
        self.dtype = pixels.dtype
        self._axis, self._places = axis, range(start, stop)

    def _read(self, keys: list[Any]) -> NDArray[Any]:
        at = self._places[keys[self._axis]]
        keys[self._axis] = (
            at
            if isinstance(at, int)
            else slice(at.start, at.stop if at.stop >= 0 else None, at.step)
        )
        return np.asarray(self.base[tuple(keys)])


class Joined(_Lazy):
    """Pieces along an axis as one array-like; only the piece that was read last is kept open.

    Parameters
    ----------
    shape : tuple of int
        Of the whole.
    axis : int
        Along which the pieces lie.
    bounds : sequence of int
        Where each begins, and the end of the last.
    opened : callable
        Is given the number of a piece and returns its pixels, float32.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        axis: int,
        bounds: Sequence[int],
        opened: Callable[[int], ArrayLike],
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(np.float32)
        self._axis, self._bounds, self._opened = axis, bounds, opened
        self._number = -1
        self.base: ArrayLike | None = None  # the piece that is open

    def _read(self, keys: list[Any]) -> NDArray[Any]:
        axis, at = self._axis, range(self.shape[self._axis])[keys[self._axis]]
        if isinstance(at, range):
            places = [self._read([*keys[:axis], place, *keys[axis + 1 :]]) for place in at]
            return np.stack(places, axis=sum(isinstance(key, slice) for key in keys[:axis]))
        number = bisect_right(self._bounds, at) - 1
        if number != self._number:
            self.base, self._number = self._opened(number), number
        assert self.base is not None
        return np.asarray(self.base[(*keys[:axis], at - self._bounds[number], *keys[axis + 1 :])])
