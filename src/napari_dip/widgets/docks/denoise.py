"""The dock "Denoise"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dip.methods.registry import METHODS
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.parts.model_box import ModelBox
from napari_dip.widgets.runs.fit_run import Order

if TYPE_CHECKING:
    from napari_dip.settings import Settings
    from napari_dip.widgets.layers.source import Source


class DenoiseWidget(FitDock):
    """Denoises one image layer and shows the answer as it comes, on one layer.

    Either a network is fitted to the image, or a trained model is applied to it.
    """

    methods = METHODS
    label = "Method"
    maps = True
    extra: ModelBox

    def order(self, source: Source, how: Settings) -> Order:
        """Return what a run is to do; a ValueError says in a sentence why it cannot."""
        fits = self.extra.path is None
        self.choices.show_method(fits)
        if fits:
            return Order(source, how)
        return Order(source, self.extra.settings(), begin=self.extra.begin(), fits=False)

    def _extra(self) -> ModelBox:
        box = ModelBox()
        box.changed.connect(self._on_choice)
        return box
