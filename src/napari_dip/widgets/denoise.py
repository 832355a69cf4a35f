"""The dock "Denoise"."""

from __future__ import annotations

from napari_dip.settings import METHODS
from napari_dip.widgets.dock import FitDock


class DenoiseWidget(FitDock):
    """Denoises one image layer and shows the answer as it comes, on one layer."""

    methods = METHODS
    label = "Method"
    maps = True
