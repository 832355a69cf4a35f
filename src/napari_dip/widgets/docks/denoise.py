"""The tab "Denoise": fit a network to one image, or apply a trained model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Signal
from superqt.utils import qdebounced

from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings
from napari_dip.widgets.docks.base import FitDock
from napari_dip.widgets.layers.region import BOX, WHOLE, add_box, box_layer
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.parts.layouts import button
from napari_dip.widgets.parts.model_box import ModelBox
from napari_dip.widgets.parts.noise_window import NoiseWindow
from napari_dip.widgets.runs.fit_run import FitRun
from napari_dip.widgets.runs.worker import FitRequest, among_neighbours

MOVED_AFTER = 250  # milliseconds after the last move of the box
ALONE = {"neighbours", "through_stack"}  # settings that do nothing for a single plane


class DenoiseWidget(FitDock):
    """Denoises image layers and shows each answer as it comes, on a layer of its own."""

    methods = METHODS
    has_uncertainty = True
    has_own_model = has_time_line = True
    extra: ModelBox
    tab_wanted = Signal(str)

    def __init__(self, napari_viewer: Any) -> None:
        self._box: Any = None  # the box to try, and where it was when it was last tried
        self._tried: Any = None
        self._again = self._all = False
        super().__init__(napari_viewer)
        self.noise_button = button(
            "Noise ...",
            "Measure the noise: how strong at which "
            "intensity, what neighbouring pixels share, hot pixels.",
        )
        tip = "Try the settings on a small box; drag it, and it is done anew where it lies."
        self.try_button = button("Try here", tip)
        self.all_button = button("Run on all", "Take the settings for the whole layer.")
        self.all_button.hide()
        self.noise_button.clicked.connect(lambda: self.show_noise())
        self.try_button.clicked.connect(lambda: self.try_here())
        self.all_button.clicked.connect(lambda: self.run_on_all())
        self.panel.add_buttons(self.try_button, self.all_button, self.noise_button)
        self.input.region_chosen.connect(self._on_region)
        self.time_line.train_wanted.connect(lambda: self.tab_wanted.emit("Train"))
        self._on_moved = qdebounced(self._try_again, timeout=MOVED_AFTER, parent=self)

    def show_noise(self) -> NoiseWindow | None:
        """Open a window on the noise of what is chosen; None where nothing is."""
        try:
            window = NoiseWindow(self.input.source(), self)
        except ValueError as error:
            self.panel.message.say(str(error), error=True)
            return None
        window.show()
        return window

    def try_here(self) -> FitRun | None:
        """Put the box to try into the middle of the view, and run on it wherever it is moved."""
        layer = self.input.layers.layer
        if layer is None or (self.run is not None and self.run.running):
            return None
        self.input.region.setCurrentText(BOX)
        return self.start()

    def run_on_all(self) -> FitRun | None:
        """Take the box and its answer away, and run on the whole layer."""
        self._again = False
        if self.run is not None and self.run.running:
            self._all = True
            self.discard()
            return None
        self._forget_try()
        self.input.region.setCurrentText(WHOLE)
        if (box := box_layer(self.viewer)) is not None:
            self._stop_listening()
            self.viewer.layers.remove(box)
        if self.input.layers.layer is not None:
            self.viewer.layers.selection.active = self.input.layers.layer
        return self.start()

    def start(self) -> FitRun | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        if self.run is not None and self.run.running:
            return None
        if self.input.region.currentText() == BOX:
            self._forget_try()
            self._tried = self._corners()
        return super().start()

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run does; a ValueError says in a sentence why it cannot."""
        fits = not self.method_box.is_own_model
        self.extra.setVisible(not fits)
        self.method_box.show_method(fits)
        if not fits and self.extra.path is None:
            raise ValueError("Choose the model: a file that the tab Train has made, or another's.")
        where = self._where(source)
        if fits:
            alone = source.planes == 1 and among_neighbours(source, how) is None
            self.method_box.hide_knobs(ALONE if alone else set())
            begin = among_neighbours(source, how)
            return FitRequest(source, how, begin=begin, result=how.title + where, judged=True)
        how, apply = self.extra.settings(), self.extra.begin()
        begin, name = among_neighbours(source, how, apply) or apply, f"{self.extra.name}{where}"
        return FitRequest(source, how, begin=begin, result=name, fits=False, judged=True)

    def shut_down(self) -> None:
        """End what runs, and leave the box alone."""
        self._stop_listening()
        super().shut_down()

    def _where(self, source: Source) -> str:
        """Return in words which part of its layer a source is; empty for all of it."""
        words = {"T": "time", "Z": "plane", "C": "channel"}
        parts = []
        lengths = zip(source.layer_axes, source.index, source.data.shape, strict=False)
        for letter, part, n in lengths:
            start, stop, _ = part.indices(n)
            if letter in words and stop - start < n:
                last = f" to {stop - 1}" if stop - start > 1 else ""
                parts.append(f"{words[letter]} {start}{last}")
        kind = self.input.region.currentText()
        if kind == BOX or self._is_cut(source):
            parts.append("box" if kind == BOX else "part")
        return "".join(f", {part}" for part in parts)

    @staticmethod
    def _is_cut(source: Source) -> bool:
        lengths = zip(source.layer_axes, source.index, source.data.shape, strict=False)
        return any(a in "YX" and part.indices(n)[:2] != (0, n) for a, part, n in lengths)

    def _other_requests(self, how: Settings) -> list[FitRequest]:
        pairs = zip(self.input.other_sources(), self.input.layers.others_chosen, strict=True)
        return [replace(self.request(source, how), layer=layer) for source, layer in pairs]

    def _make_extra(self) -> ModelBox:
        box = ModelBox()
        box.changed.connect(self._on_model)
        return box

    def _on_model(self) -> None:
        self.method_box.choose_model(self.extra.path is not None)
        self._on_choice()

    def _on_choice(self) -> None:
        trying = self.input.region.currentText() == BOX
        if hasattr(self, "all_button"):
            self.all_button.setVisible(trying)
            self.try_button.setVisible(not trying)
        if trying and box_layer(self.viewer) is None:  # it was removed
            self.input.region.setCurrentText(WHOLE)
        super()._on_choice()

    def _on_region(self) -> None:
        """Add the box where it is chosen; before the form looks for it."""
        layer = self.input.layers.layer
        if self.input.region.currentText() == BOX and layer is not None:
            if box_layer(self.viewer) is None:
                axes = "".join(combo.currentText() for combo in self.input.axes)
                add_box(self.viewer, layer, axes, self.input.chosen_level)
            self._listen_to_box()

    def _listen_to_box(self) -> None:
        box = box_layer(self.viewer)
        if box is self._box or box is None:
            return
        self._stop_listening()
        self._box = box
        box.events.data.connect(self._on_box)
        box.events.set_data.connect(self._on_box)

    def _stop_listening(self) -> None:
        if self._box is not None:
            self._box.events.data.disconnect(self._on_box)
            self._box.events.set_data.disconnect(self._on_box)
            self._box = None

    def _on_box(self, event: Any = None) -> None:
        if self._tried is not None and self._corners() != self._tried:
            self._on_moved()

    def _corners(self) -> Any:
        box = box_layer(self.viewer)
        return None if box is None else [corner.tolist() for corner in box.data]

    def _try_again(self) -> None:
        """Run on the box where it lies now; a run on where it was is given up."""
        if self._shut_down or self._corners() in (None, self._tried):
            return
        if self.run is not None and self.run.running:
            self._again = True
            self.discard()
        else:
            self.start()

    def _forget_try(self) -> None:
        """Take away the answer of the box to try, which is not kept."""
        run, self._tried = self.run, None
        if run is not None and run.request.result.endswith(", box") and run.layer is not None:
            self.results.begin()
            run.layers.remove()

    def _set_locked(self, locked: bool, name: str = "") -> None:
        super()._set_locked(locked, name)
        self.try_button.setEnabled(not locked)

    def _on_ended(self) -> None:
        super()._on_ended()
        again, self._again, whole, self._all = self._again, False, self._all, False
        if whole:
            self.run_on_all()
        elif again:
            self.start()
