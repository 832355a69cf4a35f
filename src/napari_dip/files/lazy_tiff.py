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
    """An array-like of grey planes: only the strips or tiles that a slice touches are decoded.

    Attributes
    ----------
    path : Path
        The file; it is opened for each slice, so that thousands of stacks need no open files.
    shape : tuple of int
        Any axes that number the pages, then Y and X.
    dtype : dtype
        Of a pixel.
    segments : list of (offsets, byte counts)
        Where each plane's strips or tiles lie.
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
        """Find the planes of a series; None unless all are grey, of one size and in this file.

        A page may hold several planes one after the other, as those of an LSM hold channels.
        """
        shape, key = series.shape, series.keyframe
        planes = 1 if key.samplesperpixel == 1 else key.samplesperpixel * (key.planarconfig == 2)
        apart = planes and key.shape == (shape[-2:] if planes == 1 else (planes, *shape[-2:]))
        if not apart or key.imagedepth != 1 or key.dtype is None or key.jpegtables is not None:
            return None
        segments = [
            segment for page in series.pages if page is not None for segment in _split(page, planes)
        ]
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
                self._read_page(file, page, rows, columns, out[at])
        return out

    def _read_page(
        self, file: BinaryIO, page: int, rows: range, columns: range, out: NDArray[Any]
    ) -> None:
        """Read some rows and columns of a page."""
        if rows.step == columns.step == 1:
            self._fill(file, page, rows[0], columns[0], out)
            return
        (top, bottom), (left, right) = _bounds(rows), _bounds(columns)
        whole = np.empty((bottom - top, right - left), self.dtype)
        self._fill(file, page, top, left, whole)
        out[:] = whole[np.ix_(np.asarray(rows) - top, np.asarray(columns) - left)]

    def _fill(self, file: BinaryIO, page: int, top: int, left: int, out: NDArray[Any]) -> None:
        """Decode the segments of a page that a rectangle touches, one after the other."""
        height, width = self.shape[-2:]
        tall, wide = self.segment_shape
        bottom, right = top + out.shape[0], left + out.shape[1]
        starts = range(top // tall * tall, bottom, tall), range(left // wide * wide, right, wide)
        for y, x in product(*starts):
            number = y // tall * -(-width // wide) + x // wide
            segment = self._decode(file, page, number)[: height - y, : width - x]
            above, before = max(y, top), max(x, left)
            inside = segment[above - y : bottom - y, before - x : right - x]
            target = out[above - top :, before - left :][: inside.shape[0], : inside.shape[1]]
            if target.shape != (min(y + tall, bottom) - above, min(x + wide, right) - before):
                raise ValueError(self.damaged)
            target[:] = inside

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


def _split(page: Any, planes: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return where the segments of each plane in a page lie, and how many bytes they have."""
    offsets, counts = tuple(page.dataoffsets), tuple(page.databytecounts)
    each = -(-len(offsets) // planes)
    return [
        (offsets[at : at + each], counts[at : at + each]) for at in range(0, each * planes, each)
    ]


def _bounds(places: range) -> tuple[int, int]:
    """Return the least place and one past the greatest."""
    return min(places), max(places) + 1
