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
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

NEAR_SIGMA, WIDE_SIGMA = 2.0, 8.0  # the band between these blurs shows structure
RADIUS = 8  # furthest lag that noise may be correlated over
REACH = 16  # furthest lag that is looked at
SIDE = 2 * REACH + 1
HALF = SIDE * SIDE // 2 + 1  # lags of which the others are the mirror image
TILE = 64  # side of the squares whose spread tells the errors
FINE, COARSE = (1.0, 1.2, 1.5, 1.9, 2.4), (3.0, 5.0, 9.0)  # scales of structure, in pixels
SIGNIFICANT = 4.0  # errors of its own that a correlation must have
# Correlations that are looked into, that make noise count as correlated, and that count then.
SUSPECT, ALARMING, MATERIAL = 0.075, 0.1, 0.05
SHARP = 2  # furthest lag that may be correlated negatively, as in sharpened images
BOX = (5, 5)  # lags that are fitted where the noise is correlated
BLOCK, FINE_SIGMA = 16, 3.0  # pixels: squares, and the blur that leaves what is fine
# The quietest of squares hold 1 - 1.64 standard errors of noise; photographs and FMD's images with
# correlated noise added had 1 - 2.2 and more, averages of 50 captures 1 - 2.35 and less.
# The very quietest, 1 - 2.9 and more; an average of 50 that is bright in places 1 - 4.2 and less.
# Where the noise was made even first, by a field read off the same image, less is sure.
LEAST_QUIET, LEAST_QUIET_EVENED = {0.01: 4.0, 0.05: 2.25}, {0.05: 4.0}  # errors by quantile
RIDGE = 1e-3  # of the fit, relative to a column
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
    """Autocorrelation of one residual, (HALF), and how each tile's departs from it."""

    mean: Pixels
    spread: Pixels  # (tiles, HALF)
    pairs: Pixels  # of pixels, at each lag

    @property
    def variance(self) -> Pixels:
        """Square of each lag's standard error: from the tiles, and no less than by chance."""
        most = float(self.mean.max())
        by_chance: Pixels = np.maximum(np.square(self.spread).sum(0), most**2 / self.pairs)
        return by_chance + (1e-3 * most) ** 2


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


def is_everywhere(
    wide: list[Pixels], inside: list[NDArray[np.bool_]], rho: Pixels, *, evened: bool
) -> bool:
    """Return whether noise of variance 1 and correlation `rho` is in all squares of an image.

    Fine texture passes for correlated noise at the places where it is weakest; but it is weaker
    still in the quietest squares of `BLOCK` pixels, and noise is not.

    Parameters
    ----------
    wide : list of (Y, X) arrays
        Windows of the image less its wide blur, over the deviation that the noise is said to have.
    inside : list of (Y, X) arrays of bool
        The pixels that count.
    rho : (SIDE, SIDE) array
        What is said of its correlation.
    evened : bool
        Whether the noise was not as strong everywhere, and was made so.
    """
    from scipy import ndimage

    kernel = np.zeros((GRID, GRID))
    kernel[:SIDE, :SIDE] = rho
    spectrum = np.fft.fft2(np.roll(kernel, (-REACH, -REACH), (0, 1))).real
    angle = 2 * np.pi * np.fft.fftfreq(GRID)
    blur = np.exp(-0.5 * ((angle[:, None] ** 2) + angle**2) * FINE_SIGMA**2)
    lags = lags_of(np.maximum(spectrum, 0) * power("wide") * (1 - blur) ** 2)
    variance = float(lags[REACH, REACH])
    chance = float(np.sqrt(2 * np.square(lags / variance).sum())) / BLOCK
    energies = []
    for image, counted in zip(wide, inside, strict=True):
        height, width = (n // BLOCK * BLOCK for n in image.shape)
        squares = np.where(counted, image - ndimage.gaussian_filter(image, FINE_SIGMA), 0) ** 2
        sums, counts = (
            one[:height, :width]
            .reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
            .sum((1, 3), dtype=np.float64)
            for one in (squares, counted)
        )
        enough = counts > 0.75 * BLOCK**2
        energies.append(sums[enough] / counts[enough])
    found = np.concatenate(energies) / variance
    limits = LEAST_QUIET_EVENED if evened else LEAST_QUIET
    return not found.size or all(
        float(np.quantile(found, share)) > 1 - errors * chance for share, errors in limits.items()
    )


def lags_of(spectrum: Pixels) -> Pixels:
    """Return the autocorrelation (SIDE, SIDE) that belongs to a power spectrum."""
    lags = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    middle = slice(GRID // 2 - REACH, GRID // 2 + REACH + 1)
    return np.ascontiguousarray(lags[middle, middle])


@lru_cache
def structure_columns(name: str, scales: tuple[float, ...]) -> Pixels:
    """Return the autocorrelations (HALF, columns) that structure may have after a filter.

    The last column is what the choice of places with little energy in the band takes away.
    """
    angle = 2 * np.pi * np.fft.fftfreq(GRID)
    spectra = [np.exp(-((angle * scale) ** 2)) for scale in scales]
    columns = [np.asarray(y[:, None] * x / (y.mean() * x.mean())) for y in spectra for x in spectra]
    columns.append(-20 * power("band"))
    return np.stack([lags_of(c * power(name)).ravel()[:HALF] for c in columns], axis=1)


@lru_cache
def noise_columns(name: str, hole: tuple[int, int]) -> Pixels:
    """Return the autocorrelation after a filter for each pair of lags (-k, k) within the hole."""
    angle = 2 * np.pi * np.fft.fftfreq(GRID)
    columns = []
    for y, x in inside(hole):
        pair = np.cos(y * angle[:, None] + x * angle) * (1 if y == x == 0 else 2)
        columns.append(lags_of(pair * power(name)).ravel()[:HALF])
    return np.stack(columns, axis=1)


def inside(hole: tuple[int, int]) -> list[tuple[int, int]]:
    """Return one lag of each pair within the hole, (0, 0) first."""
    half = [(0, x) for x in range(hole[1] + 1)]
    return half + [(y, x) for y in range(1, hole[0] + 1) for x in range(-hole[1], hole[1] + 1)]


def measure_lags(residuals: Sequence[Sequence[Pixels]], masks: Sequence[Pixels]) -> list[Lags]:
    """Return the autocorrelation of each of several residuals where the masks are 1.

    Parameters
    ----------
    residuals : sequence of sequences of (Y, X) arrays
        Of each residual its windows.
    masks : sequence of (Y, X) arrays
        Of the windows, 1 where it counts, else 0.
    """
    tiles = np.concatenate([_tiles(mask) for mask in masks])
    seen = tiles.any(axis=(1, 2))
    pairs = _own_products(tiles[seen])
    total = np.maximum(pairs.sum(0), 1)
    found = []
    for residual in residuals:
        cut = [_tiles(r * mask) for r, mask in zip(residual, masks, strict=True)]
        products = _own_products(np.concatenate(cut)[seen])
        mean = products.sum(0) / total
        found.append(Lags(mean, (products - mean * pairs) / total, total))
    return found


def _tiles(window: Pixels) -> Pixels:
    """Cut (Y, X) into squares (tiles, TILE, TILE); zeros fill up those at the end."""
    window = np.pad(window, [(0, -n % TILE) for n in window.shape])
    rows, columns = (n // TILE for n in window.shape)
    return window.reshape(rows, TILE, columns, TILE).swapaxes(1, 2).reshape(-1, TILE, TILE)


def _own_products(tiles: Pixels) -> Pixels:
    """Return (tiles, HALF): of each tile the sums of products at each lag, the middle one last."""
    from scipy import fft

    shape = (TILE + 2 * REACH, TILE + 2 * REACH)
    products = np.asarray(fft.irfft2(np.abs(fft.rfft2(tiles, shape)) ** 2, shape))
    return np.roll(products, (REACH, REACH), (1, 2))[:, :SIDE, :SIDE].reshape(-1, SIDE**2)[:, :HALF]


def tell_noise(wide: Lags, fine: Lags) -> Correlation:
    """Tell noise from structure in both autocorrelations.

    Noise is independent from pixel to pixel if that and structure, however fine, explain them.
    Otherwise it is correlated, and only coarse structure is told from it by the lags beyond it.
    """
    independent = Explanation.of(wide, fine, FINE + COARSE, (0, 0), 0.08, 3.0)
    if independent.suffices:
        return independent.correlation()
    correlated = Explanation.of(wide, fine, COARSE, BOX, 0.03, 8.0)
    # Noise that its own second differences exceed by far is none: structure explains neither.
    contradicted = correlated.noise[0] < 0.5 * independent.noise[0]
    return (independent if contradicted else correlated).correlation()


@dataclass(frozen=True)
class Explanation:
    """Two autocorrelations as those of noise correlated within a box, and of structure."""

    box: tuple[int, int]
    noise: Pixels  # covariance at each lag of `inside(box)`
    rest: Pixels  # (2, SIDE, SIDE) not explained
    doubt: Pixels  # (2, SIDE, SIDE) standard error of that
    wide: Pixels  # (SIDE, SIDE) measured less structure

    @classmethod
    def of(
        cls,
        wide: Lags,
        fine: Lags,
        scales: tuple[float, ...],
        box: tuple[int, int],
        model_error: float,
        penalty: float,
    ) -> Explanation:
        """Fit noise and structure, each lag by its error.

        `model_error` says how well Gaussians describe structure; `penalty`, in errors, how clearly
        structure must be seen.
        """
        measured = np.concatenate([wide.mean, fine.mean])
        spread = np.concatenate([wide.spread, fine.spread], axis=1)
        variance = np.concatenate([wide.variance, fine.variance])
        structure = np.concatenate([structure_columns(n, scales) for n in ("wide", "fine")])
        of_noise = np.concatenate([noise_columns(n, box) for n in ("wide", "fine")])
        signed = np.array([0 < max(abs(y), abs(x)) <= SHARP for y, x in inside(box)])
        errors = np.sqrt(variance)
        for _ in range(2):
            noise, amounts = explain(measured, errors, of_noise, signed, structure, penalty)
            model = structure @ amounts
            errors = np.sqrt(variance + (model_error * model) ** 2)
        used = np.concatenate([of_noise, structure[:, amounts > 0]], axis=1) / errors[:, None]
        relative = (spread / errors).T
        relative -= used @ np.linalg.lstsq(used, relative, rcond=None)[0]
        doubt = np.sqrt(
            np.square(relative).sum(1) * errors**2 + errors**2 - np.square(spread).sum(0)
        )
        rest = measured - model - of_noise @ noise
        return cls(box, noise, _whole(rest), _whole(doubt), _whole(measured - model)[0])

    @property
    def variance(self) -> float:
        """Variance of the noise."""
        return max(float(self.noise[0]), 1e-3 * float(self.wide.max()))

    @property
    def suffices(self) -> bool:
        """Whether the nearest lags beyond the box are explained."""
        limit = np.maximum(SIGNIFICANT * self.doubt, SUSPECT * self.variance)
        over = (np.abs(self.rest) / limit).max(0)
        y, x = (REACH + n + 1 for n in self.box)
        return bool(max(over[y : y + 2, REACH].max(), over[REACH, x : x + 2].max()) <= 1)

    def correlation(self) -> Correlation:
        """Return the table of correlations: as fitted in the box, beyond it as far as certain."""
        table, doubt = self.wide / self.variance, self.doubt[0] / self.variance
        table = np.where(np.abs(table) < ALARMING, table, 0)
        table = table**3 / (table**2 + (3 * doubt) ** 2 + 1e-12)
        for (y, x), value in zip(inside(self.box), self.noise / self.variance, strict=True):
            table[REACH + y, REACH + x] = table[REACH - y, REACH - x] = value
        near = slice(REACH - 3, REACH + 4)
        hole = self._extent(table[REACH:, REACH]), self._extent(table[REACH, REACH:])
        return Correlation(self.variance, table, float(np.median(doubt[near, near])), hole)

    def _extent(self, line: Pixels) -> int:
        """Return the furthest lag of an axis up to which the noise is correlated."""
        lag = 0
        while lag < max(self.box) and abs(line[lag + 1]) > (MATERIAL if lag else ALARMING):
            lag += 1
        return lag


def _whole(halves: Pixels) -> Pixels:
    """Return (2, SIDE, SIDE) lags from the halves of both residuals."""
    half = halves.reshape(2, HALF)
    return np.concatenate([half, half[:, -2::-1]], axis=1).reshape(2, SIDE, SIDE)


def explain(
    measured: Pixels,
    errors: Pixels,
    noise: Pixels,
    signed: NDArray[np.bool_],
    structure: Pixels,
    penalty: float,
) -> tuple[Pixels, Pixels]:
    """Fit noise, negative only where signed, plus structure, which is not, only where needed."""
    from scipy.optimize import nnls

    size = noise.shape[1] + int(signed.sum())
    errors = np.maximum(errors, 1e-12)
    amounts = np.zeros(structure.shape[1])
    seen = np.ones(amounts.size, dtype=bool)
    for least in (penalty, 0.0):  # once to see what is there, and once without the penalty's bias
        both = np.concatenate([noise, -noise[:, signed], structure[:, seen]], axis=1)
        both /= errors[:, None]
        norms = np.linalg.norm(both, axis=0)
        both /= norms
        # The triangle of a QR decomposition, without its many calls that threads wait for.
        r = np.linalg.cholesky(both.T @ both + RIDGE**2 * np.eye(norms.size)).T
        cost = np.where(np.arange(norms.size) < size, 0.0, least)
        target = np.linalg.solve(r.T, both.T @ (measured / errors) - cost)
        found = nnls(r, target, maxiter=100 * norms.size)[0] / norms
        amounts[seen] = found[size:]
        seen = amounts > 0
    covariance = found[: noise.shape[1]]
    covariance[signed] -= found[noise.shape[1] : size]
    return covariance, amounts
