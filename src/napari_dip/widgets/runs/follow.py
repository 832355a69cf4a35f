"""The viewer's sliders follow a fit through a stack, until a person moves them."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_dip.widgets.layers.source import Source


class Follower:
    """Moves the sliders to each plane when its fit begins.

    Once the viewer stands elsewhere than it was left, a person has moved it: then it is left alone.
    """

    def __init__(self, viewer: Any, source: Source) -> None:
        self._viewer, self._source, self._plane = viewer, source, -1
        self._follows = source.planes > 1
        self._left_at = viewer.dims.point

    def show(self, plane: int, layer: Any) -> None:
        """Move to a plane, by its number in the order of storage, of the layer of the answer."""
        if not self._follows or plane == self._plane or layer is None:
            return
        dims = self._viewer.dims
        self._plane, self._follows = plane, dims.point == self._left_at
        if not self._follows:
            return
        places = [0 if isinstance(i, slice) else i for i in self._source.plane_index(plane)]
        world = layer.data_to_world(np.array(places, dtype=float))
        first = dims.ndim - layer.ndim
        hidden = [i for i, letter in enumerate(self._source.layer_axes) if letter not in "YX"]
        hidden = [i for i in hidden if first + i in dims.not_displayed]
        if hidden:
            dims.set_point([first + i for i in hidden], [float(world[i]) for i in hidden])
        self._left_at = dims.point
