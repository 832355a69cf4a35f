"""Pixels that lie in a file as they are, read when they are wanted.

Not by a memory map: a file that gets shorter under a map, as on a disk that fails, ends the process
by a signal; reading it ends in a sentence.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.lazy_array import LazyArray, as_slice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class RawPixels(LazyArray):
    """An array-like of the bytes of a file from an offset on, in C order.

    Parameters
    ----------
    path : Path
        The file; it is opened for each slice, so that thousands of stacks need no open files.
    dtype : dtype
        Of a pixel, with the byte order of the file.
    offset : int
        Where the first pixel begins.
    shape : tuple of int
        Length of each axis.
    damaged : str
        The sentence for a file that has become shorter.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        offset: int,
        shape: tuple[int, ...],
        damaged: str,
    ) -> None:
        self.path, self.dtype, self.offset = path, dtype, offset
        self.shape, self.damaged = tuple(shape), damaged

    def reshape(self, shape: Any) -> RawPixels:
        """Number the pixels by other axes."""
        wanted = tuple(int(n) for n in shape)
        if prod(wanted) != self.size:
            raise ValueError(f"{self.size} pixels have no shape {wanted}")
        return RawPixels(self.path, self.dtype, self.offset, wanted, self.damaged)

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        out = np.empty([len(places) for places in ranges], self.dtype)
        # What is read at once: a piece of one axis, and all axes after it, which are wanted whole.
        split = self.ndim - 1
        while split and ranges[split] == range(self.shape[split]):
            split -= 1
        if ranges[split].step != 1 and split < self.ndim - 1:
            split += 1  # one by one: what lies between them may be much
        low, high = min(ranges[split]), max(ranges[split]) + 1
        inside = range(ranges[split].start - low, ranges[split].stop - low, ranges[split].step)
        block = (high - low, *self.shape[split + 1 :])
        with self.path.open("rb", buffering=0) as file:
            for to in np.ndindex(out.shape[:split]):
                place = [places[i] for places, i in zip(ranges, to, strict=False)]
                first = int(np.ravel_multi_index((*place, low), self.shape[: split + 1]))
                file.seek(self.offset + first * prod(block[1:]) * self.dtype.itemsize)
                if inside.step == 1:
                    self._fill(file, out[to])
                else:
                    self._fill(file, pixels := np.empty(block, self.dtype))
                    out[to] = pixels[as_slice(inside)]
        return out

    def _fill(self, file: Any, pixels: NDArray[Any]) -> None:
        view, done = pixels.reshape(-1).view(np.uint8).data, 0
        while done < len(view):
            count = file.readinto(view[done:])
            if not count:
                raise ValueError(self.damaged)
            done += count
