"""Where the answers of a stack land, plane by plane: in memory, or in a temporary file where they are large.

A plane is put once and never changes. So a picture of the stack as it stands now needs no copy of it: it remembers how
many planes were there, shows those from the canvas, and all others as they were at the start.
"""

from __future__ import annotations

import shutil
import tempfile
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import Image, PlaneIndex, release_pages

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

IN_FILE_FROM = 1 << 30  # bytes of float32 pixels that are no longer held in memory


class Canvas:
    """A float32 stack that is filled plane by plane.

    Parameters
    ----------
    start : Image
        What the stack shows where no plane was put yet; read by the plane.
    in_file_from : int, optional
        Bytes from which the planes go to a temporary file, which has no name and is gone with the canvas; 1 GB by
        default.

    Raises
    ------
    OSError
        If the disk of temporary files has no room for them.
    """

    def __init__(self, start: Image, *, in_file_from: int | None = None) -> None:
        self.start = start
        self.indices = start.plane_indices()
        self.order = {
            index: number for number, index in enumerate(_hashable(i) for i in self.indices)
        }
        self.done = 0
        size = prod(start.shape) * 4
        self.in_file = size >= (IN_FILE_FROM if in_file_from is None else in_file_from)
        self.stack: NDArray[np.float32]
        self.stack = (
            _on_disk(start.shape, size) if self.in_file else np.empty(start.shape, dtype=np.float32)
        )

    def put(self, plane: NDArray[Any] | None) -> None:
        """Put the next plane, in the layout of `start`; None leaves it as it was at the start."""
        index = self.indices[self.done]
        self.stack[index] = self.start.pixels[index] if plane is None else plane
        self.done += 1
        release_pages(self.stack)

    def picture(self, done: int, current: NDArray[Any] | None = None) -> Picture:
        """Return the stack as it stood when `done` planes were put, with `current` in the place of the next one."""
        return Picture(self, done, current)


class Picture:
    """A stack as it stood at one moment, as an array-like that reads only what is asked for.

    Attributes
    ----------
    shape, dtype, ndim
        As numpy has them; dtype is float32.
    """

    def __init__(self, canvas: Canvas, done: int, current: NDArray[Any] | None) -> None:
        self._canvas, self._done, self._current = canvas, done, current
        self.shape = canvas.start.shape
        self.dtype: np.dtype[np.float32] = np.dtype(np.float32)
        self.ndim = len(self.shape)
        self.size = prod(self.shape)
        self.nbytes = self.size * 4

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the whole stack as numpy."""
        return np.asarray(self[()], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Read a part, as numpy would: whole numbers and slices by the plane, all else from the whole stack."""
        keys = full_key(key, self.ndim)
        if keys is None:
            return np.asarray(self[()][key], dtype=np.float32)
        whole = [isinstance(part, slice) for part in self._canvas.indices[0]]  # the axes of a plane
        ranges = [
            range(n)[k] if isinstance(k, slice) else [range(n)[k]]
            for k, n in zip(keys, self.shape, strict=True)
        ]
        out = np.empty([len(r) for r in ranges], dtype=np.float32)
        inner = tuple(
            (k if isinstance(k, slice) else slice(r[0], r[0] + 1))
            for k, r, w in zip(keys, ranges, whole, strict=True)
            if w
        )
        stack_axes = [axis for axis, w in enumerate(whole) if not w]
        for places in product(*(enumerate(ranges[axis]) for axis in stack_axes)):
            at: list[Any] = [slice(None)] * self.ndim
            index: list[Any] = [slice(None)] * self.ndim
            for axis, (to, origin) in zip(stack_axes, places, strict=True):
                at[axis], index[axis] = to, origin
            out[tuple(at)] = self._plane(tuple(index))[inner]
        release_pages(self._canvas.stack)  # what was read stays in the file
        return out[tuple(slice(None) if isinstance(k, slice) else 0 for k in keys)]

    def _plane(self, index: PlaneIndex) -> NDArray[Any]:
        number = self._canvas.order[_hashable(index)]
        if number < self._done:
            return self._canvas.stack[index]
        if number == self._done and self._current is not None:
            return self._current
        return np.asarray(self._canvas.start.pixels[index])


def _on_disk(shape: tuple[int, ...], size: int) -> NDArray[np.float32]:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if size > free:
        raise OSError(
            f"The answer takes {size:,} bytes on the disk of temporary files while it is made, and {free:,} are free "
            f"in {tempfile.gettempdir()}: make room, or set TMPDIR to a folder on another disk."
        )
    with tempfile.TemporaryFile() as file:  # the mapping keeps it
        file.truncate(size)
        return np.memmap(file, np.float32, "r+", shape=shape)


def full_key(key: Any, ndim: int) -> tuple[Any, ...] | None:
    """Return a whole number or slice an axis, None where the key is more than that."""
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(int(k) if isinstance(k, np.integer) else k for k in parts)
    if (
        any(not isinstance(k, int | slice) and k is not Ellipsis for k in parts)
        or parts.count(Ellipsis) > 1
    ):
        return None
    if any(isinstance(k, bool) for k in parts):
        return None
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    left, right = parts[:at], parts[at + 1 :]
    missing = ndim - len(left) - len(right)
    if missing < 0:
        return None
    return (*left, *([slice(None)] * missing), *right)


def _hashable(index: PlaneIndex) -> tuple[int, ...]:
    return tuple(i for i in index if isinstance(i, int))
