"""An image cut into overlapping tiles, and put together again so that no seam shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Place = tuple[slice, slice]


@dataclass(frozen=True)
class Tiles:
    """A grid of equally large tiles that covers an image.

    Neighbours overlap; the last of a row or column ends with the image. Each tile counts most in
    its middle and least at its border, and at every pixel the weights of all tiles sum up to 1, so
    that tiles cut out of an image blend into that image again. Lengths are in pixels; `size` is the
    side of a tile, `stride` the way from one to the next, at most `size`.
    """

    height: int
    width: int
    size: int
    stride: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.size, self.stride) < 1:
            raise ValueError(f"Image, tile and stride need at least 1 pixel; given was {self}.")
        if self.stride > self.size:
            raise ValueError(
                f"Tiles of {self.size} pixels, {self.stride} apart, leave gaps: give a smaller "
                "stride."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of every tile."""
        return min(self.size, self.height), min(self.size, self.width)

    @cached_property
    def places(self) -> list[Place]:
        """Where each tile lies, row by row."""
        tall, wide = self.shape
        tops, lefts = (_starts(n, self.size, self.stride) for n in (self.height, self.width))
        return [
            (slice(top, top + tall), slice(left, left + wide)) for top in tops for left in lefts
        ]

    def weight(self, number: int) -> NDArray[np.float64]:
        """Return how much each pixel of a tile counts, of its `shape`."""
        rows, columns = self.places[number]
        (window_y, cover_y), (window_x, cover_x) = self._profiles
        return np.outer(window_y / cover_y[rows], window_x / cover_x[columns])

    @cached_property
    def _profiles(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Along Y and X: the weight within a tile, and its sum over the tiles at each pixel."""
        return [_profile(n, self.size, self.stride) for n in (self.height, self.width)]


def _starts(length: int, size: int, stride: int) -> list[int]:
    last = max(length - size, 0)
    return [*range(0, last, stride), last]


def _profile(
    length: int, size: int, stride: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    side = min(length, size)
    ramp = np.arange(1, side + 1, dtype=np.float64)
    window = np.minimum(ramp, ramp[::-1])
    cover = np.zeros(length)
    for start in _starts(length, size, stride):
        cover[start : start + side] += window
    return window, cover
