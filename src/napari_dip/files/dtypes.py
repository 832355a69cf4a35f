"""Bring pixel values into another type, rounded and clipped, and count what was clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from napari_dip.images.image import Image

KEPT = (np.dtype("uint8"), np.dtype("uint16"), np.dtype("float32"))  # what every TIFF reader takes


def cast(image: Image, dtype: DTypeLike) -> tuple[Image, int]:
    """Return the image in another type, and how many values had to be clipped.

    Parameters
    ----------
    image : Image
        Any real type.
    dtype : dtype-like or "same"
        An integer type rounds to the nearest whole number and clips to the type's range; ``"same"`` changes
        nothing.

    Returns
    -------
    image : Image
        With numpy pixels of that type.
    clipped : int
        Values outside the type's range. NaN counts too where the type has none, and becomes 0.

    Raises
    ------
    ValueError
        For complex pixels or a type that is no real number.
    """
    wanted = target_dtype(image.dtype, dtype)
    pixels, clipped = cast_pixels(np.asarray(image.pixels), wanted)
    return image.with_pixels(pixels), clipped


def target_dtype(have: np.dtype[Any], dtype: DTypeLike | None) -> np.dtype[Any]:
    """Say which type a file gets: None keeps uint8, uint16 and float32 and turns the rest into float32.

    Raises
    ------
    ValueError
        For complex pixels or a type that is no real number.
    """
    if have.kind not in "buif":
        raise ValueError(
            f"The image has pixels of type {have}; real numbers are wanted: take the magnitude first."
        )
    have = have.newbyteorder("=")
    if dtype is None:
        return have if have in KEPT else np.dtype("float32")
    if isinstance(dtype, str) and dtype == "same":
        return have
    try:
        wanted = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        wanted = np.dtype("O")
    if wanted.kind not in "uif":
        raise ValueError(
            f"dtype {dtype!r} is not a type of real numbers; give uint8, uint16, float32 or same."
        )
    return wanted


def cast_pixels(pixels: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], int]:
    """Cast an array, rounding and clipping; return it and the number of clipped values."""
    if pixels.dtype.newbyteorder("=") == dtype:
        return pixels.astype(dtype), 0
    if dtype.kind == "f":
        return _cast_to_float(pixels, dtype)
    limits = np.iinfo(dtype)
    if pixels.dtype.kind in "biu":
        # Compare as Python integers would: numpy would wrap a limit that the source type cannot hold.
        source = np.iinfo(pixels.dtype) if pixels.dtype.kind != "b" else None
        if source is None or (source.min >= limits.min and source.max <= limits.max):
            return pixels.astype(dtype), 0
        low, high = max(limits.min, source.min), min(limits.max, source.max)
        clipped = int(np.count_nonzero((pixels < low) | (pixels > high)))
        return np.clip(pixels, low, high).astype(dtype), clipped
    rounded = np.rint(pixels.astype(np.float64))
    inside = (rounded >= limits.min) & (rounded <= limits.max)  # False for NaN
    clipped = int(inside.size - np.count_nonzero(inside))
    if clipped:
        rounded = np.clip(
            np.nan_to_num(rounded, nan=0.0, posinf=limits.max, neginf=limits.min),
            limits.min,
            limits.max,
        )
    return rounded.astype(dtype), clipped


def _cast_to_float(pixels: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], int]:
    limits = np.finfo(dtype)
    if pixels.dtype.kind != "f" or pixels.dtype.itemsize <= dtype.itemsize:
        return pixels.astype(dtype), 0
    over = np.isfinite(pixels) & (np.abs(pixels) > limits.max)
    clipped = int(np.count_nonzero(over))
    if clipped:
        pixels = np.where(over, np.sign(pixels) * limits.max, pixels)
    return pixels.astype(dtype), clipped
