"""The dock "Denoise": fit a network to one image, or apply a trained model."""

from __future__ import annotations

from typing import Any

from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.parts.layouts import button
from napari_dip.widgets.parts.model_box import ModelBox
from napari_dip.widgets.parts.noise_window import NoiseWindow
from napari_dip.widgets.runs.worker import FitRequest, among_neighbours


class DenoiseWidget(FitDock):
    """Denoises one image layer and shows the answer as it comes, on one layer."""

    methods = METHODS
    has_uncertainty = True
    extra: ModelBox

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        tip = "Measure how strong the noise is at which intensity, and what pixels share of it."
        self.noise_button = button("Noise ...", tip)
        self.noise_button.clicked.connect(lambda: self.show_noise())
        self.input.rows.add("", self.noise_button, shrink=False)

    def show_noise(self) -> NoiseWindow | None:
        """Open a window on the noise of what is chosen; None where nothing is."""
        try:
            window = NoiseWindow(self.input.source(), self)
        except ValueError as error:
            self.panel.message.say(str(error), error=True)
            return None
        window.show()
        return window

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run does; a ValueError says in a sentence why it cannot."""
        fits = self.extra.path is None
        self.method_box.show_method(fits)
        if fits:
            return FitRequest(source, how, begin=among_neighbours(source, how), judged=True)
        how, apply = self.extra.settings(), self.extra.begin()
        begin = among_neighbours(source, how, apply) or apply
        return FitRequest(source, how, begin=begin, fits=False, judged=True)

    def _make_extra(self) -> ModelBox:
        box = ModelBox()
        box.changed.connect(self._on_choice)
        return box
