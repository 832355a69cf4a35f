"""The next level of a pyramid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.dtypes import cast_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST = 256
"""A pyramid ends with a level whose sides are no longer than this."""


def halve(page: NDArray[Any]) -> NDArray[Any]:
    """Return means over 2 x 2 pixels of (Y, X) or (Y, X, colours), in the same type."""
    sides = [(0, n % 2) for n in page.shape[:2]] + [(0, 0)] * (page.ndim - 2)
    whole = np.pad(page, sides, mode="edge").astype(np.float64)
    mean = (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4
    return cast_pixels(mean, page.dtype)[0]


def level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sides of the levels, from the finest on."""
    shapes = [(height, width)]
    while max(shapes[-1]) > SMALLEST:
        height, width = shapes[-1]
        shapes.append((-(-height // 2), -(-width // 2)))
    return shapes
