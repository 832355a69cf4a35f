"""Images that training reads a crop at a time; few are open at once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.files.read_write import read
from napari_dip.images.image import Image, release_pages
from napari_dip.images.nearby import offsets
from napari_dip.images.part import WHOLE, Part, take_part
from napari_dip.noise.even_noise import Normalisation
from napari_dip.noise.hot_pixels import replace_hot_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.images.image import PlaneIndex

BUDGET = 256 << 20  # bytes of files that are kept open or mapped
OPEN = 2 << 20  # bytes that a file counts for which is read by the slice: 128 of them are open
MIDDLE = 512  # side of the square that an image's noise is measured on


class Source:
    """One image: a file, opened when needed, or an Image in hand."""

    def __init__(self, image: Image | Path, axes: str | None = None, part: Part = WHOLE) -> None:
        if isinstance(image, Image):
            image = take_part(image, part.of_image())
        self.image, self.axes, self.part = image, axes, part
        self.keep_hot_pixels = False
        # By channel and `stabilise`; measured when first wanted.
        self.normalisations: dict[tuple[int | None, bool], Normalisation] = {}
        opened = self.open()
        self.shape, self.letters, self.dtype = opened.shape, opened.axes, opened.dtype
        self.is_rgb, self.remarks = opened.is_rgb, opened.remarks
        self.name = opened.name or "array"
        if self.dtype.kind not in "buif":
            raise ValueError(
                f"{self.name} has pixels of type {self.dtype}; give integers or floats."
            )

    def open(self) -> Image:
        """Return the image; a file is read, or mapped where it is large."""
        if isinstance(self.image, Image):
            return self.image
        return read(self.image, axes=self.axes, **self.part.given())

    def fingerprint(self) -> str:
        """Return name, size and age of a file, name, shape and type of an array."""
        if isinstance(self.image, Image):
            return f"{self.name} {self.shape} {self.dtype}"
        stat = self.image.stat()
        part = "".join(f" {what} {of}" for what, of in self.part.given().items())
        return f"{self.image.name} {stat.st_size} {stat.st_mtime_ns}{part}"


class FileCache:
    """Open images; those used longest ago are closed after `budget` bytes were read."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self.open: OrderedDict[int, tuple[Image, int]] = OrderedDict()

    def read(self, source: Source, index: PlaneIndex) -> NDArray[np.float64]:
        """Read a part of an image."""
        if isinstance(source.image, Image):
            return _read(source.image, index)
        image, used = self.open.pop(id(source), (None, 0))
        if image is None:
            image = source.open()
            used = image.pixels.nbytes if isinstance(image.pixels, np.ndarray) else OPEN
        crop = _read(image, index)
        self.open[id(source)] = image, used
        while self.open and sum(size for _, size in self.open.values()) > self.budget:
            self.open.popitem(last=False)
        return crop


def _read(image: Image, index: PlaneIndex) -> NDArray[np.float64]:
    part = image.pixels[index]
    crop = np.asarray(part, dtype=np.float64)
    release_pages(part)
    return crop


@dataclass(frozen=True)
class Plane:
    """A plane of a source: Y and X whole, and one channel, or all of them (`channel` is None)."""

    source: Source
    index: PlaneIndex
    channel: int | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        lengths = dict(zip(self.source.letters, self.source.shape, strict=True))
        return lengths["Y"], lengths["X"]

    def near(self, axis: str, count: int) -> dict[int, Plane]:
        """Return `count` planes before and after along an axis, by how far away they lie."""
        at = self.source.letters.index(axis)
        place, length = self.index[at], self.source.shape[at]
        assert isinstance(place, int)
        return {
            n: replace(self, index=(*self.index[:at], place + n, *self.index[at + 1 :]))
            for n in offsets(place, length, count)
        }

    def read(
        self, cache: FileCache, top: int, left: int, height: int, width: int
    ) -> NDArray[np.float64]:
        """Read a part as (C, Y, X) intensities, hot pixels replaced where they are not kept."""
        part = {"Y": slice(top, top + height), "X": slice(left, left + width)}
        keys = zip(self.source.letters, self.index, strict=True)
        index = {a: part.get(a, i) for a, i in keys}
        pixels = cache.read(self.source, tuple(index.values()))
        letters = [a for a, i in index.items() if isinstance(i, slice)]
        if "C" not in letters:
            pixels, letters = pixels[None], ["C", *letters]
        pixels = pixels.transpose([letters.index(a) for a in "CYX"])
        if not np.isfinite(pixels).all():
            raise ValueError(
                f"{self.source.name} has non-finite pixels (NaN or infinite); replace them first."
            )
        return pixels if self.source.keep_hot_pixels else replace_hot_pixels(pixels)[0]

    def middle(self, cache: FileCache) -> NDArray[np.float64]:
        """Read the middle, at most `MIDDLE` pixels wide."""
        height, width = self.size
        tall, wide = min(MIDDLE, height), min(MIDDLE, width)
        return self.read(cache, (height - tall) // 2, (width - wide) // 2, tall, wide)
