"""Take what a user gives for an image: an `Image`, an array, a list, a tensor."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from napari_dip.images.image import ArrayLike, Image


def as_image(image: Image | ArrayLike, axes: str | None) -> Image:
    """Take an Image as it is, and turn arrays, lists, tensors and the like into one.

    Raises
    ------
    ValueError
        For what is no numbers on a grid, or axes that do not fit.
    """
    return image if isinstance(image, Image) else Image(_as_array_like(image), axes or "")


def _as_array_like(image: Any) -> ArrayLike:
    """Leave array-likes as they are; turn lists, tensors and data frames into numpy."""
    if isinstance(image, str | PathLike):
        raise ValueError(
            f"The image is the name of a file, {str(image)!r}; read it first: denoise(read(...))."
        )
    if np.ma.is_masked(image):
        raise ValueError(
            "The image has masked pixels, and a fit cannot leave any out; fill them first: "
            "image.filled()."
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
