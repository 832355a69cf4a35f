"""The answers of a stack, plane by plane: in memory, or in a temporary file where they are large.

A plane is put once and never changes. So a picture of the stack as it stands now needs no copy of
it: it remembers how many planes were there, shows those from the canvas, and all others as they
were at the start.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import ArrayLike, Image, PlaneIndex, release_pages
from napari_dip.images.lazy_array import LazyArray, as_slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

IN_FILE_FROM = 1 << 26  # bytes of float32 pixels that are no longer held in memory
IN_MEMORY_TO = 1 << 30  # bytes that are, where the disk of temporary files has no room for them


class Canvas:
    """A float32 stack that is filled plane by plane.

    Parameters
    ----------
    start : Image
        What the stack shows where no plane was put yet; read by the plane.
    in_file_from : int, optional
        Bytes from which the planes go to a temporary file, which has no name and is gone with the
        canvas; 64 MB by default. Up to 1 GB stays in memory where the disk has no room.
    """

    def __init__(self, start: Image, *, in_file_from: int | None = None) -> None:
        self.start = start
        self.indices = start.plane_indices()
        self.numbers = {_hashable(index): number for number, index in enumerate(self.indices)}
        self.done = 0
        size = prod(start.shape) * 4
        self.in_file = size >= (IN_FILE_FROM if in_file_from is None else in_file_from)
        if self.in_file and size < IN_MEMORY_TO:
            self.in_file = size <= shutil.disk_usage(tempfile.gettempdir()).free
        self.stack: NDArray[np.float32] = (
            _on_disk(start.shape, size) if self.in_file else np.empty(start.shape, np.float32)
        )

    def put(self, plane: NDArray[Any] | None) -> None:
        """Put the next plane, in the layout of `start`; None leaves it as it was at the start."""
        index = self.indices[self.done]
        self.stack[index] = self.start.pixels[index] if plane is None else plane
        self.done += 1
        release_pages(self.stack)

    def picture(self, done: int, current: NDArray[Any] | None = None) -> Picture:
        """Return the stack after `done` planes, with `current` in place of the next one."""
        return Picture(self, done, current)


class Picture(LazyArray):
    """A stack as it stood at one moment, float32, read plane by plane."""

    def __init__(self, canvas: Canvas, done: int, current: NDArray[Any] | None) -> None:
        self._canvas, self._done, self._current = canvas, done, current
        self.shape, self.dtype = canvas.start.shape, np.dtype(np.float32)

    def _read(self, ranges: Sequence[range]) -> NDArray[np.float32]:
        out = np.empty([len(places) for places in ranges], np.float32)
        inner: list[slice] = []
        pairs: list[list[tuple[Any, Any]]] = []  # an index in `out`, and one in the stack
        for places, key in zip(ranges, self._canvas.indices[0], strict=True):
            if isinstance(key, slice):  # an axis of a plane
                inner.append(as_slice(places))
                pairs.append([(slice(None), slice(None))])
            else:
                pairs.append(list(enumerate(places)))
        for place in product(*pairs):
            to, index = zip(*place, strict=True)
            out[to] = self._plane(index)[tuple(inner)]
        release_pages(self._canvas.stack)  # what was read stays in the file
        return out

    def _plane(self, index: PlaneIndex) -> NDArray[Any]:
        number = self._canvas.numbers[_hashable(index)]
        if number < self._done:
            return self._canvas.stack[index]
        if number == self._done and self._current is not None:
            return self._current
        return np.asarray(self._canvas.start.pixels[index])


def as_dask(picture: Picture, like: Image) -> ArrayLike:
    """Return a picture as a dask array of a chunk a plane; nothing is read."""
    import dask.array

    key = like.plane_indices()[0]
    chunks = [n if isinstance(k, slice) else 1 for n, k in zip(like.shape, key, strict=True)]
    make: Any = dask.array.from_array
    array: ArrayLike = make(picture, chunks=tuple(chunks), name=False)
    return array


def _on_disk(shape: tuple[int, ...], size: int) -> NDArray[np.float32]:
    if size > shutil.disk_usage(tempfile.gettempdir()).free:
        raise OSError(_no_room(size))
    with tempfile.TemporaryFile() as file:  # the mapping keeps it
        if hasattr(os, "posix_fallocate"):  # else a disk that fills up would end the process
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise OSError(_no_room(size)) from error
        file.truncate(size)
        return np.memmap(file, np.float32, "r+", shape=shape)


def _no_room(size: int) -> str:
    folder = tempfile.gettempdir()
    return (
        f"The answer takes {size:,} bytes on the disk of temporary files while it is made, and "
        f"{shutil.disk_usage(folder).free:,} are free in {folder}: make room, or set TMPDIR to a "
        "folder on another disk."
    )


def _hashable(index: PlaneIndex) -> tuple[int, ...]:
    return tuple(i for i in index if isinstance(i, int))
