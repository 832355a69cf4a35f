"""Bring pixel values into another type, rounded and clipped, and count what was clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

PLAIN = ("uint8", "uint16", "float32")  # what every TIFF reader takes


def target_dtype(have: np.dtype[Any], dtype: DTypeLike | None) -> np.dtype[Any]:
    """Return the type a file gets: None keeps the types of `PLAIN`, all others become float32."""
    if have.kind not in "buif":
        raise ValueError(
            f"The image has pixels of type {have}, not real numbers: take the magnitude first."
        )
    have = have.newbyteorder("=")
    if dtype is None:
        return have if have.name in PLAIN else np.dtype("float32")
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
    """Cast an array; return it and the number of values that had to be clipped.

    Integer types round to the nearest whole number. NaN becomes 0 there, and counts as clipped.
    """
    kind = pixels.dtype.kind
    if pixels.dtype.newbyteorder("=") == dtype or kind == "b":
        return pixels.astype(dtype), 0
    if dtype.kind == "f":
        if kind != "f" or pixels.dtype.itemsize <= dtype.itemsize:
            return pixels.astype(dtype), 0
        top = np.finfo(dtype).max
        outside = np.isfinite(pixels) & (np.abs(pixels) > top)
        return np.where(outside, np.sign(pixels) * top, pixels).astype(dtype), int(outside.sum())
    limits = np.iinfo(dtype)
    low, high = limits.min, limits.max
    if kind == "f":
        pixels = np.rint(pixels.astype(np.float64))
        outside = ~((pixels >= low) & (pixels <= high))  # True for NaN
        if outside.any():
            pixels = np.nan_to_num(pixels, nan=0.0, posinf=high, neginf=low)
    else:
        # Compare as Python integers would: numpy would wrap a limit that the source cannot hold.
        source = np.iinfo(pixels.dtype)
        low, high = max(low, source.min), min(high, source.max)
        outside = (pixels < low) | (pixels > high)
    clipped = int(np.count_nonzero(outside))
    return (np.clip(pixels, low, high) if clipped else pixels).astype(dtype), clipped
