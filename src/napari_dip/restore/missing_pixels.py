"""Which pixels of an image are missing: those of a mask, or those that are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.noise.hot_pixels import find_hot_pixels
from napari_dip.planes.image_statistics import check_dtype, is_blank, name_plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIND = "auto"


@dataclass(frozen=True, eq=False)
class MissingPixels:
    """An image and the mask of its missing pixels.

    Attributes
    ----------
    image : Image
        Missing pixels hold the nearest known one; only planes without any finite pixel, and those
        in `full`, stay as they are. Read into memory.
    mask : Image
        Of bool, True where a pixel is missing; of the same shape and axes.
    count : int
        Missing pixels that can be filled; of RGB colour a pixel counts once.
    full : tuple of PlaneIndex
        Planes all of whose pixels were found to be missing, such as saturated ones: nothing there
        says how to fill them.
    sparse : int
        Planes more than half of whose pixels were found to be missing.
    """

    image: Image
    mask: Image
    count: int
    full: tuple[PlaneIndex, ...] = ()
    sparse: int = 0

    def plane_mask(self, index: PlaneIndex) -> NDArray[np.bool_]:
        """Return the mask of one plane, (1, Y, X)."""
        mask: NDArray[np.bool_] = np.any(self.mask.plane(index), axis=0, keepdims=True)
        return mask


def find_missing_pixels(
    image: Image, mask: Any = FIND, keep_hot_pixels: bool = False
) -> MissingPixels:
    """Find the missing pixels of an image, and put their nearest known neighbours in their place.

    Parameters
    ----------
    image : Image
        Real numbers; NaN and infinite pixels always are missing.
    mask : array-like or "auto"
        True, or any value but 0, where a pixel is missing; of the shape of the image (colour left
        out or not) or of one plane, for all planes alike. ``"auto"`` finds hot and dead pixels
        (see `napari_dip.noise.hot_pixels`) and, in images of integers, saturated ones: those at the
        image's largest value, where that is 2^n - 1 with n of 8 or more. A plane of nothing else is
        left as it is.
    keep_hot_pixels : bool
        Whether ``"auto"`` takes hot and dead pixels for signal.

    Raises
    ------
    ValueError
        If the mask has another shape, marks nothing, or leaves nothing of a plane; or if no pixel
        of any plane is known.
    """
    check_dtype(image)
    if isinstance(mask, str) and mask != FIND:
        raise ValueError(
            f"mask is {mask!r}; give an array that is True where pixels are missing, or {FIND!r}."
        )
    given = None if isinstance(mask, str) else _mask_like(image, mask)
    saturation = _saturation(image) if given is None else None
    pixels, missing = np.array(image.pixels), np.zeros(image.shape, dtype=bool)
    count = blank = sparse = 0
    full: list[PlaneIndex] = []
    for index in image.plane_indices():
        plane = image.plane(index)
        if is_blank(plane):
            blank += 1
            continue
        marked = _plane_mask(
            plane, None if given is None else given.plane(index), saturation, keep_hot_pixels
        )
        if marked.all() and given is None:
            full.append(index)
            continue
        if marked.all():
            name = name_plane(image, index)
            raise ValueError(
                f"The {f'plane {name}' if name else 'image'} has no known pixel to start from: the "
                "mask marks all of it as missing."
            )
        count += int(marked.sum())
        sparse += given is None and 2 * int(marked.sum()) > marked.size
        missing[index] = image.plane_like(np.broadcast_to(marked, plane.shape))
        pixels[index] = image.plane_like(_fill_with_nearest(plane, marked))
    if blank + len(full) == len(image.plane_indices()):
        what = "saturated, NaN or infinite" if full else "NaN or infinite"
        raise ValueError(f"The image has no known pixel to start from: all of them are {what}.")
    if not count and given is not None:
        raise ValueError(
            "The mask marks no pixel, so there is nothing to fill; give one that is True where "
            "pixels are missing."
        )
    filled, mask = image.with_pixels(pixels), image.with_pixels(missing)
    return MissingPixels(filled, mask, count, tuple(full), sparse)


def _plane_mask(
    plane: NDArray[np.float64],
    given: NDArray[Any] | None,
    saturation: float | None,
    keep_hot_pixels: bool,
) -> NDArray[np.bool_]:
    """Return the mask (Y, X) of a plane: NaN, and `given` or hot, dead and saturated pixels."""
    missing: NDArray[np.bool_] = ~np.all(np.isfinite(plane), axis=0)
    if given is not None:
        missing |= np.any(given, axis=0)
        return missing
    nearest = _fill_with_nearest(plane, missing)
    if not keep_hot_pixels:
        missing |= np.any(find_hot_pixels(nearest), axis=0)
    if saturation is not None:
        missing |= np.any(plane == saturation, axis=0)
    return missing


def _mask_like(image: Image, mask: Any) -> Image:
    """Return a mask of any fitting shape as an Image of the shape of `image`."""
    marked = np.asarray(mask)
    if marked.dtype.kind not in "buif":
        raise ValueError(
            f"The mask is of type {marked.dtype}; give one that is True (or not 0) where pixels "
            "are missing."
        )
    marked = marked != 0
    stack = image.shape[:-1] if image.is_rgb else image.shape
    plane = tuple(n for a, n in zip(image.axes, image.shape, strict=True) if a in "YX")
    if marked.shape not in (image.shape, stack, plane):
        shapes = " or ".join(str(shape) for shape in dict.fromkeys((stack, plane)))
        raise ValueError(
            f"The mask has the shape {marked.shape}; the image's is {image.shape}: give a mask of "
            f"{shapes}."
        )
    if marked.shape == plane and marked.shape != stack:
        sides = [n if a in "YX" else 1 for a, n in zip(image.axes, image.shape, strict=True)]
        marked = marked.reshape(sides)
    elif image.is_rgb and marked.shape == stack:
        marked = marked[..., None]
    return image.with_pixels(np.broadcast_to(marked, image.shape))


def _saturation(image: Image) -> float | None:
    """Return the largest value of an image of integers, where a detector ends there."""
    if image.dtype.kind not in "ui":
        return None
    top = max(int(plane.max()) for plane in image.planes())
    return top if top >= 255 and (top + 1) & top == 0 else None


def _fill_with_nearest(
    plane: NDArray[np.float64], missing: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Put the nearest known pixel in the place of missing ones."""
    from scipy import ndimage

    if not missing.any():
        return plane
    rows, columns = ndimage.distance_transform_edt(
        missing, return_distances=False, return_indices=True
    )
    filled: NDArray[np.float64] = plane[:, rows, columns]
    return filled
