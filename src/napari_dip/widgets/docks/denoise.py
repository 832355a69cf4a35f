"""The dock "Denoise": fit a network to one image, or apply a trained model."""

from __future__ import annotations

from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.parts.model_box import ModelBox
from napari_dip.widgets.runs.worker import FitRequest


class DenoiseWidget(FitDock):
    """Denoises one image layer and shows the answer as it comes, on one layer."""

    methods = METHODS
    has_uncertainty = True
    extra: ModelBox

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run does; a ValueError says in a sentence why it cannot."""
        fits = self.extra.path is None
        self.method_box.show_method(fits)
        if fits:
            return FitRequest(source, how)
        return FitRequest(source, self.extra.settings(), begin=self.extra.begin(), fits=False)

    def _make_extra(self) -> ModelBox:
        box = ModelBox()
        box.changed.connect(self._on_choice)
        return box
