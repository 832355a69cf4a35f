"""The dock "Train": one network for a lab's own images, watched while it learns on a crop of the user's choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QWidget

from napari_dip.methods.registry import TRAINED
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.layers.source import axes_of, source_of
from napari_dip.widgets.parts.input_box import LayerCombo
from napari_dip.widgets.parts.layouts import Rows, narrow, show_row
from napari_dip.widgets.parts.path_row import PathRow, is_file, is_folder
from napari_dip.widgets.runs.fit_run import Order
from napari_dip.widgets.runs.train_run import SUFFIX, Training, checkpoint_of

if TYPE_CHECKING:
    from napari_dip.images.image import Image
    from napari_dip.settings import Settings
    from napari_dip.widgets.layers.source import Source
    from napari_dip.widgets.runs.fit_run import Run

LAYER, LAYERS, FILES = "This layer", "All image layers", "Files or a folder"
WHERE = {
    LAYER: "All planes of the layer above.",
    LAYERS: "All planes of all image layers, but for those that a run has made.",
    FILES: 'A file, a folder, or a pattern such as raw/*.tif; several separated by ";".',
}
MODELS = f"Models (*{SUFFIX})"


class TrainBox(QWidget):
    """Asks what to train on and where the model goes."""

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.where = QComboBox()
        for i, (name, help_text) in enumerate(WHERE.items()):
            self.where.addItem(name)
            self.where.setItemData(i, help_text, Qt.ItemDataRole.ToolTipRole)
        self.files = PathRow(
            "folder", "Folder of noisy images", hint="choose a folder, file or pattern"
        )
        self.target_layer = LayerCombo(viewer, "Image")
        self.target_files = PathRow(
            "folder",
            "Folder of the other captures or clean images",
            hint="choose a folder, file or pattern",
        )
        self.model = PathRow("save", "Save the model as", MODELS, hint="choose where it is saved")
        self.resume = QCheckBox("Go on from where it was stopped")
        self.resume.setToolTip(
            "From the checkpoint beside the model: the training ends as if it had never been stopped."
        )
        self.replace = QCheckBox("Replace what is there")
        self.replace.setToolTip(
            "The model of this name, and what is left beside it of a training that was stopped."
        )
        self.rows = Rows()
        for label, field in (
            ("Train on", self.where),
            ("Files", self.files),
            ("Target", self.target_layer),
            ("Targets", self.target_files),
            ("Model", self.model),
            ("", self.resume),
            ("", self.replace),
        ):
            self.rows.addRow(label, field)
        narrow(self.where, self.files, self.target_layer, self.target_files, self.model)
        self.setLayout(self.rows)
        self.pairs = False
        self.where.currentIndexChanged.connect(self.refresh)
        self.model.changed.connect(self.forbid)
        for row in (self.files, self.target_files, self.model):
            row.changed.connect(self.refresh)
        for box in (self.resume, self.replace):
            box.toggled.connect(self.refresh)
        self.target_layer.chosen.connect(self.changed)
        self.refresh()

    def refresh(self, _: Any = None) -> None:
        """Show the rows that make sense now, and say that something was chosen."""
        self.show_rows()
        self.changed.emit()

    def forbid(self) -> None:
        """Take back the leave to replace a model: it is given for one run."""
        self.replace.blockSignals(True)
        self.replace.setChecked(False)
        self.replace.blockSignals(False)

    def show_rows(self) -> None:
        """Show the rows that make sense now."""
        files = self.where.currentText() == FILES
        show_row(self.rows, self.files, files)
        show_row(self.rows, self.target_files, files and self.pairs)
        show_row(self.rows, self.target_layer, not files and self.pairs)
        path = self.model.path
        self.resume.setVisible(path is not None and is_file(checkpoint_of(path)))
        self.replace.setVisible(
            path is not None and not self._goes_on(path) and bool(_in_the_way(path))
        )

    def training(self, viewer: Any, layer: Any, axes: str, how: Settings) -> Training:
        """Return what is chosen; a ValueError says in a sentence what is missing."""
        model = self.model.path
        if model is None:
            raise ValueError(f"Say where the model is to be saved: a file that ends with {SUFFIX}.")
        if not model.name or is_folder(model):
            raise ValueError(f"{model} is a folder: name a file in it that ends with {SUFFIX}.")
        if model.suffix.lower() != SUFFIX:
            raise ValueError(f"The model is named {model.name}; give it the ending {SUFFIX}.")
        if not is_folder(model.absolute().parent):
            raise ValueError(
                f"There is no folder {model.parent}: choose another place for the model."
            )
        goes_on = self._goes_on(model)
        if not goes_on and not self.replace.isChecked() and (there := _in_the_way(model)):
            other = " or go on from where it was stopped" if is_file(checkpoint_of(model)) else ""
            raise ValueError(
                f"{there}: choose another name{other}, or tick that it is to be replaced."
            )
        data, targets = self._data(viewer, layer, axes), self._targets(layer, axes, how)
        return Training(data, targets, model, goes_on)

    def _goes_on(self, model: Path) -> bool:
        return self.resume.isChecked() and is_file(checkpoint_of(model))

    def _data(self, viewer: Any, layer: Any, axes: str) -> Any:
        if self.where.currentText() == FILES:
            return _paths(self.files, "Name the files or the folder to train on.")
        if self.where.currentText() == LAYER:
            return [whole(layer, axes)]
        layers = [one for one in viewer.layers if _is_noisy(one)]
        return [whole(one, axes if one is layer else axes_of(one)) for one in layers]

    def _targets(self, layer: Any, axes: str, how: Settings) -> Any:
        if not self.pairs:
            return None
        needed = TRAINED[how.method].target == "clean"
        if self.where.currentText() == FILES:
            if self.target_files.path is None and not needed:
                return None
            return _paths(self.target_files, "Name the files or the folder of the clean images.")
        if self.where.currentText() == LAYERS:
            raise ValueError(
                "Pairs can be made of this layer and another, or of files; choose one of these."
            )
        target = self.target_layer.layer
        if target is layer or target is None:
            if needed:
                raise ValueError("Choose the layer that holds the clean image as the target.")
            return None
        return [whole(target, axes)]

    def leave(self) -> None:
        """Stop following the viewer."""
        self.target_layer.leave()


class TrainWidget(FitDock):
    """Trains a network on noisy images and shows on one layer what it makes of a crop while it learns."""

    methods = TRAINED
    label = "Method"
    extra: TrainBox

    def order(self, source: Source, how: Settings) -> Order:
        """Return what a run is to do; a ValueError says in a sentence why it cannot."""
        self._follow_method(how)
        layer = self.input.layers.layer
        training = self.extra.training(self.viewer, layer, source.axes[: len(source.index)], how)
        shown = one_plane(source, self.viewer, layer, max(self.input.level.currentIndex(), 0))
        return Order(
            shown,
            how,
            begin=training.begin,
            result="preview",
            finish=training.finish,
            drop=training.drop,
        )

    def start(self) -> Run | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        run = super().start()
        if run is not None:
            self.extra.forbid()
        return run

    def leave(self) -> None:
        """End what runs and let go of the viewer."""
        if not self._left:
            self.extra.leave()
        super().leave()

    def _extra(self) -> TrainBox:
        self.choices.keep.hide()
        self.panel.curve.name_criterion("validation error")
        self.panel.judging = False
        box = TrainBox(self.viewer)
        box.changed.connect(self._on_choice)
        return box

    def _follow_method(self, how: Settings) -> None:
        pairs = bool(TRAINED[how.method].target)
        if pairs != self.extra.pairs:
            self.extra.pairs = pairs
            self.extra.show_rows()

    def _on_ended(self) -> None:
        super()._on_ended()
        self.extra.show_rows()  # there is a model now, or a checkpoint; no `changed`: how it ended stays in view


def whole(layer: Any, axes: str) -> Image:
    """Return a layer's finest level as an Image; reads no pixels."""
    data = layer.data[0] if layer.multiscale else layer.data
    index = tuple(slice(0, n) for n in data.shape[: layer.ndim])
    return source_of(layer, axes, index).image()


def one_plane(source: Source, viewer: Any, layer: Any, level: int) -> Source:
    """Cut a source to the plane in view, so that a preview costs little."""
    point = np.asarray(layer.world_to_data(viewer.dims.point), dtype=float)
    index, axes = list(source.index), source.axes[: len(source.index)]
    for axis, letter in enumerate(axes):
        if letter not in "YX":
            start, stop, _ = index[axis].indices(source.data.shape[axis])
            at = min(max(round(float(point[axis])), start), stop - 1)
            index[axis] = slice(at, at + 1)
    return source_of(layer, axes, tuple(index), level)


def _is_noisy(layer: Any) -> bool:
    from napari.layers import Image as ImageLayer

    return (
        isinstance(layer, ImageLayer)
        and "napari_dip" not in layer.metadata
        and not layer.name.endswith("preview")
    )


def _paths(row: PathRow, wanted: str) -> list[Path]:
    if row.path is None:
        raise ValueError(wanted)
    return [Path(part.strip()).expanduser() for part in str(row.path).split(";") if part.strip()]


def _in_the_way(model: Path) -> str:
    """Say what a new training of that name would replace; empty where there is nothing."""
    if is_file(model):
        return f"{model.name} exists"
    return (
        f"{checkpoint_of(model).name} is left of a training"
        if is_file(checkpoint_of(model))
        else ""
    )
