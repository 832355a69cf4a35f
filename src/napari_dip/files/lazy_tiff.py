"""The pages of a TIFF stack that can't be mapped, compressed or scattered: decoded in part, when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import tifffile
    from numpy.typing import DTypeLike, NDArray

    Segment = tuple[int, int, int, int]  # rows from and to, columns from and to


@dataclass(frozen=True, eq=False)
class Pages:
    """An array-like of grey pages: only the strips or tiles that a slice touches are read and decoded.

    Attributes
    ----------
    path : Path
        The file; it is opened for each slice, so that thousands of stacks need no open files.
    shape : tuple of int
        Any axes that number the pages, then Y and X.
    dtype : dtype
        Of a pixel.
    places : list of (offsets, byte counts)
        Of each page's segments.
    segment : tuple of int
        Rows and columns of a segment.
    decode : callable
        tifffile's decoder of a segment.
    damaged : str
        The sentence for a file that can't be decoded.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    places: list[tuple[tuple[int, ...], tuple[int, ...]]]
    segment: tuple[int, int]
    decode: Callable[..., Any]
    damaged: str

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
        """Bytes of all pixels, decoded."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Decode everything."""
        return np.asarray(self[(slice(None),) * self.ndim], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Decode what whole numbers and slices name; other keys decode everything first."""
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > self.ndim or not all(isinstance(k, int | np.integer | slice) for k in keys):
            return np.asarray(np.asarray(self)[key])
        full = [*keys, *[slice(None)] * (self.ndim - len(keys))]
        ranges = [_range(k, n) for k, n in zip(full, self.shape, strict=True)]
        out = np.empty([len(r) for r in ranges], self.dtype)
        with self.path.open("rb") as file:
            for at in product(*(range(len(r)) for r in ranges[:-2])):
                numbers = tuple(r[i] for r, i in zip(ranges[:-2], at, strict=True))
                number = int(np.ravel_multi_index(numbers, self.shape[:-2])) if numbers else 0
                out[at] = self._part(file, number, ranges[-2], ranges[-1])
        return np.asarray(out[tuple(slice(None) if isinstance(k, slice) else 0 for k in full)])

    def reshape(self, shape: Any) -> Any:
        """Number the pages by other axes; a change to Y or X decodes everything."""
        wanted = tuple(int(n) for n in shape)
        if wanted[-2:] == self.shape[-2:] and prod(wanted) == self.size:
            return replace(self, shape=wanted)
        return np.asarray(self).reshape(wanted)

    def transpose(self, order: Any) -> Any:
        """Reorder the axes, which decodes everything unless they stay as they are."""
        return self if list(order) == list(range(self.ndim)) else np.asarray(self).transpose(order)

    def _part(self, file: Any, number: int, rows: range, columns: range) -> NDArray[Any]:
        """Decode the segments of a page that some rows and columns touch."""
        height, width = self.shape[-2:]
        tall, wide = self.segment
        top, bottom = _ends(rows)
        left, right = _ends(columns)
        first_row, first_column = top // tall * tall, left // wide * wide
        whole = np.zeros((bottom - first_row, right - first_column), self.dtype)
        for down, across in product(
            range(first_row, bottom, tall), range(first_column, right, wide)
        ):
            index = down // tall * -(-width // wide) + across // wide
            piece = self._segment(file, number, index)[: height - down, : width - across]
            place = whole[
                down - first_row : down - first_row + tall,
                across - first_column : across - first_column + wide,
            ]
            place[:] = piece[: place.shape[0], : place.shape[1]]
        inner = np.asarray(rows) - first_row, np.asarray(columns) - first_column
        return np.asarray(whole[np.ix_(*inner)])

    def _segment(self, file: Any, number: int, index: int) -> NDArray[Any]:
        offsets, counts = self.places[number]
        file.seek(offsets[index])
        data = file.read(counts[index])
        try:
            found = self.decode(data, index)[0] if len(data) == counts[index] else None
        except Exception as error:  # a damaged stream can raise anything in a decoder
            raise ValueError(self.damaged) from error
        if found is None:
            raise ValueError(self.damaged)
        return np.asarray(found[0, :, :, 0])

    @classmethod
    def of(cls, path: Path, series: tifffile.TiffPageSeries, damaged: str) -> Self | None:
        """Find the pages of a series; None if they are no grey pages of one size, or the file needs other files.

        Raises
        ------
        ValueError
            If a segment lies outside the file, or the first one can't be decoded.
        """
        shape, key, dtype = series.shape, series.keyframe, series.keyframe.dtype
        places = [
            (tuple(p.dataoffsets), tuple(p.databytecounts)) for p in series.pages if p is not None
        ]
        grey = (
            key.samplesperpixel == 1
            and key.imagedepth == 1
            and key.shape == shape[-2:]
            and dtype is not None
        )
        if (
            not grey
            or key.jpegtables is not None
            or series.is_multifile
            or series.transform is not None
        ):
            return None
        if len(places) != prod(shape[:-2]) or any(
            0 in counts for _, counts in places
        ):  # some are left out as blank
            return None
        tall, wide = key.chunks
        segments = -(-shape[-2] // tall) * -(-shape[-1] // wide)
        end = path.stat().st_size
        if any(
            len(o) != segments or max(map(sum, zip(o, c, strict=True))) > end for o, c in places
        ):
            raise ValueError(damaged)
        found = cls(path, tuple(shape), np.dtype(dtype), places, (tall, wide), key.decode, damaged)
        with path.open("rb") as file:
            key.decode(_first(file, places[0]), 0)  # a codec that is missing is said now
        return found


def _first(file: Any, place: tuple[tuple[int, ...], tuple[int, ...]]) -> bytes:
    file.seek(place[0][0])
    data: bytes = file.read(place[1][0])
    return data


def _range(key: int | np.integer[Any] | slice, length: int) -> range:
    """Return the places that a key names along an axis."""
    if isinstance(key, slice):
        return range(length)[key]
    place = range(length)[int(key)]  # refuses what is out of bounds
    return range(place, place + 1)


def _ends(places: range) -> tuple[int, int]:
    """Return the least place and one past the greatest."""
    return (min(places), max(places) + 1) if len(places) else (0, 0)
