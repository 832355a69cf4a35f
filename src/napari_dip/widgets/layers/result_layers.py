"""The layers that show a run's result: its answer, the standard deviation, and the iterates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dip.widgets.layers.source import Source

MAX_COUNT = 24
MAX_BYTES = 1_000_000_000


class ResultLayers:
    """Makes the layers with the first picture, and renews them.

    `layer` and `std_layer` are None before their first picture, and once they were released.
    """

    def __init__(self, viewer: Any, source: Source, result: str) -> None:
        self.viewer, self.source, self.result = viewer, source, result
        self.layer: Any = None
        self.std_layer: Any = None
        self._std_wanted = True

    def show(self, picture: Any, std: Any = None, *, final: bool = False) -> None:
        """Show a picture, and its standard deviation where there is one."""
        if self.layer is None:
            self.layer = self._add(picture, self.result, self.source.look)
        else:
            self.layer.data = picture
        if std is None or not self._std_wanted:
            return
        if self.std_layer is None:
            look = {"colormap": "magma", "contrast_limits": std_limits(std), "visible": False}
            self.std_layer = self._add(std, "uncertainty", {**self.source.placement, **look})
            return
        self.std_layer.data = std
        if final:
            self.std_layer.contrast_limits = std_limits(std)

    def set_provenance(self, provenance: Any) -> None:
        """Store on the layer what made it."""
        if self.layer is not None:
            self.layer.metadata = {**self.layer.metadata, "napari_dip": provenance}

    def on_removed(self, layer: Any) -> bool:
        """Note that a user removed a layer; return whether it is that of the answer."""
        if self.std_layer is not None and layer == self.std_layer:
            self.std_layer, self._std_wanted = None, False
        return self.layer is not None and bool(layer == self.layer)

    def release(self) -> None:
        """Touch the layers no more; they stay as they are."""
        self.layer = self.std_layer = None
        self._std_wanted = False

    def remove(self) -> None:
        """Remove the layers from the viewer."""
        layers = self.layer, self.std_layer
        self.release()
        for layer in layers:
            if layer is not None and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _add(self, pixels: Any, what: str, look: Any) -> Any:
        """Add a layer, and leave the selection on the layer that it was on."""
        selected = self.viewer.layers.selection.active
        layer = self.viewer.add_image(pixels, **look, name=f"{self.source.name} {what}")
        if selected is not None:
            self.viewer.layers.selection.active = selected
        return layer


def std_limits(std: Any) -> tuple[float, float]:
    """Return limits from 0 to what few pixels exceed, taken from one plane of a large stack."""
    plane = np.asarray(std[(0,) * (std.ndim - 2)] if std.size > 2**24 else std)
    known = plane[np.isfinite(plane)]
    top = float(np.percentile(known, 99.5)) if known.size else 0.0
    return 0.0, top or 1.0


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
