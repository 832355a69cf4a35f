"""Offsets of whole rows or columns: scan lines of a laser microscope, columns of an sCMOS camera.

An offset is the same along its whole line, and another one on the next line. So it is the median,
along the line, of what differs from the lines beside it (a Gaussian over lines), and it is believed
only where disjoint parts of the lines agree on it, in nearly all lines and without any order.

What cannot be told from offsets: lines of the object across the whole image in most rows, without
order; an object that alternates from line to line (a grating of period 2). What is left in the
image: offsets that drift slowly over lines (they look like the object); those within `MARGIN` lines
of an edge or line of the object across the whole image; factors (columns of unequal gain), of which
only the mean along the line is an offset. Where noise runs along lines for an eighth of the image
or more, its mean in each line is taken for an offset, as it should be.

References
----------
Gadallah, Csillag and Smith, Destriping multisensor imagery with moment matching, International
Journal of Remote Sensing 21(12), 2000, 2505-2511: lines are made equal in their moments. Here in
their medians, after what the lines beside them predict, and only where a test allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

LEAST = 32  # lines, and pixels of a line, that a measurement needs
SEGMENTS = 8  # disjoint parts of a line, which must agree
BLOCKS = 16  # in a segment at most, about
BANDS = 4  # disjoint groups of lines, which must show it each
# Gaussian weights of the lines that a line is compared with: the first width that leaves no order,
# and a narrow one that leaves least of the object, to correct and to test
WIDTHS, NARROW = (12.0, 8.0, 4.0, 2.0), 1.0
REACH = 16.0  # lines, over which the object is taken to be as strong
FAR = 4.5  # standard deviations: edges and lines of the object, not offsets
MARGIN = 3  # lines left alone beside those


@dataclass(frozen=True)
class LineOffsets:
    """What is added to every row and to every column of a plane.

    Attributes
    ----------
    rows : (Y,) array
        Offsets in intensity units, of mean 0; all 0 where none are significant.
    columns : (X,) array
        The same for columns.
    row_strength, column_strength : float
        Standard deviation of the offsets in units of the noise of the median pixel; 0 where none
        are significant.
    """

    rows: Pixels
    columns: Pixels
    row_strength: float
    column_strength: float

    @property
    def significant(self) -> bool:
        """Return whether any are."""
        return self.row_strength > 0 or self.column_strength > 0


def line_offsets(plane: Pixels) -> LineOffsets:
    """Measure the offsets of rows and columns.

    Parameters
    ----------
    plane : (Y, X) array
        Finite intensities as measured: after a transform that stabilises the noise, offsets are no
        longer the same along a line, and more is left of them. For offsets that are the same in
        many planes, the mean of the planes: the strength is then in units of its noise.

    Returns
    -------
    LineOffsets
        Zeros where the plane has fewer than `LEAST` rows or columns.
    """
    noise = _noise(plane)
    found = []
    for lines in (plane, plane.T):
        offsets = _offsets(lines) if min(plane.shape) >= LEAST and noise > 0 else None
        found.append(np.zeros(len(lines)) if offsets is None else offsets - offsets.mean())
    strengths = [float(offsets.std()) / noise if noise > 0 else 0.0 for offsets in found]
    return LineOffsets(found[0], found[1], strengths[0], strengths[1])


def subtract_line_offsets(plane: Pixels, offsets: LineOffsets) -> Pixels:
    """Return the (Y, X) plane without the offsets; its mean is kept."""
    return plane - offsets.rows[:, None] - offsets.columns


def _noise(plane: Pixels) -> float:
    """Return the noise of the median pixel; neither rows nor columns of any offset change it."""
    if min(plane.shape) < 2:
        return 0.0
    mixed = np.abs(np.diff(np.diff(plane, axis=0), axis=1))
    return float(np.median(mixed) / 0.6745 or mixed.mean() / 0.7979) / 2


def _offsets(lines: Pixels) -> Pixels | None:
    """Return the offsets of the rows of (rows, pixels); None where they are not significant."""
    blocks = _block_means(lines)  # (rows, segments, blocks)
    flat = blocks.reshape(len(lines), -1)
    # Judged apart: rows that alternate, as of a scan in both directions, are in perfect order.
    signs = np.where(np.arange(len(lines)) % 2, -1.0, 1.0)
    alternation = -0.5 * float(np.median(np.median(np.diff(flat, axis=0), axis=1) * signs[:-1]))
    offsets, known, unordered = _measured(flat - alternation * signs[:, None])
    if unordered:
        parts = np.median(blocks - _beside(blocks, NARROW), axis=2)  # (rows, segments)
        parts -= (parts * signs[:, None])[known].mean(axis=0) * signs[:, None]
        if _agree(parts[known]):
            offsets += alternation * signs
            offsets[~known] = 0.0
            return offsets
    steps = -0.5 * np.median(np.diff(blocks, axis=0), axis=2) * signs[:-1, None]
    cells = np.array([np.median(band, axis=0) for band in np.array_split(steps, BANDS)])
    return alternation * signs if abs(cells.mean()) > 3 * cells.std() else None


def _block_means(lines: Pixels) -> Pixels:
    """Return means of 8 pixels along the rows, fewer of short ones: (rows, SEGMENTS, blocks).

    Rows of more than 1024 pixels have longer blocks: `BLOCKS` a segment tell as much.
    """
    rows, pixels = lines.shape
    width = max(min(8, pixels // (2 * SEGMENTS)), pixels // (SEGMENTS * BLOCKS))
    count = pixels // (width * SEGMENTS)
    first = (pixels - count * width * SEGMENTS) // 2
    used = lines[:, first : first + count * width * SEGMENTS]
    means: Pixels = used.reshape(rows, SEGMENTS, count, width).mean(axis=3)
    return means


def _beside(blocks: Pixels, sigma: float) -> Pixels:
    """Return what the lines beside a line, without itself, predict: a Gaussian over lines."""
    from scipy import ndimage

    reach = round(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights[reach] = 0
    predicted: Pixels = ndimage.correlate1d(blocks, weights / weights.sum(), axis=0, mode="mirror")
    return predicted


def _measured(blocks: Pixels) -> tuple[Pixels, NDArray[np.bool_], bool]:
    """Return the offsets of the rows of (rows, blocks), where they are known, whether unordered."""
    pieces = _pieces(blocks)
    for width in WIDTHS:
        offsets, known = np.zeros(len(blocks)), np.zeros(len(blocks), dtype=bool)
        for piece in pieces:
            passes = (width, _median), (width, _weighted_mean), (NARROW, _weighted_mean)
            for sigma, average in passes:
                left = blocks[piece] - offsets[piece, None]
                more = average(left - _beside(left, sigma))
                near = ~_far(more)
                known[piece] |= near
                offsets[piece] += np.where(near, more, 0.0)
        order = _order(offsets)
        if order[:3].mean() < 0.58 / np.sqrt(len(blocks)):  # no more than one standard deviation
            break
    return offsets, known, bool(known.mean() > 0.5 and order.max() < 0.4)


def _median(rest: Pixels) -> Pixels:
    """Return the median of each row: half of a row may be the object."""
    return np.asarray(np.median(rest, axis=1), dtype=np.float64)


def _weighted_mean(rest: Pixels) -> Pixels:
    """Return the mean of each row; where the object or its noise is strong, less of it."""
    from scipy import ndimage

    variance = ndimage.gaussian_filter1d(np.square(rest), REACH, axis=0)
    variance += 0.1 * np.median(variance) + 1e-280  # the weights of many pixels have a sum
    bound = 2 * np.sqrt(variance)
    mean: Pixels = np.average(np.clip(rest, -bound, bound), axis=1, weights=1 / variance)
    return mean


def _pieces(blocks: Pixels) -> list[NDArray[np.intp]]:
    """Cut (rows, blocks) into runs of rows without an edge or line of the object across them."""
    from scipy import ndimage

    cuts = _far(np.median(np.diff(blocks, axis=0), axis=1))
    if cuts.any():
        cuts = ndimage.binary_dilation(cuts, iterations=MARGIN)
    runs = np.split(np.arange(len(blocks)), np.flatnonzero(cuts) + 1)
    return [run for run in runs if run.size > 2 * MARGIN]


def _far(values: Pixels) -> NDArray[np.bool_]:
    """Return which values are outliers of a Gaussian."""
    distance = np.abs(values - np.median(values))
    outliers: NDArray[np.bool_] = distance > FAR * 1.4826 * np.median(distance)
    return outliers


def _agree(parts: Pixels) -> bool:
    """Return whether the parts of the lines, (rows, segments), tell the same story in each band."""
    middle = np.median(parts, axis=0)
    spread = 1.4826 * np.median(np.abs(parts - middle), axis=0)
    if not spread.all():
        return False
    # Clipped, so that a few lines of the object, however bright, are a few lines only.
    clipped = np.clip((parts - middle) / spread, -1.5, 1.5)
    bands = [_common_share(band) for band in np.array_split(clipped, BANDS)]
    return _common_share(clipped) > 0.22 and sorted(bands)[1] > 0.15


def _common_share(parts: Pixels) -> float:
    """Return the mean correlation of two different columns of (rows, segments)."""
    parts = parts - parts.mean(axis=0)
    own = float(np.square(parts).sum())
    return (float(np.square(parts.sum(axis=1)).sum()) / own - 1) / (SEGMENTS - 1) if own else 0.0


def _order(offsets: Pixels) -> Pixels:
    """Return the correlation of offsets with those 1, 2, ... lines on, up to a quarter of them."""
    spectrum = np.square(np.abs(np.fft.rfft(offsets - offsets.mean(), 2 * len(offsets))))
    products = np.fft.irfft(spectrum)[: len(offsets) // 4]
    return products[1:] / products[0] if products[0] > 0 else np.ones(len(products) - 1)
