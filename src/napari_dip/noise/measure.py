"""How noisy an image is, measured on itself: variance over intensity, correlation, local level.

All is read off what is flat: the places where least happens on scales of 3 to 10 pixels, chosen
apart in each of a few dozen bins of intensity. That choice looks at frequencies in which there is
little noise, so that it hardly depends on the noise itself, and nothing is trimmed: with few
photons the largest deviations are the photons.

- The correlation is that of the deviations from a wide blur, less its level at lags so far that
  only structure is left there.
- The variance is that of second differences in y and x, which are zero on planes. Noise that
  neighbouring pixels share leaves little in them: then it is scaled to the deviations from the wide
  blur in flat places.

References
----------
Foi, Trimeche, Katkovnik and Egiazarian, Practical Poissonian-Gaussian noise modeling and fitting
for single-image raw-data, IEEE TIP 2008, doi:10.1109/TIP.2008.2001399.
Janesick, Photon Transfer, SPIE Press 2007, doi:10.1117/3.725073: variance over mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.noise.anscombe import FLAT, PoissonGaussian, is_flat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]
    Mask = NDArray[np.bool_]

BINS = 64
REACH = 8  # pixels, how far the correlation is measured
FAR = (14, 20)  # lags that show what structure leaves
LEVEL = 1.5  # standard deviation of the blur that gives the intensity, in pixels
BLUR = 12.0  # standard deviation of the wide blur, in pixels
FLATTEST = 0.15  # share of the pixels that the correlation is read off
FLATTEST_OF_BIN = 0.4
KEPT, KEPT_OF_VARIANCE = 0.9, 0.6230  # of the squares, and of a Gaussian's variance by that
FEW_PHOTONS = 0.75  # least share of the variance that remains where there are many
LEAK = 1.0  # of the energy of structure on scales of 3 to 10 pixels: found in the residuals too
BEND = 0.1  # relative difference from a straight line that a curve may well have
# What neighbours must share to be called correlated. Fine texture in flat places looks like up to
# 0.18 (FMD, BPAE_G, where 0.10 is true); cameras that resample or filter give 0.4 to 0.7.
CORRELATED, ALSO_CORRELATED = 0.25, 0.05
MARGIN = 2  # pixels more, in which it is too weak to be seen and still adds up
MOST = 5  # a wider blind spot sees too little of what is near
SIDE, TILES = 512, 4  # larger planes are measured on so many squares of that side
CELLS = 6  # along y and along x, of the local level
UNEVEN = 1.5  # times the variance of the quietest eighth of the cells in the noisiest


@dataclass(frozen=True)
class MeasuredNoise:
    """The noise of one channel.

    Attributes
    ----------
    line : PoissonGaussian
        The straight line nearest to the curve: what the stabilising transform goes by.
    levels, variances, errors : tuple of float
        The curve: intensities, the variance of the noise there, its relative standard error.
    correlation : tuple of tuple of float
        Shape (2 R + 1, 2 R + 1), of the noise of a pixel with that of those up to R away in y and
        x; 1 in the middle, for a pixel with itself.
    correlation_error : float
        Standard error of one of its values.
    hole : (int, int)
        How far neighbouring pixels share their noise, in y and in x; (0, 0) where they do not.
    local : tuple of tuple of float, optional
        Relative standard deviation of the noise on a grid over the plane, over what the curve says;
        None where it is the same everywhere.
    saturation : float, optional
        Intensity at which pixels are cut off, where some are.
    """

    line: PoissonGaussian
    levels: tuple[float, ...] = ()
    variances: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    correlation: tuple[tuple[float, ...], ...] = ((1.0,),)
    correlation_error: float = 0.0
    hole: tuple[int, int] = (0, 0)
    local: tuple[tuple[float, ...], ...] | None = None
    saturation: float | None = None

    @property
    def is_correlated(self) -> bool:
        """Whether neighbouring pixels share their noise."""
        return max(self.hole) > 0

    def variance(self, level: Pixels | float) -> Pixels:
        """Return the variance of the noise at intensities."""
        return np.asarray(np.interp(level, self.levels, self.variances))

    def local_variance(self, shape: tuple[int, int]) -> Pixels | None:
        """Return the relative variance at each pixel of a plane; None where it is 1 everywhere."""
        if self.local is None:
            return None
        from scipy import ndimage

        grid = np.asarray(self.local)
        places = [
            (np.arange(size) + 0.5) * cells / size - 0.5
            for size, cells in zip(shape, grid.shape, strict=True)
        ]
        where = np.meshgrid(*places, indexing="ij")
        std: Pixels = ndimage.map_coordinates(grid, where, order=1, mode="nearest")
        return std**2

    def cautious_correlation(self) -> Pixels:
        """Return the correlation within the hole, falling no faster than exponentially.

        What is measured in flat places may lack the weak correlation further out that adds up in
        wide blurs.
        """
        measured = np.asarray(self.correlation)
        middle = len(measured) // 2
        y, x = np.abs(np.mgrid[-middle : middle + 1, -middle : middle + 1])
        fall = [
            -np.log(np.clip(line[middle + 1], 1e-3, 0.999))
            for line in (measured.T[middle], measured[middle])
        ]
        exponential = np.exp(-np.hypot(fall[0] * y, fall[1] * x))
        inside = (y <= self.hole[0]) & (x <= self.hole[1])
        return np.where(inside, np.maximum(measured, exponential), 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, of three digits, which is more than is known of them."""
        return _rounded(asdict(self))  # type: ignore[no-any-return]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value


@dataclass(frozen=True)
class _Part:
    """A square of a plane, and what is measured on it; all (Y, X)."""

    pixels: Pixels
    level: Pixels
    texture: Pixels
    noisy: Mask
    second: Pixels  # differences, NaN at the border
    rest: Pixels  # deviations from the wide blur


def measure_noise(planes: Sequence[Pixels]) -> MeasuredNoise:
    """Measure the noise of planes of one detector.

    Parameters
    ----------
    planes : sequence of (Y, X) arrays
        Noisy planes of one channel, in intensity units; finite.

    Returns
    -------
    MeasuredNoise
        In the units of the planes. All variances are 0 where no noise could be measured.
    """
    parts = [_part(square) for plane in planes for square in _squares(plane)]
    parts = [part for part in parts if part.noisy.any()]
    if not parts:
        return MeasuredNoise(PoissonGaussian(0.0, 0.0))
    curve = _curve(parts, [part.second for part in parts], [part.level for part in parts])
    correlation, level, error = _correlation(parts, curve)
    hole = _hole(correlation, error)
    levels, variances, errors = curve
    if max(hole):
        # Second differences hold little of such noise, and how much is known from flat places only;
        # deviations from a wide blur hold structure. Between the two where the latter are larger.
        wide = [_blur(part.pixels, LEVEL * (1 + max(hole))) for part in parts]
        coarse = _curve(parts, [part.rest for part in parts], wide)
        fine, most = variances * level, np.interp(levels, *coarse[:2])
        variances = np.minimum(np.sqrt(fine * most), most)
    line = fit_line(levels, variances, errors)
    straight = np.maximum(line.gain * levels + line.variance, 0.0)
    trust = BEND**2 / (BEND**2 + errors**2)
    variances = trust * variances + (1 - trust) * straight
    return MeasuredNoise(
        line,
        tuple(levels.tolist()),
        tuple(variances.tolist()),
        tuple(errors.tolist()),
        tuple(tuple(row) for row in correlation.tolist()),
        error,
        hole,
        _local(parts, curve) if len(planes) == 1 and len(parts) == 1 else None,
        _saturation(planes),
    )


def _squares(plane: Pixels) -> list[Pixels]:
    """Return a plane, or a few squares of a large one, evenly spread."""
    if plane.size <= TILES * SIDE**2:
        return [plane]
    height, width = plane.shape
    tops = [int(f * max(0, height - SIDE)) for f in (0.2, 0.8)]
    lefts = [int(f * max(0, width - SIDE)) for f in (0.2, 0.8)]
    return [plane[top : top + SIDE, left : left + SIDE] for top in tops for left in lefts]


def _part(pixels: Pixels) -> _Part:
    from scipy import ndimage

    second = np.full(pixels.shape, np.nan)
    if min(pixels.shape) >= 5:
        residual = pixels
        for axis in (0, 1):
            ends = np.roll(residual, 1, axis) + np.roll(residual, -1, axis)
            residual = (2 * residual - ends) / np.sqrt(6)
        second[1:-1, 1:-1] = residual[1:-1, 1:-1]
    flat = is_flat(pixels)
    noisy = ~ndimage.maximum_filter(flat, 2 * FLAT + 1) & np.isfinite(second)
    if noisy.mean() < 0.1:
        noisy = ~flat & np.isfinite(second)
    band = _blur(pixels, 3.0) - _blur(pixels, 10.0)
    level, rest = _blur(pixels, LEVEL), pixels - _blur(pixels, BLUR)
    return _Part(pixels, level, _blur(band**2, 6.0), noisy, second, rest)


def _blur(image: Pixels, sigma: float) -> Pixels:
    from scipy import ndimage

    blurred: Pixels = ndimage.gaussian_filter(image, sigma, mode="mirror", truncate=3.0)
    return blurred


def _curve(
    parts: list[_Part], residuals: list[Pixels], blurred: list[Pixels]
) -> tuple[Pixels, Pixels, Pixels]:
    """Return levels, variances and their relative errors, in bins of equal count."""
    level, square, texture = (
        np.concatenate([values[part.noisy] for part, values in zip(parts, columns, strict=True)])
        for columns in (
            blurred,
            [residual**2 for residual in residuals],
            [part.texture for part in parts],
        )
    )
    count = int(np.clip(level.size // 200, 1, BINS))
    rows = []
    for members in np.array_split(np.argsort(level, kind="stable"), count):
        most = np.quantile(texture[members], FLATTEST_OF_BIN)
        flat = members[texture[members] <= most]
        squares = np.sort(square[flat])
        whole = float(squares.mean())
        kept = float(squares[: max(1, int(KEPT * len(squares)))].mean()) / KEPT_OF_VARIANCE
        # Left out are edges and spots; but with few photons the photons, and then too much goes.
        variance = kept if kept > FEW_PHOTONS * whole else whole
        spread = squares.std() / max(whole, 1e-300)
        share = texture[flat].mean() / max(variance, 1e-300)
        rows.append((level[flat].mean(), variance, spread * np.sqrt(3 / len(flat)), share))
    levels, variances, errors, shares = np.array(rows).T
    # What happens on coarse scales beyond what noise does there hints at fine structure.
    structure = LEAK * np.maximum(shares - np.quantile(shares, 0.1), 0.0)
    return levels, variances, np.hypot(errors, structure)


def _correlation(parts: list[_Part], curve: tuple[Pixels, ...]) -> tuple[Pixels, float, float]:
    """Return the autocorrelation of the noise, its variance over the curve's, a standard error."""
    from scipy import fft

    levels, variances, _ = curve
    floor = max(float(variances.mean()) * 1e-3, 1e-300)
    reach = FAR[1]
    top = bottom = 0.0
    pixels = 0
    for part in parts:
        variance = np.maximum(np.interp(part.level, levels, variances), floor)
        texture = part.texture / variance
        flat = part.noisy & (texture <= np.quantile(texture[part.noisy], FLATTEST))
        pixels += int(flat.sum())
        deviation = part.rest / np.sqrt(variance)
        deviation = np.where(flat, deviation - deviation[flat].mean(), 0.0)
        shape = [fft.next_fast_len(size + 2 * reach, real=True) for size in flat.shape]
        products = fft.irfft2(np.abs(fft.rfft2(deviation, shape)) ** 2, shape)
        pairs = fft.irfft2(np.abs(fft.rfft2(flat.astype(float), shape)) ** 2, shape)
        middle = [np.arange(-reach, reach + 1)] * 2
        top = top + products[np.ix_(*middle)]
        bottom = bottom + pairs[np.ix_(*middle)]
    covariance = top / np.maximum(bottom, 1.0)
    lags = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    covariance = covariance - covariance[(lags >= FAR[0]) & (lags <= FAR[1])].mean()
    if covariance[reach, reach] <= 0:
        covariance = (lags == 0).astype(float)
    inner = slice(reach - REACH, reach + REACH + 1)
    level = float(covariance[reach, reach])
    return covariance[inner, inner] / level, level, float(1 / np.sqrt(max(pixels, 1)))


def _hole(correlation: Pixels, error: float) -> tuple[int, int]:
    """Return how far, in y and x, the noise is correlated without a break."""
    reaches = []
    for line in (correlation[REACH:, REACH], correlation[REACH, REACH:]):
        reach = 0
        least = max(CORRELATED, 5 * error)
        for lag in range(1, REACH + 1):
            if line[lag] < least:
                break
            reach, least = lag, max(ALSO_CORRELATED, 3 * error)
        reaches.append(reach and min(reach + MARGIN, MOST))
    return reaches[0], reaches[1]


def fit_line(levels: Pixels, variances: Pixels, errors: Pixels) -> PoissonGaussian:
    """Fit variance = gain * level + constant robustly; a gain of 0 where it does not grow.

    `errors` are relative to the variances.
    """
    if variances.mean() <= 0:
        return PoissonGaussian(0.0, 0.0)
    # In units of the noise and from the middle: intensities of 1e-9 or 1e30 give the same line.
    middle, unit = float(levels.mean()), float(np.sqrt(variances.mean()))
    level, variance = (levels - middle) / unit, variances / unit**2
    floor = 0.02
    trust = BEND / np.hypot(BEND, errors)
    weight = trust / np.maximum(variance, floor)
    gain = constant = 0.0
    # Reweighted: a variance is known to a share of itself, and textured bins are outliers.
    for _ in range(20):
        lines = np.stack([level, np.ones_like(level)], axis=1)
        gain, constant = np.linalg.lstsq(lines * weight[:, None], variance * weight, rcond=None)[0]
        fitted = np.maximum(gain * level + constant, floor)
        weight = trust / fitted / np.sqrt(1 + ((variance - fitted) / fitted / 0.1) ** 2)
    if gain * np.ptp(levels) < 0.05 * unit:  # no growth worth a transform, or a falling line
        return PoissonGaussian(0.0, float(np.median(variances)))
    return PoissonGaussian(gain * unit, float(constant * unit**2 - gain * unit * middle))


def _local(parts: list[_Part], curve: tuple[Pixels, ...]) -> tuple[tuple[float, ...], ...] | None:
    return None


def _saturation(planes: Sequence[Pixels]) -> float | None:
    """Return the greatest intensity where more than a thousandth of the pixels have it."""
    most = max(float(plane.max()) for plane in planes)
    share = sum(int((plane == most).sum()) for plane in planes) / sum(p.size for p in planes)
    return most if share > 1e-3 else None


def estimate_noise(planes: Iterable[Pixels]) -> PoissonGaussian:
    """Fit the Poisson-Gaussian line to (C, Y, X) planes of one detector."""
    return measure_noise([channel for plane in planes for channel in plane]).line
