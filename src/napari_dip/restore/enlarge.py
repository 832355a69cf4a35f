"""Enlarge by cubic splines: what an enlarged image shows before anything better is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def enlarged(image: Image, factor: int) -> Image:
    """Return an image `factor` times as high and wide, float32, its scale divided accordingly.

    A pixel becomes `factor` x `factor` pixels that cover the same place.
    """
    shape, scale = enlarged_size(image, factor)
    canvas = image.with_pixels(np.empty(shape, np.float32), scale=scale)
    for index in image.plane_indices():
        canvas.pixels[index] = canvas.plane_like(enlarged_plane(image.plane(index), factor))  # type: ignore[index]
    return canvas


def enlarged_plane(plane: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Enlarge (C, Y, X) along Y and X, within the plane's own range."""
    from scipy import ndimage

    large = ndimage.zoom(plane, (1, factor, factor), order=3, mode="nearest", grid_mode=True)
    return np.asarray(np.clip(large, plane.min(), plane.max()), dtype=np.float64)


def enlarged_size(image: Image, factor: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return shape and scale of an image `factor` times as high and wide."""
    shape = tuple(
        n * factor if a in "YX" else n for a, n in zip(image.axes, image.shape, strict=True)
    )
    scale = tuple(
        s / factor if a in "YX" else s for a, s in zip(image.axes, image.scale, strict=True)
    )
    return shape, scale
