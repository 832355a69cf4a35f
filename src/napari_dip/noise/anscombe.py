"""The transform that makes Poisson-Gaussian noise even.

Camera and photon-counting noise is Poisson-Gaussian: ``var(y) = gain * mean(y) + variance``. The
generalised Anscombe transform turns it into noise of standard deviation 1 everywhere, which is what
a squared error assumes.

References
----------
Makitalo and Foi, Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian
noise, IEEE TIP 2013, doi:10.1109/TIP.2012.2202675.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

# Where the closed form of the inverse is least, -0.24 photons, and below which it would rise again:
# the root of 4 z^5 - 2 r z^2 + 22 z - 15 r with r = sqrt(1.5).
LEAST_Z = 0.8380823155304359
# side of the squares of one value that are no measurement: padding, saturation, a blank plane
FLAT = 15


def is_flat(y: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return where the square of side `FLAT` around a pixel of (..., Y, X) holds one value."""
    from scipy import ndimage

    half = FLAT // 2 + 1  # of which a square at the border has as much at the least
    if min(y.shape[-2:]) >= half and not _has_square(y, half):
        return np.zeros(y.shape, dtype=bool)
    size = (*[1] * (y.ndim - 2), FLAT, FLAT)
    flat: NDArray[np.bool_] = ndimage.maximum_filter(y, size) == ndimage.minimum_filter(y, size)
    return flat


def _has_square(y: NDArray[np.floating[Any]], side: int) -> bool:
    """Return whether rows of (..., Y, X) hold one value each over a square of some side."""
    same = y[..., 1:] == y[..., :-1]
    for axis, length in ((-1, side - 1), (-2, side)):
        same, done = np.moveaxis(same, axis, 0), 1
        while done < length:  # runs of up to twice the length
            more = min(done, length - done)
            same, done = same[more:] & same[:-more], done + more
        same = np.moveaxis(same, 0, axis)
    return bool(same.any())


@dataclass(frozen=True)
class PoissonGaussian:
    """Noise whose variance grows with the signal: ``var = gain * mean + variance``.

    Parameters
    ----------
    gain : float
        Intensity units per detected photon; 0 for purely additive noise.
    variance : float
        The part that does not depend on the signal, in intensity units squared. Negative where the
        image has an offset: the line then crosses zero at the offset.
    """

    gain: float
    variance: float

    def std(self, mean: float) -> float:
        """Return the standard deviation of the noise where the signal is `mean`."""
        return float(np.sqrt(max(self.gain * mean + self.variance, 0.0)))

    def stabilise(self, y: Pixels) -> Pixels:
        """Apply the generalised Anscombe transform: noise of standard deviation 1 comes out."""
        g = self.gain
        photons = np.maximum(y / g + 0.375 + self.variance / g**2, 0)
        return np.asarray(2 * np.sqrt(photons), dtype=np.float64)

    def restore(self, z: Pixels) -> Pixels:
        """Undo `stabilise` on a denoised image: closed form of the exact unbiased inverse."""
        z = np.maximum(z, LEAST_Z)
        root = np.sqrt(1.5)
        photons = z**2 / 4 + root / (4 * z) - 11 / (8 * z**2) + 5 * root / (8 * z**3) - 0.125
        return np.asarray(self.gain * photons - self.variance / self.gain, dtype=np.float64)
