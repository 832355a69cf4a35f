"""The dock "Restore": fill missing pixels, enlarge, denoise with a guide, or invert a network's features."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QStackedWidget, QWidget

from napari_dip.methods.registry import RESTORATIONS
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.layers.masks import drawn, labelled
from napari_dip.widgets.layers.source import finer_look, source_of
from napari_dip.widgets.parts.input_box import LayerCombo
from napari_dip.widgets.parts.layouts import Rows, narrow, show_row
from napari_dip.widgets.parts.path_row import PathRow
from napari_dip.widgets.runs.fit_run import Order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_dip.images.image import Image
    from napari_dip.settings import Settings
    from napari_dip.snapshot import Snapshot
    from napari_dip.widgets.layers.source import Source

FOUND, LABELS, SHAPES = "Found pixels", "Labels layer", "Shapes layer"
WHERE = {
    FOUND: "NaN, hot, dead and saturated pixels, found by themselves.",
    LABELS: "Wherever the Labels layer has a label.",
    SHAPES: "Inside the shapes of the Shapes layer, in every plane.",
}
DOWN = {"lanczos": "Anti-aliased resize", "binning": "Mean over the pixel"}


class Page(QWidget):
    """What one task asks for beside the image and the settings."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()
        self.followed: tuple[LayerCombo, ...] = ()
        self.setLayout(self.rows)

    def order(self, source: Source, how: Settings, layer: Any, level: int) -> Order:
        """Return what a run is to do; a ValueError says in a sentence what is missing."""
        raise NotImplementedError

    def leave(self) -> None:
        """Stop following the viewer."""
        for combo in self.followed:
            combo.leave()


class InpaintPage(Page):
    """Asks which pixels are missing."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.where, self.labels, self.shapes = (
            QComboBox(),
            LayerCombo(viewer, "Labels"),
            LayerCombo(viewer, "Shapes"),
        )
        self.followed = (self.labels, self.shapes)
        self.keep = QCheckBox("Keep known pixels as they are")
        self.keep.setChecked(True)
        self.keep.setToolTip("Else they are denoised too.")
        for i, (name, help_text) in enumerate(WHERE.items()):
            self.where.addItem(name)
            self.where.setItemData(i, help_text, Qt.ItemDataRole.ToolTipRole)
        for label, field in (
            ("Missing", self.where),
            ("Labels", self.labels),
            ("Shapes", self.shapes),
            ("", self.keep),
        ):
            self.rows.addRow(label, field)
        narrow(self.where, self.labels, self.shapes)
        self.where.currentIndexChanged.connect(self._on_change)
        for combo in self.followed:
            combo.chosen.connect(self.changed)
        self._on_change()

    def order(self, source: Source, how: Settings, layer: Any, level: int) -> Order:
        """Return the run; a ValueError says what mask is missing."""
        from napari_dip.restore.inpainting import iter_inpaint

        where = self.where.currentText()
        mask: Any = "auto"
        if where == LABELS:
            mask = labelled(self.labels.layer, source)
        elif where == SHAPES:
            mask = drawn(self.shapes.layer, layer, source, level)
        begin = partial(iter_inpaint, mask=mask, keep_known=self.keep.isChecked())
        return Order(source, how, begin=begin, result="filled")

    def _on_change(self, index: int = 0) -> None:
        for field, kind in ((self.labels, LABELS), (self.shapes, SHAPES)):
            show_row(self.rows, field, self.where.currentText() == kind)
        self.changed.emit()


class UpscalePage(Page):
    """Asks how much larger, and how the image became coarse."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.factor, self.down = QComboBox(), QComboBox()
        self.factor.addItems(["2", "3", "4", "8"])
        for name, title in DOWN.items():
            self.down.addItem(title, name)
        self.down.setToolTip("How the image is thought to have become coarse.")
        for label, field in (("Factor", self.factor), ("Coarse by", self.down)):
            self.rows.addRow(label, field)
        narrow(self.factor, self.down)

    def order(self, source: Source, how: Settings, layer: Any, level: int) -> Order:
        """Return the run, whose answer lies where the source does."""
        from napari_dip.restore.upscaling import iter_upscale

        factor = int(self.factor.currentText())
        begin = partial(iter_upscale, factor=factor, down=self.down.currentData())
        return Order(
            replace(source, look=finer_look(layer, source, level, factor)),
            how,
            begin=begin,
            result=f"x{factor}",
        )


class GuidedPage(Page):
    """Asks for the guide, which is another layer than the image."""

    def __init__(self, viewer: Any, image: LayerCombo) -> None:
        super().__init__()
        self.guide = LayerCombo(viewer, "Image", beside=image)
        self.followed = (self.guide,)
        self.guide.setToolTip("A better image of the same place, such as a bright channel.")
        self.rows.addRow("Guide", self.guide)
        narrow(self.guide)
        self.guide.chosen.connect(self.changed)

    def order(self, source: Source, how: Settings, layer: Any, level: int) -> Order:
        """Return the run; a ValueError says why the guide is none."""
        from napari_dip.restore.guiding import iter_restore_guided

        if self.guide.layer in (None, layer):  # by ==: napari may wrap a layer anew each time
            raise ValueError(
                "The guide is the image itself: choose another layer, such as a bright channel."
            )
        guide = _guide(self.guide.layer, source, level)
        return Order(
            source, how, begin=partial(iter_restore_guided, guide=guide), result="restored"
        )


class InvertPage(Page):
    """Asks for a network and one of its layers."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.module = PathRow(
            "open",
            "Choose a network",
            "Networks (*.safetensors *.pt *.pth)",
            "choose a model, or TorchScript",
        )
        self.layer = QLineEdit()
        self.layer.setPlaceholderText("the whole network's output")
        self.layer.setToolTip(
            "A layer's name; a wrong one is answered with the names that there are."
        )
        for label, field in (("Network", self.module), ("Layer", self.layer)):
            self.rows.addRow(label, field)
        narrow(self.module, self.layer)
        self.module.changed.connect(self.changed)

    def order(self, source: Source, how: Settings, layer: Any, level: int) -> Order:
        """Return the run; a ValueError says that no network is named."""
        path = self.module.path
        if path is None or not path.is_file():
            raise ValueError("Name the network: a model trained here, or a TorchScript file.")
        begin = partial(_invert, path, self.layer.text().strip())
        return Order(source, how, begin=begin, result="from features")


def _invert(path: Path, layer: str, image: Image, how: Any, *, device: str) -> Iterator[Snapshot]:
    """Load the network and find an image with its features; in the worker, since this loads torch."""
    from napari_dip.restore.inverting import iter_invert_features
    from napari_dip.restore.modules import load_layer

    module, inner = load_layer(path, layer)
    return iter_invert_features(image, module, inner, how, device=device)


class RestoreWidget(FitDock):
    """Restores one image layer and shows the answer as it comes, on one layer."""

    methods = {name: RESTORATIONS[name] for name in ("inpaint", "upscale", "guided", "invert")}  # noqa: RUF012
    label = "Task"

    def order(self, source: Source, how: Settings) -> Order:
        """Return what a run on `source` is to do; a ValueError says in a sentence why it cannot."""
        return self.page.order(
            source, how, self.input.layers.layer, max(self.input.level.currentIndex(), 0)
        )

    @property
    def page(self) -> Page:
        """What the task chosen asks for."""
        return self.pages[self.choices.method.currentData()]

    def leave(self) -> None:
        """End what runs and let go of the viewer."""
        if not self._left:
            for page in self.pages.values():
                page.leave()
        super().leave()

    def _extra(self) -> None:
        self.pages: dict[str, Page] = {
            "inpaint": InpaintPage(self.viewer),
            "upscale": UpscalePage(self.viewer),
            "guided": GuidedPage(self.viewer, self.input.layers),
            "invert": InvertPage(self.viewer),
        }
        stack = QStackedWidget()
        for page in self.pages.values():
            stack.addWidget(page)
            page.changed.connect(self._on_choice)
        self.choices.insert(
            stack, [label for page in self.pages.values() for label in page.rows.labels]
        )
        self.choices.method.currentIndexChanged.connect(stack.setCurrentIndex)


def _guide(layer: Any, source: Source, level: int) -> Image:
    """Cut the guide as the source is cut."""
    from napari_dip.restore.guiding import lay_beside

    axes, index = source.axes[: len(source.index)], source.index
    shape = tuple(source.data.shape[: len(index)])
    have = tuple((layer.data[level] if layer.multiscale else layer.data).shape[: layer.ndim])
    flat = [i for i, letter in enumerate(axes) if letter in "YX"]
    if have == tuple(shape[i] for i in flat):
        index, axes = tuple(index[i] for i in flat), "".join(axes[i] for i in flat)
    elif have != shape:
        raise ValueError(
            f"The guide {layer.name!r} has the shape {have}; the image's is {shape}: choose one of that size."
        )
    guide = source_of(layer, axes, index, level if layer.multiscale else 0).image()
    return lay_beside(source.image(), guide)
