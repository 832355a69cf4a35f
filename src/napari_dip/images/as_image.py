"""Take what a user gives for an image: an `Image`, an array, a list, a tensor."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from napari_dip.images.image import ArrayLike, Image, axes_for


def as_image(image: Image | ArrayLike, axes: str | None) -> Image:
    """Take an Image as it is, and turn arrays, lists, tensors and the like into one.

    An array of floats (Y, X, 3) or (Y, X, 4) is taken for colour too, where no axes are given.

    Raises
    ------
    ValueError
        For what is no numbers on a grid, or axes that do not fit.
    """
    if isinstance(image, Image):
        return image
    pixels = _as_array_like(image)
    dtype = np.dtype(pixels.dtype)
    if axes is None and dtype.kind == "f" and len(pixels.shape) == 3:
        # Colour as scikit-image has it; a stack of planes 3 or 4 pixels wide is none.
        axes = axes_for(tuple(pixels.shape), may_be_colour=True, smallest=5)
    return Image(pixels, axes or "")


def _as_array_like(image: Any) -> ArrayLike:
    """Leave array-likes as they are; turn lists, tensors and data frames into numpy."""
    if isinstance(image, str | PathLike):
        raise ValueError(
            f"The image is the name of a file, {str(image)!r}; read it first: denoise(read(...))."
        )
    try:
        np.dtype(image.dtype)
        tuple(image.shape)
        return image  # type: ignore[no-any-return]
    except (AttributeError, TypeError):  # no array, or one with types of its own, as torch has
        pass
    try:
        return np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"The image is a {type(image).__name__} that numpy cannot read as numbers on a grid; "
            "give a numpy array."
        ) from None
