"""Hot and dead pixels: single values so far from all others that they are the camera's.

A handful of them among a million pixels ruins a noise estimate and a least-squares fit, so both see
them replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

FAR = 5.0  # times the distance of the 1st or 99th percentile from the median
# times the 4th largest of the 3x3 square, above its least; a spot of light of sigma 0.6 pixels has
# 4
ALONE = 5.0


def replace_hot_pixels(plane: Pixels) -> tuple[Pixels, int]:
    """Replace hot and dead pixels by the median of the 3x3 square around them.

    Parameters
    ----------
    plane : (C, Y, X) array
        Finite intensities; not changed.

    Returns
    -------
    plane : (C, Y, X) array
        The same array where there is nothing to replace.
    count : int
        Pixels replaced: those beyond `FAR` of the whole channel, at most three of them together.
    """
    hot = np.zeros(plane.shape, dtype=bool)
    fixed = plane.copy()
    for channel, found, out in zip(plane, hot, fixed, strict=True):
        for sign in (1.0, -1.0):
            _replace_on_one_side(sign * channel, found, out)
    count = int(hot.sum())
    return (fixed, count) if count else (plane, 0)


def _replace_on_one_side(channel: Pixels, found: NDArray[np.bool_], out: Pixels) -> None:
    """Mark the pixels far above all others in `found`, and put medians in their place in `out`."""
    middle, high = np.quantile(channel, (0.5, 0.99))
    rows, columns = np.nonzero(channel > middle + FAR * (high - middle))
    if high <= middle or not rows.size:  # with nearly no photons, one photon is no outlier
        return
    ranked = np.sort(_squares(channel, rows, columns), axis=0)
    alone = channel[rows, columns] - ranked[0] > ALONE * (ranked[5] - ranked[0])
    rows, columns = rows[alone], columns[alone]
    found[rows, columns] = True
    out[rows, columns] = np.median(_squares(out, rows, columns), axis=0)


def _squares(channel: Pixels, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Pixels:
    """Return the 3x3 square around each of some pixels, (9, pixels)."""
    padded = np.pad(channel, 1, mode="reflect" if min(channel.shape) > 1 else "edge")
    offsets = [(down, right) for down in range(3) for right in range(3)]
    return np.stack([padded[rows + down, columns + right] for down, right in offsets])
