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

    def transpose(self, order: Sequence[int]) -> Any:
        """Return the axes in another order; nothing is read."""
        return self if list(order) == list(range(self.ndim)) else Reordered(self, order)

    def reshape(self, shape: Sequence[int]) -> Any:
        """Put axes of one place in or leave them out; another shape reads everything."""
        wanted = tuple(int(n) for n in shape)
        longer = [axis for axis, n in enumerate(self.shape) if n != 1]
        if [n for n in wanted if n != 1] != [self.shape[axis] for axis in longer]:
            return np.asarray(self).reshape(wanted)
        left = iter(longer)
        order = [None if n == 1 else next(left) for n in wanted]
        return self if wanted == self.shape else Reordered(self, order)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = _full_key(key, self.ndim)
        if keys is None:
            return np.asarray(self[()][key])
        ranges = [
            range(n)[k] if isinstance(k, slice) else range(range(n)[k], range(n)[k] + 1)
            for k, n in zip(keys, self.shape, strict=True)
        ]
        lengths = [len(places) for places in ranges]
        pixels = self._read(ranges) if prod(lengths) else np.empty(lengths, self.dtype)
        return np.asarray(pixels[tuple(slice(None) if isinstance(k, slice) else 0 for k in keys)])

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        """Read the pixels at these places along each axis, one or more; all axes stay."""
        raise NotImplementedError


class Reordered(LazyArray):
    """Another array-like with its axes in another order; what is asked for is read from it.

    Parameters
    ----------
    pixels : LazyArray
        The other one.
    order : sequence of int or None
        Its axes, None for one of one place that it has not; of those that are left out the first
        place is taken.
    """

    def __init__(self, pixels: LazyArray, order: Sequence[int | None]) -> None:
        self.base, self.order = pixels, [None if axis is None else int(axis) for axis in order]
        self.shape = tuple(1 if axis is None else pixels.shape[axis] for axis in self.order)
        self.dtype = pixels.dtype

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        slices = list(map(as_slice, ranges))
        keys: list[int | slice] = [0] * self.base.ndim
        for axis, places in zip(self.order, slices, strict=True):
            if axis is not None:
                keys[axis] = places
        kept = [axis for axis in self.order if axis is not None]
        pixels = self.base[tuple(keys)].transpose([sorted(kept).index(axis) for axis in kept])
        return pixels.reshape([len(places) for places in ranges])


def as_slice(places: range) -> slice:
    """Return the slice that names these places of an axis, one or more."""
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
