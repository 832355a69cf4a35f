"""The region that is run: whole layer, plane shown, rectangle or what is in view, as slices.

Axes that a region pins to one plane keep a length of 1, so that the answer lies at its place in the
stack.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_dip.widgets.layers.source import Index, level_factors, levels

WHOLE, PLANE, RECTANGLE, VIEW = "Whole layer", "This plane", "Shapes rectangle", "What is in view"
BOX = "Box to try"  # both the region's name and that of its Shapes layer
SIDES = 128, 256  # least and largest side of the box, in pixels
HELP = {
    WHOLE: "Every plane of the layer, one after the other.",
    PLANE: "The plane that the sliders stand on.",
    BOX: "A small box in this plane, in the middle of the view: drag it to where it matters.",
    RECTANGLE: "The box around the selected shape of a Shapes layer, else around the last one, "
    "in every plane.",
    VIEW: "The part of this plane that the canvas shows: zoom in and try the settings on it first.",
}


def region(kind: str, layer: Any, axes: str, level: int, viewer: Any, shapes: Any = None) -> Index:
    """Turn a choice, one of the keys of `HELP`, into slices of a resolution level of a layer.

    `axes` has a letter per axis of the layer, without colour; `viewer` says which plane is shown,
    and the layer `shapes` where the rectangle is.

    Raises
    ------
    ValueError
        If the region has no pixel of the layer in it, in a sentence.
    """
    shape = levels(layer)[level].shape[: layer.ndim]
    if kind == WHOLE:
        return tuple(slice(0, n) for n in shape)
    step = level_factors(layer, level)
    if kind == RECTANGLE:
        return _clip(axes, shape, *_rectangle(layer, shapes), step, None)
    point = np.asarray(layer.world_to_data(viewer.dims.point), dtype=float)
    if kind == BOX:
        return _clip(axes, shape, *_rectangle(layer, box_layer(viewer)), step, point)
    if kind == VIEW:
        return _clip(axes, shape, *_view(layer, axes, viewer), step, point)
    return _clip(axes, shape, np.zeros(layer.ndim), np.asarray(shape) * step, step, point)


def box_layer(viewer: Any) -> Any:
    """Return the Shapes layer of the box to try, None where there is none."""
    from napari.layers import Shapes

    return next((x for x in viewer.layers if x.name == BOX and isinstance(x, Shapes)), None)


def add_box(viewer: Any, layer: Any, axes: str, level: int) -> Any:
    """Add the box to try in the middle of what is in view of a layer, to be dragged."""
    try:
        low, high = _view(layer, axes, viewer)
    except ValueError:  # such as in 3D: the middle of the image
        low, high = np.zeros(layer.ndim), np.array(levels(layer)[0].shape[: layer.ndim], float)
    planar = [i for i, letter in enumerate(axes) if letter in "YX"]
    point = np.rint(layer.world_to_data(viewer.dims.point)).astype(float)  # on a plane, to be seen
    middle, step = (low + high) / 2, level_factors(layer, level)
    side = np.clip((high - low)[planar].min() / 2, *SIDES) // 2 * step[planar]
    corners = np.tile(point, (4, 1))
    for corner, signs in zip(corners, ((-1, -1), (-1, 1), (1, 1), (1, -1)), strict=True):
        corner[planar] = middle[planar] - 0.5 + side * signs
    box = viewer.add_shapes(
        [corners],
        name=BOX,
        face_color="transparent",
        edge_color="#f5cd50",
        edge_width=float(step.max() * 4),
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine,
        units=layer.units,
    )
    box.mode = "select"
    box.selected_data = {0}
    return box


def _clip(axes: str, shape: Any, low: Any, high: Any, step: Any, point: Any) -> Index:
    """Cut Y and X to [low, high), the other axes to the plane at `point` where that is given.

    `low`, `high` and `point` count in pixels of the finest level.
    """
    out = []
    for i, (letter, n) in enumerate(zip(axes, shape, strict=True)):
        if letter in "YX":
            start, stop = math.floor(low[i] / step[i] + 1e-6), math.ceil(high[i] / step[i] - 1e-6)
            out.append(slice(max(start, 0), min(stop, n)))
        elif point is None:
            out.append(slice(0, n))
        else:
            plane = min(max(round(point[i] / step[i]), 0), n - 1)
            out.append(slice(plane, plane + 1))
    if any(part.stop <= part.start for part in out):
        raise ValueError(
            "The region lies outside the layer: move it onto the layer, or choose another region."
        )
    return tuple(out)


def _rectangle(layer: Any, shapes: Any) -> tuple[Any, Any]:
    if shapes is None:
        raise ValueError("There is no Shapes layer: add one and draw a rectangle on the image.")
    if not len(shapes.data):
        raise ValueError(
            f"The Shapes layer {shapes.name!r} is empty: draw a rectangle on the image."
        )
    chosen = max(shapes.selected_data, default=len(shapes.data) - 1)
    corners = np.array(
        [layer.world_to_data(shapes.data_to_world(corner)) for corner in shapes.data[chosen]]
    )
    # A shape lies between pixel centres; pixel i spans [i - 1/2, i + 1/2].
    return corners.min(axis=0) + 0.5, corners.max(axis=0) + 0.5


def _view(layer: Any, axes: str, viewer: Any) -> tuple[Any, Any]:
    if viewer.dims.ndisplay != 2:
        raise ValueError(
            "What is in view needs the 2D view: press the 2D/3D button of the viewer first."
        )
    hidden = [i - viewer.dims.ndim for i in viewer.dims.not_displayed]  # counted from the last axis
    if any(axes[i] in "YX" for i in hidden if i >= -layer.ndim):
        raise ValueError(
            "The viewer shows another plane than Y and X: put the axes back in order first."
        )
    if not layer.visible:
        raise ValueError("The layer is not in view: show it, or choose another region.")
    corners = np.asarray(layer.corner_pixels, dtype=float)
    step = level_factors(layer, layer.data_level)  # corner_pixels count in the level that is drawn
    return corners[0] * step, (corners[1] + 1) * step
