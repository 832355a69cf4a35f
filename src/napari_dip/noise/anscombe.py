"""The transform that makes Poisson-Gaussian noise even, and the map of a stack to the unit range.

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
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

# Where the closed form of the inverse is least, -0.24 photons, and below which it would rise again:
# the root of 4 z^5 - 2 r z^2 + 22 z - 15 r with r = sqrt(1.5).
LEAST_Z = 0.8380823155304359
# side of the squares of one value that are no measurement: padding, saturation, a blank plane
FLAT = 15


def is_flat(y: Pixels) -> NDArray[np.bool_]:
    """Return where the square of side `FLAT` around a pixel of (..., Y, X) holds one value."""
    from scipy import ndimage

    size = (*[1] * (y.ndim - 2), FLAT, FLAT)
    flat: NDArray[np.bool_] = ndimage.maximum_filter(y, size) == ndimage.minimum_filter(y, size)
    return flat


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


@dataclass(frozen=True)
class UnitRange:
    """The map of a whole stack to [0, 1] and back, through the stabilising transform where asked.

    Attributes
    ----------
    low, high : float
        The (stabilised) values that become 0 and 1.
    noise : float
        Standard deviation of the noise in the unit range: even where stabilised, else at the mean
        intensity.
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
        """Find the pixels of (C, Y, X) intensities that the transform would lose; None if none.

        Intensities below the offset of the camera all become 0. Noise seldom gets there, but the
        border of a registered or rotated image does: squares of one value, which are to be kept as
        they are.
        """
        from scipy import ndimage

        if self.model is None or not (lost := self.model.stabilise(y) == 0).any():
            return None
        # Out from the middles of the squares.
        whole = ndimage.maximum_filter(is_flat(y) & lost, (1, FLAT, FLAT))
        return whole if whole.any() else None

    def from_unit(self, u: Pixels) -> Pixels:
        """Map a denoised image from [0, 1] back to intensities."""
        z = u * (self.high - self.low) + self.low
        return self.model.restore(z) if self.model else z
