"""The axis of iterates: a layer with a slider over the pictures kept in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_dip.widgets.layers.iterate_store import Iterate, Kept


def add_iterates(viewer: Any, kept: Kept, look: Mapping[str, Any], name: str) -> Any:
    """Add a layer whose first axis runs over the kept iterates; return it.

    It shows the answer at first; place, look and units are the answer's.
    """
    ndim = len(look["scale"]) + 1
    wider = dict(look)
    for key, front in (("scale", 1.0), ("translate", 0.0)):
        wider[key] = [front, *look[key]]
    wider["units"] = ["pixel", *look["units"]]
    wider["axis_labels"] = ("iterate", *_labels(look["axis_labels"]))
    wider["rotate"] = _framed(look["rotate"], ndim)
    wider["shear"] = _framed(_matrix(look["shear"], ndim - 1), ndim)
    wider["affine"] = _framed(look["affine"], ndim + 1)
    steps = [iterate.step for iterate in kept.row]
    layer = viewer.add_image(
        kept.stack(), **wider, name=name, metadata={"napari_dip": {"iterates_at_steps": steps}}
    )
    show_iterate(viewer, layer, len(steps) - 1)
    return layer


def show_iterate(viewer: Any, layer: Any, position: int) -> None:
    """Move the slider of the axis of iterates."""
    axis = viewer.dims.ndim - layer.ndim
    point = list(viewer.dims.point)
    point[axis] = position
    viewer.dims.point = point


def shown_iterate(viewer: Any, layer: Any, kept: Kept) -> Iterate:
    """Return the iterate that the slider stands on."""
    position = round(float(np.asarray(layer.world_to_data(viewer.dims.point))[0]))
    return kept.row[min(max(position, 0), len(kept.row) - 1)]


def _labels(labels: tuple[str, ...]) -> list[str]:
    return [str(label) for label in labels]


def _matrix(shear: Any, ndim: int) -> Any:
    """Return napari's shear, which may be the upper triangle as a vector, as a matrix."""
    shear = np.asarray(shear, dtype=float)
    if shear.ndim == 2:
        return shear
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, k=1)] = shear
    return matrix


def _framed(matrix: Any, size: int) -> Any:
    """Put a matrix into the lower right of an identity matrix, for one more axis in front."""
    out = np.eye(size)
    matrix = np.asarray(matrix, dtype=float)
    out[size - len(matrix) :, size - len(matrix) :] = matrix
    return out
