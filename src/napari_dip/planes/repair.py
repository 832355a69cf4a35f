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

MOST_ALONE = 0.001  # of a plane: hot pixels that the other planes of a stack don't have


class Repaired(NamedTuple):
    """A plane (C, Y, X), how many hot pixels it had, and whether its lines had offsets."""

    pixels: Pixels
    hot_pixels: int
    uneven_lines: bool


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
    if keep_hot_pixels:
        pixels, hot = plane, 0
    else:
        pixels, hot = replace_hot_pixels(plane, _hot_pixels(plane, hot_pixels))
    if not straighten:
        return Repaired(pixels, hot, False)
    found = [line_offsets(channel) for channel in pixels]
    if not any(offsets.significant for offsets in found):
        return Repaired(pixels, hot, False)
    straight = [subtract_line_offsets(c, o) for c, o in zip(pixels, found, strict=True)]
    return Repaired(np.stack(straight), hot, True)


def _hot_pixels(plane: Pixels, shared: Mask | None) -> Mask:
    """Return the hot pixels of a plane, of which `shared` are known."""
    found = find_hot_pixels(plane)
    if shared is None:
        return found
    alone = found & ~shared
    return shared | alone if alone.mean() <= MOST_ALONE else shared
