"""The noise of planes too small to tell structure from noise: a line through second differences.

References
----------
Foi, Trimeche, Katkovnik and Egiazarian, Practical Poissonian-Gaussian noise modeling and fitting
for single-image raw-data, IEEE TIP 2008, doi:10.1109/TIP.2008.2001399.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.noise.anscombe import FLAT, PoissonGaussian, is_flat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

BINS = 64
KEPT_SHARE = 0.9  # of the squared residuals in a bin; the largest are edges
KEPT_SHARE_OF_VARIANCE = 0.6230  # what that share keeps of a Gaussian's variance


def fit_few_pixels(planes: Sequence[Pixels]) -> PoissonGaussian:
    """Fit the Poisson-Gaussian line to small planes (Y, X) of one detector.

    The largest tenth of the squares is left out, as edges: robust, but not for few photons, which
    are left out too. A gain of 0 where variance does not grow with intensity.
    """
    points = [_variance_against_mean(plane) for plane in planes]
    points = [p for p in points if p[0].size]
    if not points:
        return PoissonGaussian(0.0, 0.0)
    mean, variance = (np.concatenate(column) for column in zip(*points, strict=True))
    if variance.mean() <= 0:
        return PoissonGaussian(0.0, 0.0)
    # In units of the noise and from the middle: intensities of 1e-9 or 1e30 give the same line.
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
    # Reweighted: a variance is known to a share of itself, and textured bins are outliers.
    for _ in range(20):
        lines = np.stack([mean, np.ones_like(mean)], axis=1)
        gain, constant = np.linalg.lstsq(lines * weight[:, None], variance * weight, rcond=None)[0]
        fitted = np.maximum(gain * mean + constant, floor)
        weight = 1 / fitted / np.sqrt(1 + ((variance - fitted) / fitted / 0.1) ** 2)
    return float(gain), float(constant)


def _variance_against_mean(channel: Pixels) -> tuple[Pixels, Pixels]:
    """Return local mean and noise variance of a (Y, X) channel in bins of equal count."""
    from scipy import ndimage

    if min(channel.shape) < 5:
        return np.empty(0), np.empty(0)
    inner = (slice(1, -1), slice(1, -1))
    # Second differences in y and x are zero on planes, and of unit gain on white noise.
    residual = channel
    for axis in (0, 1):
        ends = np.roll(residual, 1, axis) + np.roll(residual, -1, axis)
        residual = (2 * residual - ends) / np.sqrt(6)
    flat = is_flat(channel)
    noisy = ~ndimage.maximum_filter(flat, 2 * FLAT + 1)[inner].ravel()  # away from their edges too
    if noisy.mean() < 0.1:
        noisy = ~flat[inner].ravel()
    residual = residual[inner].ravel()
    level = ndimage.gaussian_filter(channel, 1.5)[inner].ravel()
    if not noisy.any():
        return np.empty(0), np.empty(0)
    # Else drawn, not measured (labels), or nearly no photons: take all.
    if np.median(residual[noisy] ** 2) > 0:
        residual, level = residual[noisy], level[noisy]
    count = int(np.clip(residual.size // 100, 1, BINS))
    means, variances = [], []
    for members in np.array_split(np.argsort(level, kind="stable"), count):
        squares = np.sort(residual[members] ** 2)
        kept = squares[: max(1, int(KEPT_SHARE * squares.size))]
        means.append(level[members].mean())
        variances.append(kept.mean() / KEPT_SHARE_OF_VARIANCE)
    return np.array(means), np.array(variances)
