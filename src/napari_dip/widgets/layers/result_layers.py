"""The layers that a run shows its answer on: one of the answer, one of its standard deviation where it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_dip.widgets.layers.source import Source


class Shown:
    """Makes the layers with the first picture, and renews them.

    Attributes
    ----------
    layer, std_layer : napari layer or None
        None before their first picture, and once they were let go.
    """

    def __init__(self, viewer: Any, source: Source, result: str) -> None:
        self.viewer = viewer
        self.source = source
        self.result = result
        self.layer: Any = None
        self.std_layer: Any = None
        self._std_unwanted = False

    def show(self, picture: Any, std: Any = None, *, final: bool = False) -> None:
        """Show a picture, and its standard deviation where there is one."""
        if self.layer is None:
            selected = self.viewer.layers.selection.active
            name = f"{self.source.name} {self.result}"
            self.layer = self.viewer.add_image(picture, **self.source.look, name=name)
            if selected is not None:
                self.viewer.layers.selection.active = selected
        else:
            self.layer.data = picture
        if std is not None and not self._std_unwanted:
            self._show_std(std, final)

    def describe(self, provenance: Any) -> None:
        """Keep on the layer what made it."""
        if self.layer is not None:
            self.layer.metadata = {**self.layer.metadata, "napari_dip": provenance}

    def lost(self, layer: Any) -> bool:
        """Take note that a person removed a layer; say whether it is that of the answer."""
        if self.std_layer is not None and layer == self.std_layer:
            self.std_layer, self._std_unwanted = None, True
        return self.layer is not None and bool(layer == self.layer)

    def let_go(self) -> None:
        """Touch the layers no more; they stay as they are."""
        self.layer = self.std_layer = None
        self._std_unwanted = True

    def remove(self) -> None:
        """Take the layers away."""
        layers = self.layer, self.std_layer
        self.let_go()
        for layer in layers:
            if layer is not None and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _show_std(self, std: Any, final: bool) -> None:
        """Show the standard deviation in its own contrast."""
        if self.std_layer is None:
            selected = self.viewer.layers.selection.active
            look = {
                **self.source.place,
                "colormap": "magma",
                "contrast_limits": contrast(std),
                "visible": False,
            }
            self.std_layer = self.viewer.add_image(
                std, **look, name=f"{self.source.name} uncertainty"
            )
            self.viewer.layers.selection.active = selected
            return
        self.std_layer.data = std
        if final:
            self.std_layer.contrast_limits = contrast(std)


def contrast(std: Any) -> tuple[float, float]:
    """Return limits from 0 to what few pixels exceed, seen on one plane of a large stack."""
    plane = np.asarray(std[(0,) * (std.ndim - 2)] if std.size > 2**24 else std)
    known = plane[np.isfinite(plane)]
    top = float(np.percentile(known, 99.5)) if known.size else 0.0
    return 0.0, top or 1.0
