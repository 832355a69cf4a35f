"""`LazyArray`: an array-like that reads only what is asked for."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray


class LazyArray:
    """The base of array-likes that read by whole numbers and slices; other keys read all.

    A class that derives from it sets `shape` and `dtype` and defines `_read`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[()], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = _full_key(key, self.ndim)
        if keys is None:
            return np.asarray(self[()][key])
        ranges = [
            range(n)[k] if isinstance(k, slice) else range(range(n)[k], range(n)[k] + 1)
            for k, n in zip(keys, self.shape, strict=True)
        ]
        pixels = self._read(ranges)
        return np.asarray(pixels[tuple(slice(None) if isinstance(k, slice) else 0 for k in keys)])

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        """Read the pixels at these places along each axis; all axes stay."""
        raise NotImplementedError


class Reordered(LazyArray):
    """Another array-like with its axes in another order; what is asked for is read from it."""

    def __init__(self, pixels: LazyArray, order: Sequence[int]) -> None:
        self.base, self.order = pixels, [int(axis) for axis in order]
        self.shape, self.dtype = tuple(pixels.shape[axis] for axis in self.order), pixels.dtype

    def transpose(self, order: Sequence[int]) -> Reordered:
        """Reorder the axes again; nothing is read."""
        return Reordered(self.base, [self.order[axis] for axis in order])

    def reshape(self, shape: Sequence[int]) -> Any:
        """Return itself where the shape stays; another one reads everything."""
        return self if tuple(shape) == self.shape else np.asarray(self).reshape(shape)

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        keys = {axis: as_slice(places) for axis, places in zip(self.order, ranges, strict=True)}
        pixels = self.base[tuple(keys[axis] for axis in range(self.ndim))]
        return pixels.transpose(self.order)


def as_slice(places: range) -> slice:
    """Return the slice that names these places of an axis."""
    if not places:
        return slice(0, 0)
    return slice(places.start, places.stop if places.stop >= 0 else None, places.step)


def _full_key(key: Any, ndim: int) -> list[int | slice] | None:
    """Return a whole number or slice an axis, None where the key is more than that."""
    keys = [int(k) if isinstance(k, np.integer) else k for k in np.index_exp[key]]
    dots = [number for number, k in enumerate(keys) if k is Ellipsis]
    for at in dots[:1]:
        keys[at : at + 1] = [slice(None)] * (ndim - len(keys) + 1)
    keys += [slice(None)] * (ndim - len(keys))
    if len(keys) > ndim or any(type(k) not in (int, slice) for k in keys):
        return None
    return keys
