"""The pages of a TIFF stack that can't be mapped (compressed or scattered), decoded when wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from napari_dip.images.lazy_array import LazyArray

if TYPE_CHECKING:
    from pathlib import Path

    import tifffile
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LazyPages(LazyArray):
    """An array-like of grey pages: only the strips or tiles that a slice touches are decoded.

    Attributes
    ----------
    path : Path
        The file; it is opened for each slice, so that thousands of stacks need no open files.
    shape : tuple of int
        Any axes that number the pages, then Y and X.
    dtype : dtype
        Of a pixel.
    segments : list of (offsets, byte counts)
        Where each page's strips or tiles lie.
    segment_shape : (int, int)
        Rows and columns of a strip or tile.
    decode : callable
        tifffile's decoder of a segment.
    damaged : str
        The sentence for a file that can't be decoded.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    segments: list[tuple[tuple[int, ...], tuple[int, ...]]]
    segment_shape: tuple[int, int]
    decode: Callable[..., Any]
    damaged: str

    @classmethod
    def of(cls, path: Path, series: tifffile.TiffPageSeries, damaged: str) -> Self | None:
        """Find the pages of a series; None unless they are grey, of one size and in this file."""
        shape, key = series.shape, series.keyframe
        segments = [
            (tuple(p.dataoffsets), tuple(p.databytecounts)) for p in series.pages if p is not None
        ]
        grey = key.samplesperpixel == key.imagedepth == 1 and key.shape == shape[-2:]
        if not grey or key.dtype is None or key.jpegtables is not None:
            return None
        if series.is_multifile or series.transform is not None:
            return None
        if len(segments) != prod(shape[:-2]) or any(0 in counts for _, counts in segments):
            return None  # some are left out as blank
        height, width = key.chunks
        count = -(-shape[-2] // height) * -(-shape[-1] // width)
        size = path.stat().st_size
        for offsets, counts in segments:
            if len(offsets) != count or max(map(sum, zip(offsets, counts, strict=True))) > size:
                raise ValueError(damaged)
        dtype = np.dtype(key.dtype)
        pages = cls(path, tuple(shape), dtype, segments, (height, width), key.decode, damaged)
        with path.open("rb") as file:
            key.decode(pages._bytes(file, 0, 0), 0)  # a codec that is missing is said now
        return pages

    def reshape(self, shape: Any) -> Any:
        """Number the pages by other axes; a change to Y or X decodes everything."""
        wanted = tuple(int(n) for n in shape)
        if wanted[-2:] == self.shape[-2:] and prod(wanted) == self.size:
            return replace(self, shape=wanted)
        return super().reshape(wanted)

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        *stack, rows, columns = ranges
        out = np.empty([len(places) for places in ranges], self.dtype)
        with self.path.open("rb") as file:
            for at in np.ndindex(out.shape[:-2]):
                place = tuple(places[i] for places, i in zip(stack, at, strict=True))
                page = int(np.ravel_multi_index(place, self.shape[:-2])) if place else 0
                out[at] = self._read_page(file, page, rows, columns)
        return out

    def _read_page(self, file: BinaryIO, page: int, rows: range, columns: range) -> NDArray[Any]:
        """Decode the segments of a page that some rows and columns touch."""
        height, width = self.shape[-2:]
        tall, wide = self.segment_shape
        top, bottom = _bounds(rows)
        left, right = _bounds(columns)
        first_row, first_column = top // tall * tall, left // wide * wide
        whole = np.zeros((bottom - first_row, right - first_column), self.dtype)
        for y, x in product(range(first_row, bottom, tall), range(first_column, right, wide)):
            number = y // tall * -(-width // wide) + x // wide
            segment = self._decode(file, page, number)[: height - y, : width - x]
            target = whole[y - first_row :, x - first_column :][:tall, :wide]
            target[:] = segment[: target.shape[0], : target.shape[1]]
        inner = np.asarray(rows) - first_row, np.asarray(columns) - first_column
        return np.asarray(whole[np.ix_(*inner)])

    def _decode(self, file: BinaryIO, page: int, number: int) -> NDArray[Any]:
        data = self._bytes(file, page, number)
        try:
            decoded = None
            if len(data) == self.segments[page][1][number]:
                decoded = self.decode(data, number)[0]
        except Exception as error:  # a damaged stream can raise anything in a decoder
            raise ValueError(self.damaged) from error
        if decoded is None:
            raise ValueError(self.damaged)
        return np.asarray(decoded[0, :, :, 0])

    def _bytes(self, file: BinaryIO, page: int, number: int) -> bytes:
        offsets, counts = self.segments[page]
        file.seek(offsets[number])
        return file.read(counts[number])


def _bounds(places: range) -> tuple[int, int]:
    """Return the least place and one past the greatest."""
    return min(places), max(places) + 1
