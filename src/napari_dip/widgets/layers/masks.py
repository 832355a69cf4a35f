"""Masks of missing pixels, from a Labels or a Shapes layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dip.widgets.layers.source import Source, level_factors

ELLIPSE_CORNERS = 64  # of the polygon that stands for an ellipse


def mask_from_labels(labels: Any, source: Source) -> Any:
    """Return a mask of the source's crop: wherever there is a label.

    Raises
    ------
    ValueError
        If the Labels layer has neither the image's shape nor that of one of its planes.
    """
    if labels is None:
        raise ValueError("There is no Labels layer: add one and paint over what is missing.")
    data = labels.data[0] if labels.multiscale else labels.data
    crop = source.crop_of(data.shape)
    if crop is None:
        whole = tuple(source.data.shape[: len(source.index)])
        raise ValueError(
            f"The Labels layer {labels.name!r} has the shape {tuple(data.shape)}; the image's is "
            f"{whole}: paint on one of the same size (and resolution level)."
        )
    return np.asarray(data[crop[1]]) != 0


def mask_from_shapes(shapes: Any, layer: Any, source: Source, level: int = 0) -> NDArray[np.bool_]:
    """Return a (Y, X) mask of the source's crop: inside all shapes, whatever plane they lie on.

    Raises
    ------
    ValueError
        If there is no shape on the crop.
    """
    from skimage.draw import polygon2mask

    if shapes is None:
        raise ValueError("There is no Shapes layer: add one and draw around what is missing.")
    if not len(shapes.data):
        raise ValueError(f"The Shapes layer {shapes.name!r} is empty: draw around what is missing.")
    planar = [i for i, letter in enumerate(source.layer_axes) if letter in "YX"]
    size = tuple(source.shape[i] for i in planar)
    step = level_factors(layer, level)[planar]
    start = np.array([source.index[i].start or 0 for i in planar], dtype=float)
    mask = np.zeros(size, dtype=bool)
    for corners, kind in zip(shapes.data, shapes.shape_type, strict=True):
        outline = np.asarray(corners)
        if kind == "ellipse":
            outline = _ellipse(outline)
        points = [layer.world_to_data(shapes.data_to_world(point)) for point in outline]
        mask |= polygon2mask(size, (np.array(points)[:, planar] - (step - 1) / 2) / step - start)
    if not mask.any():
        raise ValueError(
            f"No shape of {shapes.name!r} lies on what is run: draw around what is missing."
        )
    return mask


def _ellipse(corners: NDArray[Any]) -> NDArray[Any]:
    """Return points on the ellipse inside four corners."""
    middle = corners.mean(axis=0)
    down, right = (corners[3] - corners[0]) / 2, (corners[1] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)[:, None]
    return middle + np.sin(angle) * down + np.cos(angle) * right
