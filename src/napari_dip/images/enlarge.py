"""Enlarge by cubic splines: what an enlarged image shows before anything better is known."""

from __future__ import annotations

import numpy as np

from napari_dip.images.image import Image


def enlarged(image: Image, factor: int) -> Image:
    """Return an image `factor` times as high and wide, float32, its scale divided accordingly.

    A pixel becomes `factor` x `factor` pixels that cover the same place.
    """
    from scipy import ndimage

    shape = tuple(n * factor if a in "YX" else n for a, n in zip(image.axes, image.shape, strict=True))
    scale = tuple(s / factor if a in "YX" else s for a, s in zip(image.axes, image.scale, strict=True))
    canvas = image.with_pixels(np.empty(shape, np.float32), scale=scale)
    for index in image.plane_indices():
        plane = image.plane(index)
        large = ndimage.zoom(plane, (1, factor, factor), order=3, mode="nearest", grid_mode=True)
        canvas.pixels[index] = canvas.plane_like(np.clip(large, plane.min(), plane.max()))  # type: ignore[index]
    return canvas
