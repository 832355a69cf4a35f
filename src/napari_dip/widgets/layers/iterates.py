"""Pictures kept during a run, and the layer whose slider runs over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_COUNT = 24
MAX_BYTES = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Iterate:
    """One picture, the step it is the answer of, and its provenance."""

    step: int
    picture: NDArray[Any]
    provenance: dict[str, object]


@dataclass(eq=False)
class Iterates:
    """Evenly spaced iterates of a run of any length, in bounded memory.

    When there are more than `max_count` (or more than fit into a gigabyte, but at least three),
    every other one is dropped, and from then on half as many are taken.
    """

    max_count: int = MAX_COUNT
    items: list[Iterate] = field(default_factory=list)
    every: int = 1
    seen: int = 0

    def offer(self, iterate: Iterate) -> None:
        """Take an iterate if it is its turn."""
        taken = self.seen % self.every == 0 and all(one.step != iterate.step for one in self.items)
        self.seen += 1
        if not taken:
            return
        self.items.append(iterate)
        if len(self.items) > max(
            3, min(self.max_count, MAX_BYTES // max(iterate.picture.nbytes, 1))
        ):
            self.items = self.items[::2]
            self.every *= 2

    def append_final(self, iterate: Iterate) -> None:
        """Take the answer, in place of an earlier iterate of the same step."""
        self.items = [one for one in self.items if one.step != iterate.step] + [iterate]


def add_iterates_layer(viewer: Any, iterates: Iterates, look: Mapping[str, Any], name: str) -> Any:
    """Add a layer whose first axis runs over the iterates, and return it.

    It shows the answer at first; place, look and units are the answer's.
    """
    ndim = len(look["scale"])
    shear = np.asarray(look["shear"], dtype=float)
    if shear.ndim == 1:  # napari's upper triangle
        shear, triangle = np.eye(ndim), shear
        shear[np.triu_indices(ndim, k=1)] = triangle
    wider = {
        **look,
        "scale": [1.0, *look["scale"]],
        "translate": [0.0, *look["translate"]],
        "units": ["pixel", *look["units"]],
        "axis_labels": ("iterate", *(str(label) for label in look["axis_labels"])),
        "rotate": _with_axis(look["rotate"], ndim + 1),
        "shear": _with_axis(shear, ndim + 1),
        "affine": _with_axis(look["affine"], ndim + 2),
    }
    stack = np.stack([iterate.picture for iterate in iterates.items])
    steps = {"iterates_at_steps": [iterate.step for iterate in iterates.items]}
    layer = viewer.add_image(stack, **wider, name=name, metadata={"napari_dip": steps})
    point = list(viewer.dims.point)
    point[viewer.dims.ndim - layer.ndim] = len(stack) - 1
    viewer.dims.point = point
    return layer


def iterate_in_view(viewer: Any, layer: Any, iterates: Iterates) -> Iterate:
    """Return the iterate that the slider stands on."""
    position = round(float(np.asarray(layer.world_to_data(viewer.dims.point))[0]))
    return iterates.items[min(max(position, 0), len(iterates.items) - 1)]


def _with_axis(matrix: Any, size: int) -> NDArray[np.float64]:
    """Put a matrix into the lower right of an identity matrix, for one more axis in front."""
    out = np.eye(size)
    matrix = np.asarray(matrix, dtype=float)
    out[size - len(matrix) :, size - len(matrix) :] = matrix
    return out
