"""The layers that show a run's result: its answer, and the standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_dip.widgets.layers.source import Source

UNFINISHED = {"unfinished": "The run was not finished: this is a picture of its middle."}
MIXING = ("additive", "minimum", "multiplicative")  # blendings that let the source shine through


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
        made = {"metadata": {"napari_dip": UNFINISHED}}
        layer = self.viewer.add_image(pixels, **look, **made, name=f"{self.source.name}: {what}")
        if selected is not None:
            self.viewer.layers.selection.active = selected
        return layer


def std_limits(std: Any) -> tuple[float, float]:
    """Return limits from 0 to what few pixels exceed, taken from one plane of a large stack."""
    plane = np.asarray(std[(0,) * (std.ndim - 2)] if std.size > 2**24 else std)
    known = plane[np.isfinite(plane)]
    top = float(np.percentile(known, 99.5)) if known.size else 0.0
    return 0.0, top or 1.0
