"""The noise of one channel: how strong at which intensity, and what neighbouring pixels share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.noise.anscombe import PoissonGaussian

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Pixels = NDArray[np.float64]

SHARED = 0.25  # correlation of neighbours; FMD's confocal and two-photon images have up to 0.16


@dataclass(frozen=True)
class MeasuredNoise:
    """The noise of one channel, as measured on its own pixels.

    Attributes
    ----------
    line : PoissonGaussian
        The straight line nearest to the curve, for the generalised Anscombe transform.
    levels, variances, errors : tuple of float
        The curve: knots of intensity, variance of the noise there in intensity units squared, and
        the standard error of each variance relative to it.
    correlation : (2 R + 1, 2 R + 1) tuple of tuples
        Autocorrelation of the noise at lags of -R to R pixels in y and in x, 1 in the middle.
    correlation_error : float
        Standard error of a lag.
    hole : (int, int)
        Furthest lags in y and in x over which the noise is correlated; (0, 0) for noise that is
        independent from pixel to pixel.
    local : tuple of tuples or None
        Standard deviation at a place over what the curve says, on a coarse grid of the image; None
        where that is 1 within its error.
    saturation : (float, float) or None
        Level at which pixels saturate, and their share.
    """

    line: PoissonGaussian
    levels: tuple[float, ...]
    variances: tuple[float, ...]
    errors: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    correlation_error: float
    hole: tuple[int, int]
    local: tuple[tuple[float, ...], ...] | None = None
    saturation: tuple[float, float] | None = None

    @property
    def is_correlated(self) -> bool:
        """Whether neighbours share so much of their noise that a method must know of it.

        Less than `SHARED` does less harm than a wider blind spot would: of such noise the
        neighbours predict about the sum of the squared correlations with them, at `SHARED` an
        eighth of the variance where it is shared along one axis, a quarter along both.
        """
        middle = len(self.correlation) // 2
        nearest = self.correlation[middle][middle + 1], self.correlation[middle + 1][middle]
        return self.hole != (0, 0) and max(nearest) >= SHARED

    def variance(self, level: ArrayLike) -> Pixels:
        """Return the variance of the noise where the signal is `level`, of the same shape.

        Above the last knot, where too few pixels are to measure, as in spots, it grows by the gain.
        """
        level = np.asarray(level, dtype=np.float64)
        beyond = np.maximum(level - self.levels[-1], 0)
        return np.asarray(np.interp(level, self.levels, self.variances) + self.line.gain * beyond)

    def std(self, level: ArrayLike) -> Pixels:
        """Return the standard deviation of the noise where the signal is `level`."""
        return np.sqrt(self.variance(level))

    def to_json(self) -> dict[str, Any]:
        """Return all of it as numbers, lists and dicts."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> MeasuredNoise:
        """Return the noise that `to_json` returned, or a file has kept."""
        line, hole = PoissonGaussian(**record["line"]), tuple(record["hole"])
        return cls(**{**record, "line": line, "hole": hole})
