"""The map that makes the noise of one image even and of standard deviation 1, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.noise.anscombe import LEAST_Z, PoissonGaussian
from napari_dip.noise.measure import measure_noise
from napari_dip.noise.measured_noise import MeasuredNoise

if TYPE_CHECKING:
    from numpy.typing import NDArray


LEAST_SIDE = 128  # pixels; in less, structure may pass for correlated noise


class NoNoiseError(ValueError):
    """An image without noise: nothing can be learnt from it."""


@dataclass(frozen=True)
class Normalisation:
    """The map that makes the noise of an image even, of standard deviation 1, and its mean 0."""

    noise: PoissonGaussian
    mean: float
    stabilised: bool
    shared: MeasuredNoise | None = None  # the noise, where neighbouring pixels share it

    @property
    def hole(self) -> int:
        """How many pixels far they do."""
        return max(self.shared.hole) if self.shared else 0

    def apply(self, y: NDArray[np.float64]) -> NDArray[np.float32]:
        """Map intensities to units of the noise."""
        z = self.noise.stabilise(y) if self.stabilised else y / self.noise.std(0.0)
        return np.asarray(z - self.mean, dtype=np.float32)

    def apply_to_clean(self, x: NDArray[np.float64]) -> NDArray[np.float32]:
        """Map clean intensities to where `apply` brings noisy ones on average."""
        if not self.stabilised:
            return self.apply(x)
        top = 2 + float(self.noise.stabilise(np.asarray(x.max()))) * 1.05
        grid = np.linspace(LEAST_Z, top, 4096)
        z = np.interp(x, self.noise.restore(grid), grid)
        return np.asarray(z - self.mean, dtype=np.float32)

    def undo(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring a denoised image back to intensities, without bias."""
        z = z + self.mean
        return self.noise.restore(z) if self.stabilised else z * self.noise.std(0.0)


def measure_normalisation(
    samples: list[NDArray[np.float64]], stabilise: bool, name: str
) -> Normalisation:
    """Measure noise and mean on (C, Y, X) samples of the image `name`."""
    measured = measure_noise([channel for sample in samples for channel in sample])
    noise, shared = measured.line, measured if is_shared(measured, samples[0].shape) else None
    mean = float(np.mean([sample.mean() for sample in samples]))
    if noise.std(mean) <= 0:
        raise NoNoiseError(
            f"{name} has no noise that could be measured: nothing can be learnt; leave it out."
        )
    if not stabilise or noise.gain <= 0:
        flat = PoissonGaussian(0.0, noise.std(mean) ** 2)
        return Normalisation(flat, mean / flat.std(0.0), stabilised=False, shared=shared)
    middle = float(np.mean([noise.stabilise(sample).mean() for sample in samples]))
    return Normalisation(noise, middle, stabilised=True, shared=shared)


def is_shared(measured: MeasuredNoise, shape: tuple[int, ...]) -> bool:
    """Return whether neighbours share so much of their noise that a model must know of it.

    Of an image of less than `LEAST_SIDE` in its `shape` (..., Y, X) nothing is taken for certain.
    """
    return measured.is_correlated and min(shape[-2:]) >= LEAST_SIDE
