"""Noise models, to make noisy images out of clean ones, each with a generator seeded by `seed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np

from napari_dip.images.image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

ImageOrArray = TypeVar("ImageOrArray")
Limits = tuple[float, float] | None


def add_gaussian(
    image: ImageOrArray, sigma: float, *, seed: int = 0, clip: Limits = None
) -> ImageOrArray:
    """Add white Gaussian noise: ``y = x + n``, n of standard deviation `sigma`.

    Parameters
    ----------
    image : array-like or Image
        Clean, in any range.
    sigma : float
        In the image's gray levels; 25 is the usual test on pictures of 8 bits.
    seed : int
        Same seed, same noise.
    clip : (float, float), optional
        Least and greatest value of the result; by default nothing is clipped.

    Returns
    -------
    float32 array or Image
        What was given, noisy, in the image's range.

    Raises
    ------
    ValueError
        If `sigma` is negative or not finite.
    """
    x = _clean(image, "sigma", sigma)
    y = x + np.random.default_rng(seed).normal(0.0, 1.0, x.shape) * sigma
    return _like(image, y, clip)


def add_poisson(
    image: ImageOrArray, peak: float, *, white: float = 255.0, seed: int = 0, clip: Limits = None
) -> ImageOrArray:
    """Count photons: ``y = Poisson(x / white * peak) / peak * white``.

    Parameters
    ----------
    image : array-like or Image
        Clean, not negative.
    peak : float
        Photons expected in a pixel of value `white`; fewer are noisier.
    white : float
        The value that stands for `peak` photons; 255 suits pictures of 8 bits.
    seed, clip
        As in `add_gaussian`.

    Returns
    -------
    float32 array or Image
        What was given, noisy, with the same mean.

    Raises
    ------
    ValueError
        If a pixel is negative, or `peak` or `white` is not positive.
    """
    x = _clean(image, "peak", peak, positive=True)
    if not (np.isfinite(white) and white > 0):
        raise ValueError(f"white must be positive; given was {white}.")
    if x.size and x.min() < 0:
        raise ValueError(
            f"Poisson noise needs pixels from 0 up, not {x.min():g}: subtract the offset first."
        )
    y = np.random.default_rng(seed).poisson(x / white * peak) / peak * white
    return _like(image, y, clip)


def add_speckle(
    image: ImageOrArray,
    variance: float,
    *,
    distribution: Literal["gaussian", "uniform"] = "gaussian",
    seed: int = 0,
    clip: Limits = None,
) -> ImageOrArray:
    """Multiply by noise: ``y = x + x n``, n of the given variance.

    Parameters
    ----------
    image : array-like or Image
        Clean, in any range.
    variance : float
        Of the factor, hence free of the image's range.
    distribution : {"gaussian", "uniform"}
        Of n; its mean is 0.
    seed, clip
        As in `add_gaussian`.

    Returns
    -------
    float32 array or Image
        What was given, noisy, with the same mean.

    Raises
    ------
    ValueError
        If `variance` is negative or not finite, or there is no such `distribution`.
    """
    x, random = _clean(image, "variance", variance), np.random.default_rng(seed)
    if distribution not in ("gaussian", "uniform"):
        raise ValueError(f"distribution is {distribution!r}; give gaussian or uniform.")
    uniform = distribution == "uniform"
    n = random.uniform(-(3**0.5), 3**0.5, x.shape) if uniform else random.normal(0, 1, x.shape)
    y = x + x * n * np.sqrt(variance)
    return _like(image, y, clip)


def _clean(image: Any, name: str, amount: float, *, positive: bool = False) -> NDArray[np.float64]:
    if not np.isfinite(amount) or amount < 0 or (positive and amount == 0):
        bound = "positive" if positive else "at least 0"
        raise ValueError(f"{name} must be {bound} and finite; given was {amount}.")
    return np.asarray(image, dtype=np.float64)


def _like(image: ImageOrArray, noisy: NDArray[np.float64], clip: Limits) -> ImageOrArray:
    """Give back an Image for an Image, an array for all else."""
    pixels = (noisy if clip is None else np.clip(noisy, *clip)).astype(np.float32)
    return cast("ImageOrArray", image.with_pixels(pixels) if isinstance(image, Image) else pixels)
