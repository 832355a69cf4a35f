"""The tab "Train": a network for a lab's own images, watched on a crop while it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_dip.images.image import Image
from napari_dip.methods.registry import TRAINED
from napari_dip.models.model import SUFFIX
from napari_dip.settings import Settings
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.layers.source import Source, is_raw, layer_axes, levels, make_source
from napari_dip.widgets.parts.input_box import LayerCombo
from napari_dip.widgets.parts.layouts import Rows, button, check_box, combo_box
from napari_dip.widgets.parts.path_row import PathRow, is_file, is_folder
from napari_dip.widgets.runs.fit_run import FitRun
from napari_dip.widgets.runs.train_run import TrainRun, checkpoint_of
from napari_dip.widgets.runs.worker import FitRequest

LAYER, LAYERS, FILES = "This layer", "All image layers", "Files or a folder"
WHERE = {
    LAYER: "All planes of the image above; the preview shows what is learned on a part of it.",
    LAYERS: "All planes of all image layers, but for those that a run has made.",
    FILES: 'A file, a folder, or a pattern such as raw/*.tif; several separated by ";".',
}


class TrainBox(QWidget):
    """Asks what to train on and where the model goes.

    `target` is what the method chosen needs beside each noisy image: "capture", "clean" or nothing.
    """

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        self.target = ""
        hint = "choose a folder, file or pattern"
        self.where = combo_box((name, name, tip) for name, tip in WHERE.items())
        self.files = PathRow("folder", "Folder of noisy images", hint=hint)
        self.where.setToolTip("The images that the model learns from.")
        self.target_layer = LayerCombo(viewer, "Image")
        self.target_layer.setToolTip("The clean image, or the second capture, of the same place.")
        title = "Folder of the other captures or clean images"
        self.target_files = PathRow("folder", title, hint=hint)
        pattern, hint = f"Models (*{SUFFIX})", "choose where it is saved"
        self.model = PathRow("save", "Save the model as", pattern, hint)
        tip = "From the checkpoint beside the model: it ends as if it had never been stopped."
        self.resume = check_box("Go on from where it was stopped", tip)
        tip = "The model of this name, and what is left beside it of a training that was stopped."
        self.replace = check_box("Replace what is there", tip)
        self.rows = Rows(self)
        self.rows.add("Train on", self.where)
        self.rows.add("Files", self.files)
        self.rows.add("Target", self.target_layer)
        self.rows.add("Targets", self.target_files)
        self.rows.add("Model", self.model)
        self.rows.add("", self.resume, shrink=False)
        self.rows.add("", self.replace, shrink=False)
        self.where.currentIndexChanged.connect(self.refresh)
        self.model.changed.connect(self.untick_replace)
        for path_row in (self.files, self.target_files, self.model):
            path_row.changed.connect(self.refresh)
        for box in (self.resume, self.replace):
            box.toggled.connect(self.refresh)
        self.target_layer.chosen.connect(self.changed)
        self.refresh()

    def refresh(self) -> None:
        """Show the rows that make sense now, and announce a choice."""
        self.show_rows()
        self.changed.emit()

    def untick_replace(self) -> None:
        """Take back the permission to replace a model: it is given for one run."""
        with signals_blocked(self.replace):
            self.replace.setChecked(False)

    def show_rows(self) -> None:
        """Show the rows that make sense now."""
        files, pairs = self.where.currentText() == FILES, bool(self.target)
        self.rows.set_visible(self.files, files)
        self.rows.set_visible(self.target_files, files and pairs)
        self.rows.set_visible(self.target_layer, not files and pairs)
        path = self.model.path
        self.resume.setVisible(path is not None and is_file(checkpoint_of(path)))
        replaces = path is not None and not self._resumes(path) and bool(_would_replace(path))
        self.replace.setVisible(replaces)

    def train_run(self, layer: Any, axes: str) -> TrainRun:
        """Return what is chosen; a ValueError says in a sentence what is missing."""
        model = self._model_path()
        resumes, old = self._resumes(model), _would_replace(model)
        if old and not resumes and not self.replace.isChecked():
            other = " or go on from where it was stopped" if is_file(checkpoint_of(model)) else ""
            raise ValueError(
                f"{old}: choose another name{other}, or tick that it is to be replaced."
            )
        return TrainRun(self._data(layer, axes), self._targets(layer, axes), model, resumes)

    def _model_path(self) -> Path:
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
        return model

    def _resumes(self, model: Path) -> bool:
        return self.resume.isChecked() and is_file(checkpoint_of(model))

    def _data(self, layer: Any, axes: str) -> Any:
        if self.where.currentText() == FILES:
            return _paths(self.files, "Name the files or the folder to train on.")
        if self.where.currentText() == LAYER:
            return [_whole(layer, axes)]
        layers = [one for one in self.viewer.layers if _is_noisy(one)]
        return [_whole(one, axes if one == layer else layer_axes(one)) for one in layers]

    def _targets(self, layer: Any, axes: str) -> Any:
        if not self.target:
            return None
        needed = self.target == "clean"
        if self.where.currentText() == FILES:
            if self.target_files.path is None and not needed:
                return None
            return _paths(self.target_files, "Name the files or the folder of the clean images.")
        if self.where.currentText() == LAYERS:
            raise ValueError(
                "Pairs can be made of this layer and another, or of files; choose one of these."
            )
        target = self.target_layer.layer
        if target in (None, layer):  # by ==: napari may wrap a layer anew
            if needed:
                raise ValueError("Choose the layer that holds the clean image as the target.")
            return None
        return [_whole(target, axes)]


class TrainWidget(FitDock):
    """Trains a network on noisy images and shows on one layer how it denoises a plane so far.

    `model_wanted` gives the file of a model that is to be put into the tab Denoise.
    """

    methods = TRAINED
    has_iterates = False
    where_label = "Preview"
    extra: TrainBox
    model_wanted = Signal(object)

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.use_button = button("Use it", "Open the tab Denoise with this model.")
        self.use_button.clicked.connect(lambda: self.model_wanted.emit(self.extra.model.path))
        self.panel.add_buttons(self.use_button)
        self.use_button.hide()

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run does; a ValueError says in a sentence why it cannot."""
        target = TRAINED[how.method].target
        if target != self.extra.target:
            self.extra.target = target
            self.extra.show_rows()
        layer = self.input.layers.layer
        train_run = self.extra.train_run(layer, source.layer_axes)
        return FitRequest(
            _plane_in_view(source, self.viewer, layer, self.input.chosen_level),
            how,
            begin=train_run.begin,
            result="preview",
            finish=train_run.finish,
            drop=train_run.drop,
            layers=self._layers_of(train_run),
        )

    def start(self) -> FitRun | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        run = super().start()
        if run is not None:
            how: Any = run.request.how
            second = {how.filter_steps: "second stage"} if 0 < how.filter_steps < how.steps else {}
            self.panel.loss_plot.stages = second
            self.use_button.hide()
            self.extra.untick_replace()
        return run

    def _layers_of(self, train_run: TrainRun) -> Any:
        """Return the layers of a training that was stopped, for the one that goes on from it."""
        run = self.run
        if not train_run.resume or run is None or run.layer not in self.viewer.layers:
            return None
        before = getattr(getattr(run.request.begin, "__self__", None), "model", None)
        return run.layers if before == train_run.model else None

    def _make_extra(self) -> TrainBox:
        self.panel.loss_plot.name_criterion("validation error")
        self.panel.has_stopping_rule = False
        box = TrainBox(self.viewer)
        box.changed.connect(self._on_choice)
        return box

    def _on_ended(self) -> None:
        super()._on_ended()
        run = self.run
        self.use_button.setVisible(run is not None and run.answer is not None)
        self.extra.show_rows()  # there is a model or a checkpoint now; how it ended stays in view


def _whole(layer: Any, axes: str) -> Image:
    """Return a layer's finest level as an Image; reads no pixels."""
    shape = levels(layer)[0].shape[: layer.ndim]
    return make_source(layer, axes, tuple(slice(0, n) for n in shape)).image()


def _plane_in_view(source: Source, viewer: Any, layer: Any, level: int) -> Source:
    """Cut a source to the plane in view, so that a preview costs little."""
    point = np.asarray(layer.world_to_data(viewer.dims.point), dtype=float)
    index = list(source.index)
    for axis, letter in enumerate(source.layer_axes):
        if letter not in "YX":
            start, stop, _ = index[axis].indices(source.data.shape[axis])
            plane = min(max(round(float(point[axis])), start), stop - 1)
            index[axis] = slice(plane, plane + 1)
    return make_source(layer, source.layer_axes, tuple(index), level)


def _is_noisy(layer: Any) -> bool:
    from napari.layers import Image as ImageLayer

    return isinstance(layer, ImageLayer) and is_raw(layer)


def _paths(path_row: PathRow, wanted: str) -> list[Path]:
    if path_row.path is None:
        raise ValueError(wanted)
    return path_row.paths


def _would_replace(model: Path) -> str:
    """Return what a new training of that name would replace; empty where there is nothing."""
    if is_file(model):
        return f"{model.name} exists"
    checkpoint = checkpoint_of(model)
    return f"{checkpoint.name} is left of a training" if is_file(checkpoint) else ""
