"""Hints on a result where no clean image exists, read off the residual ``noisy - denoised``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import Image

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def residual_check(noisy: ArrayLike | Image, denoised: ArrayLike | Image) -> dict[str, float]:
    """Measure what was taken away: it should have mean 0 and, in most cameras, be uncorrelated.

    Parameters
    ----------
    noisy, denoised : array-like or Image
        Of one shape. Arrays are taken as (..., Y, X).

    Returns
    -------
    dict
        ``mean`` and ``std`` of the residual, in gray levels; ``autocorrelation_x`` and
        ``autocorrelation_y``, its correlation with its right and its lower neighbour, in [-1, 1] (0
        where there is none). Pixels that are NaN or infinite in `noisy` are left out. Values well
        above 0 mean that structure was removed, or that the noise itself was correlated.

    Raises
    ------
    ValueError
        If the shapes differ or have fewer than two axes.
    """
    one, two = (image if isinstance(image, Image) else _image(image) for image in (noisy, denoised))
    if one.shape != two.shape:
        raise ValueError(
            f"Two images of one shape are wanted; given were {one.shape} and {two.shape}."
        )
    count, sums = 0, np.zeros(2)
    along_x, along_y = np.zeros(3), np.zeros(3)
    for index in one.plane_indices():
        plane = one.plane(index)
        known = np.isfinite(plane)  # where a pixel was missing nothing was taken away
        residual = np.where(known, plane, 0.0) - np.where(known, two.plane(index), 0.0)  # (C, Y, X)
        count += int(known.sum())
        sums += residual.sum(), np.square(residual).sum()
        residual[known] -= residual[known].mean() if known.any() else 0.0
        along_x += _products(residual[..., :-1], residual[..., 1:])
        along_y += _products(residual[..., :-1, :], residual[..., 1:, :])
    mean, square = sums / max(count, 1)
    return {
        "mean": float(mean),
        "std": float(np.sqrt(max(square - mean**2, 0.0))),
        "autocorrelation_x": _correlation(along_x),
        "autocorrelation_y": _correlation(along_y),
    }


def _image(pixels: ArrayLike) -> Image:
    array = np.asarray(pixels)
    if not 2 <= array.ndim <= 5:
        raise ValueError(f"An image of 2 to 5 axes is wanted; given was the shape {array.shape}.")
    return Image(array, "TZCYX"[-array.ndim :])


def _products(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums that a correlation is made of, for two sides of mean about 0."""
    return np.array([(first * second).sum(), np.square(first).sum(), np.square(second).sum()])


def _correlation(sums: NDArray[np.float64]) -> float:
    both, first, second = sums
    energy = float(np.sqrt(first * second))
    return float(both) / energy if energy > 0 else 0.0
