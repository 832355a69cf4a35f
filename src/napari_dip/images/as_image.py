"""Take what a user gives for an image: an `Image`, an array, a list, a tensor."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from napari_dip.images.axis_names import letter_of
from napari_dip.images.image import ArrayLike, Image, axes_for
from napari_dip.images.units import clean_unit


def as_image(image: Image | ArrayLike, axes: str | None) -> Image:
    """Take an Image as it is, and turn arrays, lists, tensors and the like into one.

    An array of floats (Y, X, 3) or (Y, X, 4) is taken for colour too, where no axes are given. One
    whose dimensions have names, as xarray's, has axes of these, and the scale of its coordinates.

    Raises
    ------
    ValueError
        For what is no numbers on a grid, or axes that do not fit.
    """
    if isinstance(image, Image):
        return image
    if axes is None and (named := _of_named_dimensions(image)) is not None:
        return named
    pixels = _as_array_like(image)
    dtype = np.dtype(pixels.dtype)
    if axes is None and dtype.kind == "f" and len(pixels.shape) == 3:
        # Colour as scikit-image has it; a stack of planes 3 or 4 pixels wide is none.
        axes = axes_for(tuple(pixels.shape), may_be_colour=True, smallest=5)
    return Image(pixels, axes or "")


def _of_named_dimensions(image: Any) -> Image | None:
    """Return an array with named dimensions as an Image; None for others.

    Raises
    ------
    ValueError
        Where some names are those of axes and others are not.
    """
    names = getattr(image, "dims", None)
    if not isinstance(names, tuple) or len(names) != len(getattr(image, "shape", ())):
        return None
    letters = [letter_of(name) for name in names]
    if not any(letters):
        return None
    if not all(letters):
        unknown = ", ".join(
            str(name) for name, letter in zip(names, letters, strict=True) if not letter
        )
        raise ValueError(
            f"The dimensions {names} hold {unknown}; call them time, z, channel, y and x, or give "
            "axes."
        )
    steps = [_step(image, name) for name in names]
    return Image(
        _as_array_like(getattr(image, "data", image)),
        "".join(letters),
        scale=tuple(size for size, _ in steps),
        units=tuple(unit for _, unit in steps),
        name=str(getattr(image, "name", None) or ""),
    )


def _step(image: Any, name: object) -> tuple[float, str]:
    """Return how far apart the places along a dimension are, where its coordinates say so."""
    try:
        coordinate = image.coords[name]
        places = np.asarray(coordinate, dtype=float)
        step = float(places[1] - places[0])
        if step > 0 and np.allclose(np.diff(places), step, rtol=1e-3):
            return step, clean_unit(coordinate.attrs.get("units", "pixel"))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        pass
    return 1.0, "pixel"


def _as_array_like(image: Any) -> ArrayLike:
    """Leave array-likes as they are; turn lists, tensors and data frames into numpy."""
    if isinstance(image, str | PathLike):
        raise ValueError(
            f"The image is the name of a file, {str(image)!r}; read it first: read(...)."
        )
    try:
        np.dtype(image.dtype)
        tuple(image.shape)
        return image  # type: ignore[no-any-return]
    except (AttributeError, TypeError):  # no array, or one with types of its own, as torch has
        pass
    try:
        array = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
        if array.dtype.kind == "O":
            raise TypeError
        return array
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"The image is a {type(image).__name__} that numpy cannot read as numbers on a grid; "
            "give a numpy array."
        ) from None
