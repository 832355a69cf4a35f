"""The variance of noise over intensity: means of squares in bins, a smooth curve and a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]
    Indices = NDArray[np.intp]

BINS = 32
FEWEST_IN_BIN = 200
LEAST_GROWTH = 0.1  # of the variance over all levels, to be worth a transform
# what structure adds to squares of second differences of spacing 1, of what it adds at spacing 2:
# for spots of light of sigma 0.8, 1 and 1.5 pixels 0.05, 0.03 and 0.01
STRUCTURE = 0.03


@dataclass(frozen=True)
class Curve:
    """Variance over level in bins, with relative errors."""

    level: Pixels
    variance: Pixels
    error: Pixels

    @property
    def _sure(self) -> NDArray[np.bool_]:
        return self.error <= max(0.3, float(np.quantile(self.error, 0.25)))

    @property
    def sure(self) -> tuple[float, float]:
        """The levels between which the variance is not in doubt; all below the lowest count."""
        level, last = self.level[self._sure], bool(self._sure[-1])
        return (-np.inf if self._sure[0] else level[0]), (np.inf if last else level[-1])

    def at(self, level: Pixels, least: float = 1e-3) -> Pixels:
        """Return the variance at `level`, from the bins that are not in doubt.

        It is at least `least` times that of the median bin.
        """
        sure = self._sure
        floor = least * np.median(self.variance)
        return np.interp(level, self.level[sure], np.maximum(self.variance[sure], floor))


def split_levels(level: Pixels) -> list[Indices]:
    """Return the pixels of each bin: bins share out the pixels as well as the range of levels."""
    order = np.argsort(level, kind="stable")
    span = level[order] - level[order[0]]
    place = np.linspace(0, 1, order.size) + np.sqrt(span / max(span[-1], 1e-300))
    count = int(np.clip(level.size // 1000, 1, BINS))
    edges = np.searchsorted(place, np.linspace(0, place[-1], count + 1)[1:-1])
    return [part for part in np.split(order, edges) if part.size >= FEWEST_IN_BIN] or [order]


def measure_curve(
    level: Pixels,
    near: Pixels,
    wider: Pixels,
    squares: Pixels,
    growth: float,
    bins: list[Indices],
    chosen: list[Indices],
) -> Curve:
    """Return the variance of the noise in each bin, and how sure it is.

    `near` and `wider` are mean squares of second differences, of neighbours and of twice the
    spacing, `squares` those of single pixels. Where `wider` exceeds `growth` times `near`,
    structure is left, of which `near` has a small share.
    """
    variance, error = np.zeros(len(bins)), np.full(len(bins), 10.0)
    for i, members in enumerate(chosen):
        s = squares[members]
        mean, twice = near[members].mean(), wider[members].mean()
        if mean > 0:
            by_structure = STRUCTURE * (twice / mean - growth)
            variance[i] = mean * max(1 - by_structure, 0.1)
            by_chance = s.std() / np.sqrt(s.size / 4) / mean + 1 / np.sqrt(s.size)
            error[i] = np.hypot(by_chance, max(by_structure, 0)) * mean / variance[i]
    return Curve(np.array([level[b].mean() for b in bins]), variance, error)


def smooth(curve: Curve) -> Pixels:
    """Return the variances nearer to a parabola, as far as they depart from it by chance."""
    if curve.level.size < 4:
        return curve.variance
    fitted = _fit(curve, 2)
    apart = max(float(np.median(((curve.variance - fitted) / fitted) ** 2 - curve.error**2)), 0)
    share = apart / (apart + curve.error**2)
    return np.maximum(fitted + share * (curve.variance - fitted), 0)


def fit_line(curve: Curve) -> tuple[float, float]:
    """Fit variance = gain * level + constant; a gain of 0 where the variance hardly grows."""
    if curve.level.size < 2:
        return 0.0, float(curve.variance[0])
    fitted = _fit(curve, 1, floored=False)
    span = curve.level[-1] - curve.level[0]
    gain = float((fitted[-1] - fitted[0]) / span) if span > 0 else 0.0
    if gain * span < LEAST_GROWTH * np.median(curve.variance):  # or falls
        return 0.0, float(np.median(curve.variance))
    return gain, float(fitted[0] - gain * curve.level[0])


def _fit(curve: Curve, degree: int, *, floored: bool = True) -> Pixels:
    """Fit a polynomial by errors relative to itself, robustly; return it at the levels."""
    x = (curve.level - curve.level.mean()) / max(float(np.ptp(curve.level)), 1e-300)
    design = np.vander(x, degree + 1)
    floor = 1e-3 * float(np.median(curve.variance))
    error = np.hypot(curve.error, 0.03)
    fitted = np.maximum(curve.variance, floor)
    for _ in range(10):
        far = (curve.variance - fitted) / fitted / error / 3
        weight = 1 / fitted / error / np.sqrt(1 + far**2)
        power = np.linalg.lstsq(design * weight[:, None], curve.variance * weight, rcond=None)[0]
        line = design @ power
        fitted = np.maximum(line, floor)
    return np.asarray(fitted if floored else line)
