"""What is put right in a plane before its noise is measured and it is denoised."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_dip.noise.hot_pixels import find_hot_pixels, replace_hot_pixels
from napari_dip.noise.lines import line_offsets, subtract_line_offsets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MOST_PLACES = 10  # of hot pixels that are named
MOST_ALONE = 0.001  # of a plane: hot pixels that the other planes of a stack don't have


class Repaired(NamedTuple):
    """A plane (C, Y, X), how many hot pixels it had, whether its lines had offsets, and (y, x)."""

    pixels: Pixels
    hot_pixels: int
    uneven_lines: bool
    hot_places: tuple[tuple[int, int], ...]  # at most `MOST_PLACES`


def repair(
    plane: Pixels,
    *,
    straighten: bool,
    keep_hot_pixels: bool = False,
    hot_pixels: Mask | None = None,
) -> Repaired:
    """Replace hot pixels, and take the offsets of whole rows and columns off where asked.

    Parameters
    ----------
    plane : (C, Y, X) array
        Finite intensities as measured; not changed.
    straighten : bool
        Whether offsets of lines are looked for.
    keep_hot_pixels : bool
        Whether hot and dead pixels stay as they are.
    hot_pixels : (C, Y, X) array of bool, optional
        Those that the planes of a stack share. Others that are found in this plane are replaced as
        well if they are few, such as cosmic rays; many are single photons.
    """
    places: tuple[tuple[int, int], ...] = ()
    if keep_hot_pixels:
        pixels, hot = plane, 0
    else:
        found = _hot_pixels(plane, hot_pixels)
        pixels, hot = replace_hot_pixels(plane, found)
        places = _places(found)
    if not straighten:
        return Repaired(pixels, hot, False, places)
    lines = [line_offsets(channel) for channel in pixels]
    if not any(offsets.significant for offsets in lines):
        return Repaired(pixels, hot, False, places)
    straight = [subtract_line_offsets(c, o) for c, o in zip(pixels, lines, strict=True)]
    return Repaired(np.stack(straight), hot, True, places)


def _places(hot: Mask) -> tuple[tuple[int, int], ...]:
    """Return the first positions (y, x) of hot pixels, in whatever colour."""
    rows, columns = (at[:MOST_PLACES].tolist() for at in np.nonzero(hot.any(0)))
    return tuple(zip(rows, columns, strict=True))


def _hot_pixels(plane: Pixels, shared: Mask | None) -> Mask:
    """Return the hot pixels of a plane, of which `shared` are known."""
    found = find_hot_pixels(plane)
    if shared is None:
        return found
    alone = found & ~shared
    return shared | alone if alone.mean() <= MOST_ALONE else shared
