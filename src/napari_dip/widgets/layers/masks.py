"""Which pixels are missing, as a Labels or a Shapes layer marks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.widgets.layers.source import factors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.widgets.layers.source import Source

ROUND = 64  # corners that an ellipse is drawn with


def labelled(labels: Any, source: Source) -> Any:
    """Return a mask of the source's crop: wherever there is a label.

    Raises
    ------
    ValueError
        If the Labels layer has neither the image's shape nor that of one of its planes.
    """
    if labels is None:
        raise ValueError("There is no Labels layer: add one and paint over what is missing.")
    data = labels.data[0] if labels.multiscale else labels.data
    axes = source.axes[: len(source.index)]
    whole = tuple(source.data.shape[: len(source.index)])
    flat = [i for i, letter in enumerate(axes) if letter in "YX"]
    if tuple(data.shape) == whole:
        return np.asarray(data[source.index]) != 0
    if tuple(data.shape) == tuple(whole[i] for i in flat):
        return np.asarray(data[tuple(source.index[i] for i in flat)]) != 0
    raise ValueError(
        f"The Labels layer {labels.name!r} has the shape {tuple(data.shape)}; the image's is {whole}: paint on one of "
        "the same size (and resolution level)."
    )


def drawn(shapes: Any, layer: Any, source: Source, level: int = 0) -> NDArray[np.bool_]:
    """Return a mask of one plane of the source's crop, (Y, X): wherever a shape lies, on whatever plane it was drawn.

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
    flat = [i for i, letter in enumerate(source.axes[: len(source.index)]) if letter in "YX"]
    size = tuple(source.shape[i] for i in flat)
    step = factors(layer, level)[flat]
    start = np.array([source.index[i].start or 0 for i in flat], dtype=float)
    mask = np.zeros(size, dtype=bool)
    for corners, kind in zip(shapes.data, shapes.shape_type, strict=True):
        outline = _round(np.asarray(corners)) if kind == "ellipse" else np.asarray(corners)
        points = np.array([layer.world_to_data(shapes.data_to_world(point)) for point in outline])[
            :, flat
        ]
        mask |= polygon2mask(size, (points - (step - 1) / 2) / step - start)
    if not mask.any():
        raise ValueError(
            f"No shape of {shapes.name!r} lies on what is run: draw around what is missing."
        )
    return mask


def _round(corners: NDArray[Any]) -> NDArray[Any]:
    """Return points on the ellipse inside four corners."""
    middle = corners.mean(axis=0)
    down, right = (corners[3] - corners[0]) / 2, (corners[1] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)[:, None]
    return middle + np.sin(angle) * down + np.cos(angle) * right
