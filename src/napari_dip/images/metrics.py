"""Scores against a clean image: PSNR and SSIM, with the data range always named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import Image, axes_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_WINDOW = 7  # pixels, scikit-image's default for SSIM


def psnr(
    clean: ArrayLike | Image,
    image: ArrayLike | Image,
    *,
    data_range: float | None = None,
    affine: bool = False,
) -> float:
    """Peak signal-to-noise ratio, in dB, over the whole array.

    Parameters
    ----------
    clean, image : array-like or Image
        Of one shape. `clean` is the reference.
    data_range : float, optional
        The peak. By default the whole range of `clean`'s integer type: 255 for uint8, 65535 for
        uint16, which is far too large for a 12-bit camera. Images of float have no such range: give
        one.
    affine : bool
        First match `image` to `clean` by the least-squares gain and offset, for pairs stretched
        apart.

    Returns
    -------
    float
        ``10 log10(range^2 / mean((clean - image)^2))``; infinite for equal images.

    Raises
    ------
    ValueError
        If the shapes differ, values are not finite, or no range can be told.
    """
    reference, other = _pair(clean, image, affine)
    peak = data_range_of(clean, data_range)
    error = float(np.mean((reference - other) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(
    clean: ArrayLike | Image,
    image: ArrayLike | Image,
    *,
    data_range: float | None = None,
    affine: bool = False,
) -> float:
    """Structural similarity, at most 1, with scikit-image's 7 x 7 window.

    A stack is scored plane by plane and the mean returned, as its axes need not have one scale.
    Colour (the last axis has 3 or 4 entries, the two before it at least 7) is scored channel by
    channel.

    Parameters
    ----------
    clean, image, data_range, affine
        As in `psnr`.

    Raises
    ------
    ValueError
        As in `psnr`, and for planes under 7 pixels high or wide.

    References
    ----------
    Wang, Bovik, Sheikh and Simoncelli, Image quality assessment: from error visibility to
    structural similarity, IEEE Transactions on Image Processing 2004, doi:10.1109/TIP.2003.819861.
    """
    from skimage import metrics

    reference, other = _pair(clean, image, affine)
    peak = data_range_of(clean, data_range)
    # By shape alone: the type, by which `guess_axes` tells colour, is float by now.
    axes = clean.axes if isinstance(clean, Image) else axes_for(reference.shape, True, _WINDOW)
    first, second = Image(reference, axes), Image(other, axes)
    height, width = (reference.shape[axes.index(a)] for a in "YX")
    if min(height, width) < _WINDOW:
        raise ValueError(
            f"SSIM needs planes of at least {_WINDOW} x {_WINDOW} pixels, not {height} x {width}."
        )
    score: Any = metrics.structural_similarity  # untyped
    scores = [
        score(a, b, data_range=peak, channel_axis=0)
        for a, b in zip(first.planes(), second.planes(), strict=True)
    ]
    return float(np.mean(scores))


def data_range_of(clean: ArrayLike | Image, given: float | None = None) -> float:
    """Return the range a score stands on: the given one, or that of the clean image's integer type.

    Raises
    ------
    ValueError
        If the given range is not positive, or none is given for pixels that are no integers.
    """
    if given is not None:
        if not 1e-30 <= given <= 1e30:
            raise ValueError(
                f"The data range must be a positive number, 1e-30 to 1e30; given was {given}."
            )
        return float(given)
    dtype = clean.dtype if isinstance(clean, Image) else np.asarray(clean).dtype
    if dtype.kind == "b":
        return 1.0
    if dtype.kind not in "ui":
        raise ValueError(
            f"The clean image's type {dtype} has no range of its own: give data_range (255?)."
        )
    limits = np.iinfo(dtype)
    return float(int(limits.max) - int(limits.min))


def match_affine(clean: NDArray[Any], image: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``gain * image + offset``, with gain and offset of the least squared error."""
    reference, other = np.asarray(clean, np.float64), np.asarray(image, np.float64)
    centred = other - other.mean()
    energy = float(np.mean(centred**2))
    gain = float(np.mean(centred * (reference - reference.mean()))) / energy if energy else 0.0
    matched: NDArray[np.float64] = gain * centred + reference.mean()
    return matched


def _pair(
    clean: ArrayLike | Image, image: ArrayLike | Image, affine: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    reference, other = np.asarray(clean), np.asarray(image)
    if reference.shape != other.shape:
        raise ValueError(
            f"The images differ in shape: {reference.shape} and {other.shape}; give one shape."
        )
    if isinstance(clean, Image) and isinstance(image, Image) and clean.axes != image.axes:
        raise ValueError(
            f"The images differ in axes: {clean.axes} and {image.axes}; read both with the same."
        )
    if reference.size == 0:
        raise ValueError(f"The images have no pixels: their shape is {reference.shape}.")
    for name, pixels in (("clean image", reference), ("image to score", other)):
        if pixels.dtype.kind not in "buif":
            raise ValueError(f"The {name} has pixels of type {pixels.dtype}, not real numbers.")
        if not np.all(np.isfinite(pixels)):
            raise ValueError(f"The {name} holds NaN or infinite pixels: replace them first.")
    reference, other = reference.astype(np.float64), other.astype(np.float64)
    return reference, match_affine(reference, other) if affine else other
