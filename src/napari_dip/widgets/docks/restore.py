"""The dock "Restore": fill missing pixels, enlarge, denoise with a guide, or invert features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QStackedWidget, QWidget

from napari_dip.images.image import Image
from napari_dip.methods.registry import RESTORATIONS
from napari_dip.models.model import SUFFIX
from napari_dip.settings import Guided, Inpaint, Invert, Settings, Upscale
from napari_dip.snapshot import Snapshot
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.layers.masks import mask_from_labels, mask_from_shapes
from napari_dip.widgets.layers.source import Source, finer_look, make_source
from napari_dip.widgets.parts.input_box import InputBox, LayerCombo
from napari_dip.widgets.parts.layouts import Rows, check_box, combo_box, line_edit
from napari_dip.widgets.parts.path_row import PathRow
from napari_dip.widgets.runs.worker import FitRequest

FOUND, LABELS, SHAPES = "Found pixels", "Labels layer", "Shapes layer"
WHERE = {
    FOUND: "NaN, hot, dead and saturated pixels, found by themselves.",
    LABELS: "Wherever the Labels layer has a label.",
    SHAPES: "Inside the shapes of the Shapes layer, in every plane.",
}
DOWN = {"lanczos": "Anti-aliased resize", "binning": "Mean over the pixel"}


class Page(QWidget):
    """What one task asks for beside the image in `image` and the settings."""

    settings: ClassVar[type[Settings]]  # of its task
    changed = Signal()

    def __init__(self, viewer: Any, image: InputBox) -> None:
        super().__init__()
        self.image = image
        self.rows = Rows(self)
        self.add_rows(viewer)

    def add_rows(self, viewer: Any) -> None:
        raise NotImplementedError

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run does; a ValueError says in a sentence what is missing."""
        raise NotImplementedError


class InpaintPage(Page):
    """Asks which pixels are missing."""

    settings = Inpaint

    def add_rows(self, viewer: Any) -> None:
        self.where = combo_box((name, name, tip) for name, tip in WHERE.items())
        self.labels, self.shapes = LayerCombo(viewer, "Labels"), LayerCombo(viewer, "Shapes")
        tip = "Else they are denoised too."
        self.keep = check_box("Keep known pixels as they are", tip, checked=True)
        self.where.setToolTip("Which pixels are filled.")
        self.labels.setToolTip("The Labels layer that is painted over what is missing.")
        self.shapes.setToolTip("The Shapes layer that is drawn around what is missing.")
        self.rows.add("Missing", self.where)
        self.rows.add("Labels", self.labels)
        self.rows.add("Shapes", self.shapes)
        self.rows.add("", self.keep, shrink=False)
        self.where.currentIndexChanged.connect(self._on_change)
        self.labels.chosen.connect(self.changed)
        self.shapes.chosen.connect(self.changed)
        self._on_change()

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return the run; a ValueError says what mask is missing."""
        from napari_dip.restore.inpaint import iter_inpaint

        where = self.where.currentText()
        mask: Any = "auto"
        if where == LABELS:
            mask = mask_from_labels(self.labels.layer, source)
        elif where == SHAPES:
            layer, level = self.image.layers.layer, self.image.chosen_level
            mask = mask_from_shapes(self.shapes.layer, layer, source, level)
        begin = partial(iter_inpaint, mask=mask, keep_known=self.keep.isChecked())
        return FitRequest(source, how, begin=begin, result="filled")

    def _on_change(self) -> None:
        for field, kind in ((self.labels, LABELS), (self.shapes, SHAPES)):
            self.rows.set_visible(field, self.where.currentText() == kind)
        self.changed.emit()


class UpscalePage(Page):
    """Asks how much larger, and how the image became coarse."""

    settings = Upscale

    def add_rows(self, viewer: Any) -> None:
        self.factor = combo_box((str(factor), factor, "") for factor in (2, 3, 4, 8))
        self.factor.setToolTip("How many times as many pixels along y and x.")
        self.down = combo_box((title, name, "") for name, title in DOWN.items())
        self.down.setToolTip("How the image is thought to have become coarse.")
        self.rows.add("Factor", self.factor)
        self.rows.add("Coarse by", self.down)

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return the run, whose answer lies where the source does."""
        from napari_dip.restore.upscale import iter_upscale

        factor = self.factor.currentData()
        look = finer_look(self.image.layers.layer, source, self.image.chosen_level, factor)
        begin = partial(iter_upscale, factor=factor, down=self.down.currentData())
        return FitRequest(replace(source, look=look), how, begin=begin, result=f"x{factor}")


class GuidedPage(Page):
    """Asks for the guide, which is another layer than the image."""

    settings = Guided

    def add_rows(self, viewer: Any) -> None:
        self.guide = LayerCombo(viewer, "Image", beside=self.image.layers)
        self.guide.setToolTip("A better image of the same place, such as a bright channel.")
        self.rows.add("Guide", self.guide)
        self.guide.chosen.connect(self.changed)

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return the run; a ValueError says why the guide is none."""
        from napari_dip.restore.guided import iter_restore_guided

        layer = self.guide.layer
        if layer in (None, self.image.layers.layer):  # by ==: napari may wrap a layer anew
            raise ValueError(
                "The guide is the image itself: choose another layer, such as a bright channel."
            )
        begin = partial(iter_restore_guided, guide=_guide(layer, source, self.image.chosen_level))
        return FitRequest(source, how, begin=begin, result="restored")


class InvertPage(Page):
    """Asks for a network and one of its layers."""

    settings = Invert

    def add_rows(self, viewer: Any) -> None:
        pattern, hint = f"Networks (*{SUFFIX} *.pt *.pth)", "choose a model, or TorchScript"
        self.module = PathRow("open", "Choose a network", pattern, hint)
        tip = "A layer's name; a wrong one is answered with the names that there are."
        self.layer = line_edit("the whole network's output", tip)
        self.rows.add("Network", self.module)
        self.rows.add("Layer", self.layer)
        self.module.changed.connect(self.changed)

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return the run; a ValueError says that no network is named."""
        path = self.module.path
        if path is None or not path.is_file():
            raise ValueError("Name the network: a model trained here, or a TorchScript file.")
        begin = partial(_invert, path, self.layer.text().strip())
        return FitRequest(source, how, begin=begin, result="from features")


PAGES: tuple[type[Page], ...] = (InpaintPage, UpscalePage, GuidedPage, InvertPage)


class RestoreWidget(FitDock):
    """Restores one image layer and shows the answer as it comes, on one layer."""

    methods = {  # noqa: RUF012
        page.settings.method: RESTORATIONS[page.settings.method] for page in PAGES
    }
    label = "Task"

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run does; a ValueError says in a sentence why it cannot."""
        return self.page.request(source, how)

    @property
    def page(self) -> Page:
        """What the task chosen asks for."""
        return self.pages[self.method_box.method.currentData()]

    def _make_extra(self) -> QWidget:
        self.pages = {page.settings.method: page(self.viewer, self.input) for page in PAGES}
        stack = QStackedWidget()
        for page in self.pages.values():
            stack.addWidget(page)
            page.changed.connect(self._on_choice)
        self.method_box.method.currentIndexChanged.connect(stack.setCurrentIndex)
        return stack


def _invert(path: Path, layer: str, image: Image, how: Any, *, device: str) -> Iterator[Snapshot]:
    """Load the network and invert its features; in the worker, since this loads torch."""
    from napari_dip.restore.invert import iter_invert_features
    from napari_dip.restore.network_layer import load_network_layer

    module, inner = load_network_layer(path, layer)
    return iter_invert_features(image, module, inner, how, device=device)


def _guide(layer: Any, source: Source, level: int) -> Image:
    """Cut the guide as the source is cut."""
    from napari_dip.restore.guided import match_guide

    level = level if layer.multiscale else 0
    shape = (layer.data[level] if layer.multiscale else layer.data).shape[: layer.ndim]
    crop = source.crop_of(shape)
    if crop is None:
        whole = tuple(source.data.shape[: len(source.index)])
        raise ValueError(
            f"The guide {layer.name!r} has the shape {tuple(shape)}; the image's is {whole}: "
            "choose one of that size."
        )
    return match_guide(source.image(), make_source(layer, *crop, level).image())
