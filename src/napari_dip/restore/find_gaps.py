"""Which pixels of an image are missing: as a mask says, or found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.noise.hot_pixels import replace_hot_pixels
from napari_dip.planes.image_statistics import is_blank

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIND = "auto"


@dataclass(frozen=True, eq=False)
class Gaps:
    """An image whose missing pixels are marked.

    Attributes
    ----------
    image : Image
        Missing pixels hold the nearest known one; only planes without any number, and those in
        `full`, stay as they are. Read into memory.
    marks : Image
        Of bool, True where a pixel is missing; of the same shape and axes.
    count : int
        Missing pixels that can be filled; of RGB colour a pixel counts once.
    full : tuple of PlaneIndex
        Planes where every pixel was found to be missing, such as saturated ones: nothing there says
        how to fill them.
    sparse : int
        Planes where more than half of the pixels were found to be missing.
    """

    image: Image
    marks: Image
    count: int
    full: tuple[PlaneIndex, ...] = ()
    sparse: int = 0

    def missing(self, index: PlaneIndex) -> NDArray[np.bool_]:
        """Return the marks of one plane, (1, Y, X)."""
        marked: NDArray[np.bool_] = np.any(self.marks.plane(index), axis=0, keepdims=True)
        return marked


def find_gaps(image: Image, mask: Any = FIND) -> Gaps:
    """Mark the missing pixels of an image and put their nearest known neighbours in their place.

    Parameters
    ----------
    image : Image
        Real numbers; NaN and infinite pixels always are missing.
    mask : array-like or "auto"
        True, or any value but 0, where a pixel is missing; of the shape of the image (colour left
        out or not) or of one plane, for all planes alike. ``"auto"`` finds hot and dead pixels
        (single values far from all others) and, in images of integers, saturated ones: those at the
        image's largest value, where that is 2^n - 1 with n of 8 or more. A plane of nothing else is
        left as it is.

    Raises
    ------
    ValueError
        If the mask has another shape, marks nothing, or leaves nothing of a plane; or if no pixel
        of any plane is known.
    """
    if image.dtype.kind not in "buif":
        raise ValueError(
            f"Pixels are of type {image.dtype}; give integers or floats (for complex data, a part of it)."
        )
    if isinstance(mask, str) and mask != FIND:
        raise ValueError(
            f"mask is {mask!r}; give an array that is True where pixels are missing, or {FIND!r}."
        )
    given = None if isinstance(mask, str) else _laid_out(image, mask)
    top = _saturation(image) if given is None else None
    pixels = np.array(image.pixels)  # a copy
    marks = np.zeros(image.shape, dtype=bool)
    count = blank = sparse = 0
    full: list[PlaneIndex] = []
    for index in image.plane_indices():
        plane = image.plane(index)
        if is_blank(plane):
            blank += 1
            continue
        missing = _missing(plane, None if given is None else given.plane(index), top)
        if missing.all() and given is None:
            full.append(index)
            continue
        if missing.all():
            raise ValueError(
                f"{_place(image, index)} no known pixel to start from: the mask marks all of it as missing."
            )
        count += int(missing.sum())
        sparse += given is None and 2 * int(missing.sum()) > missing.size
        marks[index] = image.plane_like(np.broadcast_to(missing, plane.shape))
        pixels[index] = image.plane_like(_filled(plane, missing))
    if blank + len(full) == len(image.plane_indices()):
        what = "saturated, NaN or infinite" if full else "NaN or infinite"
        raise ValueError(f"The image has no known pixel to start from: all of them are {what}.")
    if not count and given is not None:
        raise ValueError(
            "The mask marks no pixel, so there is nothing to fill; give one that is True where pixels are missing."
        )
    return Gaps(image.with_pixels(pixels), image.with_pixels(marks), count, tuple(full), sparse)


def _missing(
    plane: NDArray[np.float64], given: NDArray[Any] | None, top: float | None
) -> NDArray[np.bool_]:
    """Mark, as (Y, X), the missing pixels of one plane: those of the mask, or else what is out of place or at `top`."""
    missing: NDArray[np.bool_] = ~np.all(np.isfinite(plane), axis=0)
    if given is not None:
        missing |= np.any(given, axis=0)
        return missing
    nearest = _filled(plane, missing)
    missing |= np.any(replace_hot_pixels(nearest)[0] != nearest, axis=0)
    if top is not None:
        missing |= np.any(plane == top, axis=0)
    return missing


def _laid_out(image: Image, mask: Any) -> Image:
    """Return a mask of any fitting shape as an Image of the image's own."""
    marks = np.asarray(mask)
    if marks.dtype.kind not in "buif":
        raise ValueError(
            f"The mask is of type {marks.dtype}; give one that is True (or not 0) where pixels are missing."
        )
    marks = marks != 0
    stack = image.shape[:-1] if image.is_rgb else image.shape
    plane = tuple(n for a, n in zip(image.axes, image.shape, strict=True) if a in "YX")
    if marks.shape not in (image.shape, stack, plane):
        shapes = " or ".join(str(shape) for shape in dict.fromkeys((stack, plane)))
        raise ValueError(
            f"The mask has the shape {marks.shape}; the image's is {image.shape}: give a mask of {shapes}."
        )
    if marks.shape == plane and marks.shape != stack:
        at = [n if a in "YX" else 1 for a, n in zip(image.axes, image.shape, strict=True)]
        marks = marks.reshape(at)
    elif image.is_rgb and marks.shape == stack:
        marks = marks[..., None]
    return image.with_pixels(np.broadcast_to(marks, image.shape))


def _saturation(image: Image) -> float | None:
    """Return the largest value of an image of integers, where a detector ends there."""
    if image.dtype.kind not in "ui":
        return None
    top = max(int(plane.max()) for plane in image.planes())
    return top if top >= 255 and (top + 1) & top == 0 else None


def _filled(plane: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Put the nearest known pixel in the place of missing ones."""
    from scipy import ndimage

    if not missing.any():
        return plane
    rows, columns = ndimage.distance_transform_edt(
        missing, return_distances=False, return_indices=True
    )
    filled: NDArray[np.float64] = plane[:, rows, columns]
    return filled


def _place(image: Image, index: PlaneIndex) -> str:
    places = ", ".join(
        f"{a} = {i}" for a, i in zip(image.axes, index, strict=True) if isinstance(i, int)
    )
    return f"The plane {places} has" if places else "The image has"
