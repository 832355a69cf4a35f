"""How much stronger the noise is at one place of the field of view than at another.

Dividing by the illumination makes the noise of the corners stronger; stitched tiles and
deconvolved data have uneven noise too. The logarithm of the variance over that of the curve is
averaged in coarse cells and smoothed by a Gaussian process, whose amplitude and length are those of
the greatest evidence: few pixels give a smooth field, many a detailed one.

Reference: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, ch. 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

CELLS = 8  # of the coarse grid, in y and in x
FEWEST = 10  # pixels of a cell that is looked at
AMPLITUDES = (0.1, 0.2, 0.4, 0.8, 1.6)  # of the logarithm of the variance
LENGTHS = (0.25, 0.5, 1.0)  # of the field of view
CERTAIN = 4.0  # logarithm of the evidence against noise that is even
UNEVEN = 0.15  # standard deviation of the logarithm over the field that counts
REMAINS = 0.05  # the same, where the noise is known to be uneven
BY_LEVEL = 0.5  # what the curve may be wrong by, at a level
BY_STRUCTURE = 0.1  # error of a cell's logarithm that fine structure makes


def cell_of(rows: Pixels, columns: Pixels) -> NDArray[np.intp]:
    """Return the cell (Y, X) of the pixels at these places, of 0 to 1 in y and in x."""
    y, x = ((place * CELLS).astype(np.intp) for place in (rows, columns))
    return y[:, None] * CELLS + x


def measure_field(
    cell: NDArray[np.intp],
    variance: Pixels,
    expected: Pixels,
    kurtosis: float,
    *,
    known: bool = False,
) -> Pixels | None:
    """Return the variance over its mean, (CELLS, CELLS); None where it is the same everywhere.

    Parameters
    ----------
    cell : array of int
        The cell that each pixel lies in.
    variance : array
        Of the noise around each pixel.
    expected : array
        The variance at its level.
    kurtosis : float
        Of the noise.
    known : bool
        Whether the noise is known to be uneven, and this is what is left of it.
    """
    if not cell.size:
        return None
    every = np.arange(CELLS**2)
    count = np.bincount(cell, minlength=CELLS**2)
    # Bright spots are in less than half of a cell.
    order = np.argsort(cell.astype(np.int16), kind="stable")
    middle, level = _medians([variance / expected, expected], order, count)
    seen = (count >= FEWEST) & (middle > 0)
    if seen.sum() < CELLS**2 / 2:
        return None
    middle[~seen] = 1
    # Squares of second differences hang together over about 4 pixels.
    error = np.hypot(np.sqrt(4 * (max(kurtosis, 3) - 1) / np.maximum(count, 1)), BY_STRUCTURE)
    logarithm = np.log(middle) - np.log(middle[seen]).mean()
    level = np.log(np.where(seen, level, 1))
    of_level = BY_LEVEL**2 * np.exp(-np.square(level[:, None] - level) / 2)
    places = np.stack(np.divmod(every, CELLS), axis=1) / CELLS
    apart = np.square(places[:, None] - places).sum(-1)
    even, _ = _evidence(0 * apart, of_level, logarithm, error, seen)
    evidence, field = max(
        (
            _evidence(a**2 * np.exp(-apart / (2 * s**2)), of_level, logarithm, error, seen)
            for a in AMPLITUDES
            for s in LENGTHS
        ),
        key=lambda found: found[0],
    )
    certain, least = (0.0, REMAINS) if known else (CERTAIN, UNEVEN)
    if evidence < even + certain or field.std() < least:
        return None
    variance = np.exp(field)
    return np.asarray((variance / variance.mean()).reshape(CELLS, CELLS))


def _medians(values: list[Pixels], order: NDArray[np.intp], count: NDArray[np.intp]) -> Pixels:
    """Return the median of each of several values in each cell, of which `order` sorts the pixels.

    0 where a cell has none.
    """
    cells = np.split(order, np.cumsum(count)[:-1])
    return np.array([[np.median(v[at]) if at.size else 0.0 for at in cells] for v in values])


def _evidence(
    covariance: Pixels, other: Pixels, values: Pixels, error: Pixels, seen: NDArray[np.bool_]
) -> tuple[float, Pixels]:
    """Return the logarithm of a Gaussian process's evidence, and its share in the values."""
    both = (covariance + other + 1.0)[np.ix_(seen, seen)]  # 1: an unknown mean
    own = both + np.diag(error[seen] ** 2)
    solved = np.linalg.solve(own, values[seen])
    evidence = -0.5 * (values[seen] @ solved + np.linalg.slogdet(own)[1])
    return float(evidence), covariance[:, seen] @ solved


def enlarge(grid: Pixels, rows: Pixels, columns: Pixels) -> Pixels:
    """Return the values of a coarse grid at places (Y, X) of 0 to 1 in y and in x."""
    from scipy import ndimage

    where = np.meshgrid(
        *(p * n - 0.5 for p, n in zip((rows, columns), grid.shape, strict=True)), indexing="ij"
    )
    return np.asarray(ndimage.map_coordinates(grid, where, order=1, mode="nearest"))
