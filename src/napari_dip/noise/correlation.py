"""The correlation of an image's noise between pixels, told from that of structure.

The autocorrelation of two residuals is taken where there is little structure: of the image minus a
wide blur, and of its second difference, which hardly sees structure. Both are explained together as
noise that is correlated within a few pixels plus structure, which a microscope has blurred: a sum
of Gaussian autocorrelations, none of them finer than the point spread function of a well-sampled
image. The fewest correlated pixels that explain both are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

NEAR_SIGMA, WIDE_SIGMA = 2.0, 8.0  # the band between these blurs shows structure
RADIUS = 8  # furthest lag that noise may be correlated over
REACH = 16  # furthest lag that is looked at
SIDE = 2 * REACH + 1
TILE = 64  # side of the squares whose spread tells the errors
FINE, COARSE = (1.0, 1.2, 1.5, 1.9, 2.4), (3.0, 5.0, 9.0)  # scales of structure, in pixels
FREE, BOUND = 1000.0, 3.0  # at most, of structure's fine scales to a coarse one
MATERIAL, SIGNIFICANT = 0.05, 4.0  # a correlation that counts; in errors of its own
GRID = 256  # frequencies of the transfer functions


@dataclass(frozen=True)
class Correlation:
    """What was found: see `MeasuredNoise`; `variance` is that of the noise."""

    variance: float
    table: Pixels  # (SIDE, SIDE)
    error: float
    hole: tuple[int, int]


@dataclass(frozen=True)
class Lags:
    """Autocorrelation of one residual, (SIDE * SIDE), and how each tile's departs from it."""

    mean: Pixels
    spread: Pixels  # (tiles, SIDE * SIDE)


def second_difference(y: Pixels, spacing: int = 1) -> Pixels:
    """Return second differences in y and x: of unit gain on white noise, zero on planes."""
    for axis in (0, 1):
        y = (2 * y - np.roll(y, spacing, axis) - np.roll(y, -spacing, axis)) / np.sqrt(6)
    return y


@lru_cache
def power(name: str) -> Pixels:
    """Return the power spectrum (GRID, GRID) of a filter: wide, fine, apart or band."""
    angle = 2 * np.pi * np.fft.fftfreq(GRID)
    near, wide = (np.exp(-((angle * s) ** 2) / 2) for s in (NEAR_SIGMA, WIDE_SIGMA))
    one, two = ((2 - 2 * np.cos(k * angle)) / np.sqrt(6) for k in (1, 2))
    filters = {
        "wide": 1 - wide[:, None] * wide,
        "fine": one[:, None] * one,
        "apart": two[:, None] * two,
        "band": near[:, None] * near - wide[:, None] * wide,
    }
    return np.asarray(filters[name] ** 2)


def energy(name: str, correlation: Pixels) -> float:
    """Return the variance that a filter leaves of noise with a correlation (SIDE, SIDE)."""
    return float(lags_of(power(name)).ravel() @ correlation.ravel())


def lags_of(spectrum: Pixels) -> Pixels:
    """Return the autocorrelation (SIDE, SIDE) that belongs to a power spectrum."""
    lags = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    middle = slice(GRID // 2 - REACH, GRID // 2 + REACH + 1)
    return np.ascontiguousarray(lags[middle, middle])


@lru_cache
def structure_columns(name: str, share: float) -> Pixels:
    """Return the autocorrelations (SIDE * SIDE, columns) that structure may have after a filter.

    Fine scales come only with a coarse one beside them, as in all images; the last column is what
    the choice of places with little energy in the band takes away.
    """
    angle = 2 * np.pi * np.fft.fftfreq(GRID)

    def gaussian(scale_y: float, scale_x: float) -> Pixels:
        y, x = (np.exp(-((angle * scale) ** 2)) for scale in (scale_y, scale_x))
        return np.asarray(y[:, None] * x / (y.mean() * x.mean()))

    spectra = [gaussian(y, x) for y in COARSE for x in COARSE]
    for y in FINE:
        for x in FINE:
            spectra += [share * gaussian(y, x) + gaussian(s, s) for s in COARSE[:2]]
    spectra.append(-20 * power("band"))
    return np.stack([lags_of(s * power(name)).ravel() for s in spectra], axis=1)


@lru_cache
def noise_columns(name: str, hole: tuple[int, int]) -> Pixels:
    """Return the autocorrelation after a filter for each pair of lags (-k, k) within the hole."""
    angle = 2 * np.pi * np.fft.fftfreq(GRID)
    columns = []
    for y, x in inside(hole):
        pair = np.cos(y * angle[:, None] + x * angle) * (1 if y == x == 0 else 2)
        columns.append(lags_of(pair * power(name)).ravel())
    return np.stack(columns, axis=1)


def inside(hole: tuple[int, int]) -> list[tuple[int, int]]:
    """Return one lag of each pair within the hole, (0, 0) first."""
    half = [(0, x) for x in range(hole[1] + 1)]
    return half + [(y, x) for y in range(1, hole[0] + 1) for x in range(-hole[1], hole[1] + 1)]


def measure_lags(residuals: list[Pixels], masks: list[Pixels]) -> Lags:
    """Return the autocorrelation of residuals where the masks are 1."""
    products, pairs = [], []
    for residual, mask in zip(residuals, masks, strict=True):
        for top in range(0, mask.shape[0], TILE):
            for left in range(0, mask.shape[1], TILE):
                tile = (slice(top, top + TILE), slice(left, left + TILE))
                if mask[tile].any():
                    products.append(_own_products(residual[tile] * mask[tile]))
                    pairs.append(_own_products(mask[tile]))
    p, q = np.array(products), np.array(pairs)
    total = np.maximum(q.sum(0), 1)
    mean = p.sum(0) / total
    return Lags(mean, (p - mean * q) / total)


def _own_products(tile: Pixels) -> Pixels:
    shape = [n + 2 * REACH for n in tile.shape]
    products = np.fft.irfft2(np.abs(np.fft.rfft2(tile, shape)) ** 2, shape)
    return np.roll(products, (REACH, REACH), (0, 1))[:SIDE, :SIDE].ravel()


def tell_noise(wide: Lags, fine: Lags) -> Correlation:
    """Find the smallest hole of correlated noise that explains both autocorrelations.

    Whether the noise is correlated at all is asked with the benefit of the doubt for structure of
    fine scales alone; how far it is correlated, with fine scales as far as coarse ones are seen.
    """
    free = Explanation.of(wide, fine, FREE, (0, 0), 0.08)
    if free.grown == (0, 0):
        return free.correlation()
    found = Explanation.of(wide, fine, BOUND, free.grown, 0.03)
    while found.grown != found.hole:
        found = Explanation.of(wide, fine, BOUND, found.grown, 0.03)
    return found.correlation()


@dataclass(frozen=True)
class Explanation:
    """Two autocorrelations as those of noise correlated within a hole, and of structure."""

    hole: tuple[int, int]
    noise: Pixels  # covariance at each lag of `inside(hole)`
    rest: Pixels  # (2, SIDE, SIDE) not explained
    doubt: Pixels  # (2, SIDE, SIDE) standard error of that
    wide: Pixels  # (SIDE, SIDE) measured less structure

    @classmethod
    def of(
        cls, wide: Lags, fine: Lags, share: float, hole: tuple[int, int], model_error: float
    ) -> Explanation:
        """Fit noise and structure, each lag by its error."""
        measured = np.concatenate([wide.mean, fine.mean])
        spread = np.concatenate([wide.spread, fine.spread], axis=1)
        variance = np.square(spread).sum(0) + np.repeat(
            np.square([1e-3 * wide.mean.max(), 1e-3 * fine.mean.max()]), SIDE * SIDE
        )
        structure = np.concatenate([structure_columns(n, share) for n in ("wide", "fine")])
        of_noise = np.concatenate([noise_columns(n, hole) for n in ("wide", "fine")])
        errors = np.sqrt(variance)
        for _ in range(2):
            noise, amounts = explain(measured, errors, of_noise, structure)
            model = structure @ amounts
            errors = np.sqrt(variance + (model_error * model) ** 2)
        used = np.concatenate([of_noise, structure[:, amounts > 0]], axis=1) / errors[:, None]
        relative = (spread / errors).T
        relative -= used @ np.linalg.lstsq(used, relative, rcond=None)[0]
        doubt = np.sqrt(
            np.square(relative).sum(1) * errors**2 + errors**2 - np.square(spread).sum(0)
        )
        shape = (2, SIDE, SIDE)
        rest = measured - model - of_noise @ noise
        clean = (measured - model).reshape(shape)[0]
        return cls(hole, noise, rest.reshape(shape), doubt.reshape(shape), clean)

    @property
    def variance(self) -> float:
        """Variance of the noise."""
        return max(float(self.noise[0]), 1e-3 * float(self.wide.max()))

    @property
    def grown(self) -> tuple[int, int]:
        """A hole wider by one in the direction that is not explained, or the same."""
        limit = np.maximum(SIGNIFICANT * self.doubt, MATERIAL * self.variance)
        over = (np.abs(self.rest) / limit).max(0)
        y, x = self.hole
        in_y = over[REACH + y + 1 : REACH + y + 3, REACH].max(initial=0) if y < RADIUS else 0
        in_x = over[REACH, REACH + x + 1 : REACH + x + 3].max(initial=0) if x < RADIUS else 0
        if max(in_y, in_x) <= 1:
            return self.hole
        return (y + 1, x) if in_y > in_x else (y, x + 1)

    def correlation(self) -> Correlation:
        """Return the table of correlations: as fitted in the hole, beyond it as far as certain."""
        table, doubt = self.wide / self.variance, self.doubt[0] / self.variance
        table = np.clip(table**3 / (table**2 + (3 * doubt) ** 2 + 1e-12), -0.1, 0.1)
        for (y, x), value in zip(inside(self.hole), self.noise / self.variance, strict=True):
            table[REACH + y, REACH + x] = table[REACH - y, REACH - x] = value
        near = slice(REACH - 3, REACH + 4)
        return Correlation(self.variance, table, float(np.median(doubt[near, near])), self.hole)


def explain(
    measured: Pixels, errors: Pixels, noise: Pixels, structure: Pixels
) -> tuple[Pixels, Pixels]:
    """Fit noise of any sign plus structure that is not negative, the latter only where needed."""
    from scipy.optimize import nnls

    both = np.concatenate([noise, -noise, structure], axis=1) / errors[:, None]
    target = both.T @ (measured / errors)
    size = noise.shape[1]
    target[2 * size :] -= 3 * np.linalg.norm(both[:, 2 * size :], axis=0)
    gram = both.T @ both
    gram[np.diag_indices_from(gram)] *= 1 + 1e-7
    lower = np.linalg.cholesky(gram)
    found, _ = nnls(lower.T, np.linalg.solve(lower, target))
    return found[:size] - found[size : 2 * size], found[2 * size :]
