"""How noisy an image is, measured on itself, and the transform that makes its noise even.

Camera and photon-counting noise is Poisson-Gaussian: ``var(y) = gain * mean(y) + variance``. The generalised Anscombe
transform turns it into noise of standard deviation 1 everywhere, which is what a squared error assumes.

References
----------
Foi, Trimeche, Katkovnik and Egiazarian, Practical Poissonian-Gaussian noise modeling and fitting for single-image
raw-data, IEEE TIP 2008, doi:10.1109/TIP.2008.2001399.
Makitalo and Foi, Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian noise, IEEE TIP
2013, doi:10.1109/TIP.2012.2202675.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

BINS = 64
KEPT_SHARE = 0.9  # of the squared residuals in a bin; the largest are edges
KEPT_SHARE_OF_VARIANCE = 0.6230  # what that share keeps of a Gaussian's variance
FLAT = 15  # side of the squares of one single value that are no measurement: padding, saturation, a blank plane
GROWTH_OF_SMOOTH_NOISE = (
    1.8  # FMD confocal and two-photon 1.0 to 1.3, photographs 1.0 to 1.2, FMD wide-field 6
)


@dataclass(frozen=True)
class PoissonGaussian:
    """Noise whose variance grows with the signal: ``var = gain * mean + variance``.

    Parameters
    ----------
    gain : float
        Intensity units per detected photon; 0 for purely additive noise.
    variance : float
        The part that does not depend on the signal, in intensity units squared. Negative where the image has an
        offset: the line then crosses zero at the offset.
    """

    gain: float
    variance: float

    def std(self, mean: float) -> float:
        """Return the standard deviation of the noise where the signal is `mean`, in intensity units."""
        return float(np.sqrt(max(self.gain * mean + self.variance, 0.0)))

    def stabilise(self, y: Pixels) -> Pixels:
        """Apply the generalised Anscombe transform: noise of standard deviation 1 comes out."""
        g = self.gain
        photons = np.maximum(y / g + 0.375 + self.variance / g**2, 0)
        return np.asarray(2 * np.sqrt(photons), dtype=np.float64)

    def restore(self, z: Pixels) -> Pixels:
        """Undo `stabilise` on a denoised image, without bias (closed form of the exact unbiased inverse)."""
        z = np.maximum(z, 0.5)
        root = np.sqrt(1.5)
        photons = z**2 / 4 + root / (4 * z) - 11 / (8 * z**2) + 5 * root / (8 * z**3) - 0.125
        return np.asarray(self.gain * photons - self.variance / self.gain, dtype=np.float64)


def estimate_noise(planes: Iterable[Pixels], *, spacing: int = 1) -> PoissonGaussian:
    """Fit the Poisson-Gaussian line to an image's own pixels.

    Parameters
    ----------
    planes : iterable of (C, Y, X) arrays
        Noisy planes of one stack, in intensity units.
    spacing : int
        How far apart, in pixels, the pixels stand that are compared.

    Returns
    -------
    PoissonGaussian
        A gain of 0 where variance does not grow with intensity.

    Notes
    -----
    The pixels compared are taken to have independent noise: noise that is smooth (resampled or blurred images) is
    underestimated, see `noise_is_smooth`.
    """
    points = [_variance_against_mean(channel, spacing) for plane in planes for channel in plane]
    points = [p for p in points if p[0].size]
    if not points:
        return PoissonGaussian(0.0, 0.0)
    mean, variance = (np.concatenate(column) for column in zip(*points, strict=True))
    if variance.mean() <= 0:
        return PoissonGaussian(0.0, 0.0)
    # In units of the noise and from the middle: intensities of 1e-9 (metres) or 1e30 give the same line.
    middle, unit = float(mean.mean()), float(np.sqrt(variance.mean()))
    gain, constant = _line((mean - middle) / unit, variance / unit**2)
    if gain * np.ptp(mean) < 0.05 * unit:  # no growth worth a transform, or a falling line
        return PoissonGaussian(0.0, float(np.median(variance)))
    return PoissonGaussian(gain * unit, constant * unit**2 - gain * unit * middle)


def _line(mean: Pixels, variance: Pixels) -> tuple[float, float]:
    """Fit variance = gain * mean + constant, for a mean variance of 1."""
    floor = 0.02
    weight = 1 / np.maximum(variance, floor)
    gain = constant = 0.0
    for _ in range(
        20
    ):  # reweighted: a variance is known to a share of itself, and textured bins are outliers
        lines = np.stack([mean, np.ones_like(mean)], axis=1)
        gain, constant = np.linalg.lstsq(lines * weight[:, None], variance * weight, rcond=None)[0]
        fitted = np.maximum(gain * mean + constant, floor)
        weight = 1 / fitted / np.sqrt(1 + ((variance - fitted) / fitted / 0.1) ** 2)
    return float(gain), float(constant)


def noise_is_smooth(planes: Sequence[Pixels]) -> bool:
    """Say whether neighbouring pixels share their noise, as after resampling, demosaicing or a camera's own filter.

    Compared with pixels two apart, direct neighbours then differ less: the noise measured between them is smaller.
    """
    near, far = (estimate_noise(planes, spacing=spacing) for spacing in (1, 2))
    bright = float(np.mean([np.quantile(plane, 0.9) for plane in planes]))
    return far.std(bright) ** 2 > GROWTH_OF_SMOOTH_NOISE * near.std(bright) ** 2 > 0


def _variance_against_mean(channel: Pixels, spacing: int) -> tuple[Pixels, Pixels]:
    """Return local mean and noise variance in bins of equal count."""
    from scipy import ndimage

    if min(channel.shape) < 3 + 2 * spacing:
        return np.empty(0), np.empty(0)
    inner = (slice(spacing, -spacing), slice(spacing, -spacing))
    residual = channel
    for axis in (
        0,
        1,
    ):  # second differences in y and x: zero on planes, and of unit gain on white noise
        ends = np.roll(residual, spacing, axis) + np.roll(residual, -spacing, axis)
        residual = (2 * residual - ends) / np.sqrt(6)
    flat = ndimage.maximum_filter(channel, FLAT) == ndimage.minimum_filter(
        channel, FLAT
    )  # around each pixel
    noisy = ~ndimage.maximum_filter(flat, 2 * FLAT + 1)[inner].ravel()  # away from their edges too
    if noisy.mean() < 0.1:
        noisy = ~flat[inner].ravel()
    residual = residual[inner].ravel()
    level = ndimage.gaussian_filter(channel, 1.5)[inner].ravel()
    if not noisy.any():
        return np.empty(0), np.empty(0)
    if (
        np.median(residual[noisy] ** 2) > 0
    ):  # else drawn, not measured (labels), or nearly no photons: take all
        residual, level = residual[noisy], level[noisy]
    count = int(np.clip(residual.size // 100, 1, BINS))
    means, variances = [], []
    for members in np.array_split(np.argsort(level, kind="stable"), count):
        squares = np.sort(residual[members] ** 2)
        kept = squares[: max(1, int(KEPT_SHARE * squares.size))]
        means.append(level[members].mean())
        variances.append(kept.mean() / KEPT_SHARE_OF_VARIANCE)
    return np.array(means), np.array(variances)


@dataclass(frozen=True)
class UnitRange:
    """The one map of a whole stack to [0, 1] and back, through the stabilising transform where asked.

    Attributes
    ----------
    low, high : float
        The (stabilised) values that become 0 and 1.
    noise : float
        Standard deviation of the noise in the unit range: even where stabilised, else at the mean intensity.
    model : PoissonGaussian or None
        The noise that is stabilised; None for a plain affine map.
    """

    low: float
    high: float
    noise: float
    model: PoissonGaussian | None

    @classmethod
    def of(
        cls, low: float, high: float, mean: float, noise: PoissonGaussian, *, stabilise: bool
    ) -> UnitRange:
        """Build the map from a stack's extremes, mean and noise."""
        if stabilise and noise.gain > 0:
            ends = noise.stabilise(np.array([low, high], dtype=np.float64))
            span = float(ends[1] - ends[0]) or 1.0
            return cls(float(ends[0]), float(ends[0]) + span, 1 / span, noise)
        span = high - low or 1.0
        return cls(low, low + span, noise.std(mean) / span, None)

    def to_unit(self, y: Pixels) -> Pixels:
        """Map intensities to [0, 1]."""
        z = self.model.stabilise(y) if self.model else y
        return (z - self.low) / (self.high - self.low)

    def padding(self, y: Pixels) -> NDArray[np.bool_] | None:
        """Find the places of (C, Y, X) intensities that the stabilising transform would lose, None if there are none.

        Intensities below the offset of the camera all become 0. Noise seldom gets there, but the border of a
        registered or rotated image does: squares of one value, which are to be kept as they are.
        """
        from scipy import ndimage

        if self.model is None or not (lost := self.model.stabilise(y) == 0).any():
            return None
        size = (1, FLAT, FLAT)
        flat = ndimage.maximum_filter(y, size) == ndimage.minimum_filter(y, size)
        whole = ndimage.maximum_filter(flat & lost, size)  # out from the middles of the squares
        return whole if whole.any() else None

    def from_unit(self, u: Pixels) -> Pixels:
        """Map a denoised image from [0, 1] back to intensities."""
        z = u * (self.high - self.low) + self.low
        return self.model.restore(z) if self.model else z
