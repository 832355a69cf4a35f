"""The map of a whole stack to [0, 1] and back, through the stabilising transform where asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.noise.anscombe import FLAT, PoissonGaussian, is_flat
from napari_dip.noise.measure import measure_noise
from napari_dip.noise.measured_noise import MeasuredNoise
from napari_dip.noise.uneven import enlarge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

FAR = 6.0  # standard deviations of the noise
SURE = 0.2  # relative error of a variance that is believed
UNEVEN = 1.5  # times the variance that the stabilised noise should have


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
    measured : MeasuredNoise or None
        The noise as it is in the unit range: even only where `model` is right.
    """

    low: float
    high: float
    noise: float
    model: PoissonGaussian | None
    measured: MeasuredNoise | None = None

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

    @property
    def models(self) -> tuple[PoissonGaussian | None, ...]:
        """The noise of each colour."""
        return (self.model,)

    def measure(self, samples: list[Pixels], noise: MeasuredNoise) -> UnitRange:
        """Return this map, with the noise measured on some planes (Y, X) that it maps.

        `noise` is that before: no map changes where it is stronger, or makes pixels share it.
        """
        mapped = [self.to_unit(y) for y in samples]
        measured = measure_noise(mapped, noise.local, is_independent=noise.hole == (0, 0))
        return replace(self, measured=measured)

    def relative_variance(self, u: Pixels) -> Pixels | None:
        """Return the noise's variance at each pixel of (C, Y, X) in the unit range, over `noise`^2.

        None where it is nowhere much larger. Read off the curve at the blurred intensity, and never
        less than 1: noise that is believed to be weaker than the line says, as where the dark is
        clipped, was worse on five of eight images of FMD.
        """
        from scipy import ndimage

        if self.measured is None or self.noise <= 0:
            return None
        level = ndimage.gaussian_filter(u, (0, 2.0, 2.0), mode="mirror")
        curve = self.measured
        # Where only structure has such an intensity, the curve is that of structure.
        sure = np.asarray(curve.errors) <= SURE
        sure &= self.model is not None  # else it was found to be the same everywhere
        knots = np.where(sure, np.asarray(curve.variances) / self.noise**2, 1.0)
        relative = np.interp(level, curve.levels, knots)
        if curve.local is not None:
            relative = relative * enlarge_grid(curve.local, u.shape[-2:]) ** 2
        uneven = curve.local is not None or relative.max() > UNEVEN
        return np.maximum(relative, 1.0) if uneven else None

    def to_unit(self, y: Pixels) -> Pixels:
        """Map intensities to [0, 1]."""
        z = self.model.stabilise(y) if self.model else y
        return (z - self.low) / (self.high - self.low)

    def padding(self, y: Pixels) -> NDArray[np.bool_] | None:
        """Find the pixels of (C, Y, X) intensities that the transform would lose; None if none.

        Intensities below the offset of the camera all become 0. Noise seldom gets there, but the
        border of a registered or rotated image does: squares of one value, which are to be kept as
        they are. Without a transform, those that are far from all else.
        """
        from scipy import ndimage

        if self.model is None:
            far = np.abs(self.to_unit(y) - np.median(self.to_unit(y)))
            lost = far > FAR * self.noise
        else:
            lost = self.model.stabilise(y) == 0
        if not lost.any():
            return None
        # Out from the middles of the squares.
        whole = ndimage.maximum_filter(is_flat(y) & lost, (1, FLAT, FLAT))
        return whole if whole.any() else None

    def from_unit(self, u: Pixels) -> Pixels:
        """Map a denoised image from [0, 1] back to intensities."""
        z = u * (self.high - self.low) + self.low
        return self.model.restore(z) if self.model else z


def enlarge_grid(grid: tuple[tuple[float, ...], ...], shape: tuple[int, ...]) -> Pixels:
    """Return the values of a coarse grid over a plane at each of its pixels."""
    rows, columns = ((np.arange(n) + 0.5) / n for n in shape)
    return enlarge(np.asarray(grid), rows, columns)


@dataclass(frozen=True)
class ColourRanges:
    """The maps of the colours of one image, each with the noise of its own detector.

    Attributes
    ----------
    ranges : tuple of UnitRange
        Of the colours in turn.
    """

    ranges: tuple[UnitRange, ...]

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in the unit range, the same in all colours with noise."""
        return min((one.noise for one in self.ranges if one.noise > 0), default=0.0)

    @property
    def models(self) -> tuple[PoissonGaussian | None, ...]:
        """The noise of each colour."""
        return tuple(one.model for one in self.ranges)

    @property
    def measured(self) -> MeasuredNoise | None:
        """The noise of the colour whose noise reaches furthest."""
        known = [one.measured for one in self.ranges if one.measured is not None]
        return max(known, key=lambda noise: sum(noise.hole), default=None)

    def relative_variance(self, u: Pixels) -> Pixels | None:
        """Return the noise's variance at each pixel (C, Y, X), see `UnitRange`."""
        colours = zip(self.ranges, u, self._factors(), strict=True)
        parts = [one.relative_variance(colour[None] / factor) for one, colour, factor in colours]
        even = np.ones((1, *u.shape[1:]))
        return np.concatenate([even if part is None else part for part in parts])

    def _factors(self) -> list[float]:
        return [self.noise / one.noise if one.noise > 0 else 1.0 for one in self.ranges]

    def to_unit(self, y: Pixels) -> Pixels:
        """Map intensities (C, Y, X) into [0, 1]."""
        colours = zip(self.ranges, y, self._factors(), strict=True)
        return np.stack([one.to_unit(colour) * factor for one, colour, factor in colours])

    def from_unit(self, u: Pixels) -> Pixels:
        """Map a denoised image (C, Y, X) back to intensities."""
        colours = zip(self.ranges, u, self._factors(), strict=True)
        return np.stack([one.from_unit(colour / factor) for one, colour, factor in colours])

    def padding(self, y: Pixels) -> NDArray[np.bool_] | None:
        """Find the pixels that the transforms would lose, see `UnitRange.padding`."""
        found = [one.padding(colour[None]) for one, colour in zip(self.ranges, y, strict=True)]
        if all(part is None for part in found):
            return None
        return np.concatenate(
            [np.zeros((1, *y.shape[1:]), bool) if f is None else f for f in found]
        )
