"""Hints on a result where no clean image exists, read off the residual ``noisy - denoised``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import Image

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def residual_check(noisy: ArrayLike | Image, denoised: ArrayLike | Image) -> dict[str, float]:
    """Say what was taken away: it should be noise, hence of mean 0 and, in most cameras, uncorrelated.

    Parameters
    ----------
    noisy, denoised : array-like or Image
        Of one shape. Arrays are taken as (..., Y, X).

    Returns
    -------
    dict
        ``mean`` and ``std`` of the residual, in gray levels; ``autocorrelation_x`` and ``autocorrelation_y``,
        its correlation with its right and its lower neighbour, in [-1, 1] (0 where there is none).
        Values well above 0 mean that structure was removed, or that the noise itself was correlated.

    Raises
    ------
    ValueError
        If the shapes differ or have fewer than two axes.
    """
    y, x = np.asarray(noisy, np.float64), np.asarray(denoised, np.float64)
    if y.shape != x.shape or y.ndim < 2:
        raise ValueError(f"Two images of one shape are wanted; given were {y.shape} and {x.shape}.")
    axes = noisy.axes if isinstance(noisy, Image) else "TZCYX"[-y.ndim :]
    residual = y - x
    return {
        "mean": float(residual.mean()),
        "std": float(residual.std()),
        "autocorrelation_x": _lag_one(residual, axes.index("X")),
        "autocorrelation_y": _lag_one(residual, axes.index("Y")),
    }


def _lag_one(residual: NDArray[np.float64], axis: int) -> float:
    """Correlation of each value with the next one along an axis."""
    line = np.moveaxis(residual, axis, -1)
    first, second = line[..., :-1], line[..., 1:]
    if first.size < 2:
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    energy = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    return float(np.sum(first * second)) / energy if energy else 0.0
