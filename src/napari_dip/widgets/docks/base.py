"""What all docks share, and what those that run a fit on a layer do: choose, run, watch, stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dip.engine.threads import let_idle_threads_sleep
from napari_dip.methods.method import Method, TrainedMethod
from napari_dip.settings import Settings
from napari_dip.widgets.layers.result_layers import add_iterates_layer, iterate_in_view
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.napari_hooks.preferences import preferences
from napari_dip.widgets.parts.input_box import InputBox, LayerCombo
from napari_dip.widgets.parts.layouts import Rows, scroll_area
from napari_dip.widgets.parts.method_box import MethodBox
from napari_dip.widgets.parts.run_panel import RunPanel
from napari_dip.widgets.runs.fit_run import FitRun
from napari_dip.widgets.runs.worker import FitRequest

WIDTH = 330
SCROLL_BAR = 24


class Dock(QWidget):
    """A widget whose `shut_down` is called when its dock or window is closed."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        let_idle_threads_sleep()

    def shut_down(self) -> None:
        """End what runs; may be called more than once."""
        raise NotImplementedError

    def closeEvent(self, event: Any) -> None:
        self.shut_down()
        super().closeEvent(event)

    def event(self, event: Any) -> bool:
        """Shut down when the dock is closed: napari then takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        return bool(super().event(event))


class FitDock(Dock):
    """Runs a fit on one image layer and shows the answer as it comes, on one layer."""

    methods: ClassVar[Mapping[str, Method] | Mapping[str, TrainedMethod]]
    label: ClassVar[str] = "Method"  # of the drop-down of methods
    has_uncertainty: ClassVar[bool] = False
    has_iterates: ClassVar[bool] = True

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.run: FitRun | None = None
        self._iterates_layer: Any = None  # of `run`
        self._shut_down = self._refused = False
        self.input = InputBox(napari_viewer)
        layers = {"uncertainty": self.has_uncertainty, "iterates": self.has_iterates}
        self.method_box = MethodBox(preferences().device, self.methods, self.label, **layers)
        self.method_box.align_with(self.input.rows.labels)
        self.panel = RunPanel(*_theme_colours(napari_viewer))
        self.extra = self._make_extra()
        parts = [self.input, self.method_box]
        if self.extra is not None:
            parts.insert(1, self.extra)
            if isinstance(rows := self.extra.layout(), Rows):
                self.method_box.align_with(rows.labels)
        self._top = scroll_area(*parts)
        layout = QVBoxLayout(self)
        layout.addWidget(self._top, stretch=1)
        layout.addWidget(self.panel)
        self._fit_width()
        self._connect()
        self._on_choice()

    def start(self) -> FitRun | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        ready = self._check()
        if ready is None or (self.run is not None and self.run.running):
            return None
        stored = preferences()
        request = replace(
            ready,
            device=self.method_box.device.device,
            pictures_per_second=stored.pictures_per_second,
            keep_iterates=self.method_box.keep.isChecked(),
            folder=stored.output_folder,
            follow=self.input.follow.isChecked(),
        )
        self._iterates_layer = None
        self.run = FitRun(self.viewer, request)
        # napari's closing window deletes docks without closing them
        self.destroyed.connect(self.run.abandon)
        self.run.progressed.connect(self.panel.show_progress)
        self.run.ended.connect(self._on_ended)
        self.panel.start(request.fits)
        self.run.start()
        return self.run

    def toggle_pause(self) -> None:
        """Pause, or go on."""
        if self.run is None:
            return
        if self.run.paused:
            self.run.resume()
        else:
            self.run.pause()
        self.panel.set_paused(self.run.paused)

    def stop(self) -> None:
        """End the run and keep the answer so far."""
        if self.run is not None and self.run.running:
            self.panel.show_ending("Stopping")
            self.run.stop()

    def discard(self) -> None:
        """End the run and remove its layer."""
        if self.run is not None and self.run.running:
            self.panel.show_ending("Discarding")
            self.run.discard()

    def use_iterate(self) -> None:
        """Make the iterate that the slider shows the answer."""
        run, layer, layers = self.run, self._iterates_layer, self.viewer.layers
        if run is None or layer is None:
            return
        if layer not in layers or run.layer is None or run.layer not in layers:
            gone = "The layer of the iterates or of the answer is gone: run again."
            self.panel.message.say(gone, error=True)
            return
        assert run.answer is not None and run.answer.iterates is not None
        iterate = iterate_in_view(self.viewer, layer, run.answer.iterates)
        run.layer.data = iterate.picture
        chosen = {"chosen_by": "user", "iterate_used": iterate.step}
        run.layers.set_provenance({**iterate.provenance, **chosen})
        self.panel.loss_plot.mark(iterate.step)
        self.panel.message.say(f"The answer is now the iterate of step {iterate.step:,}.")

    def shut_down(self) -> None:
        """End what runs and let go of the viewer."""
        if self._shut_down:
            return
        self._shut_down = True
        self.input.disconnect_viewer()
        for combo in self.findChildren(LayerCombo):
            combo.disconnect_viewer()
        if self.run is not None and self.run.running:
            self.run.abandon()
        self.run = self._iterates_layer = None

    def showEvent(self, event: Any) -> None:
        """Take the width that napari's fonts and style ask for, which are known only now."""
        super().showEvent(event)
        self._fit_width()

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run on `source` does; a ValueError says in a sentence why it cannot."""
        return FitRequest(source, how)

    def _make_extra(self) -> QWidget | None:
        """Return a box of the dock's own, shown between the input and the settings."""
        return None

    def _check(self) -> FitRequest | None:
        """Return what to run, or say why nothing can be run."""
        try:
            source = self.input.source()
            request = self.request(source, self.method_box.settings())
        except ValueError as error:
            self._refused = True
            self.input.readout.setText("")
            self.panel.message.say(str(error), error=True)
            return None
        if self._refused:
            self._refused = False
            self.panel.message.say("")
        self.input.describe(source)
        self.input.follow.setVisible(request.source.planes > 1)
        return request

    def _on_choice(self) -> None:
        if self._shut_down or (self.run is not None and self.run.running):
            return
        self.panel.set_running(False, can_run=self._check() is not None)

    def _on_ended(self) -> None:
        run = self.run
        if run is None:
            return
        if run.failure:
            from napari.utils.notifications import show_error

            show_error(run.failure)
            self.panel.show_end(run.failure, error=True)
        elif run.answer is not None:
            self._show_iterates(run)
            self.panel.show_end(run.summary(), error=bool(run.answer.warning))
        elif run.control.discard.is_set():
            self.panel.bar.reset()
            self.panel.show_end("Discarded: nothing is kept.")
        elif run.control.stop.is_set():
            self.panel.show_end("Stopped before the first step: there is nothing to keep.")
        else:  # by napari, whose list of tasks can end workers
            ended = "The run was ended by napari: the layer holds its last picture."
            self.panel.show_end(ended, error=True)
        self.panel.set_running(False, can_run=self.input.layers.layer is not None)

    def _show_iterates(self, run: FitRun) -> None:
        if run.answer is None or run.answer.iterates is None:
            return
        source, name = run.request.source, f"{run.request.source.name} iterates"
        self._iterates_layer = add_iterates_layer(
            self.viewer, run.answer.iterates, source.look, name
        )
        self.panel.use_button.show()

    def _connect(self) -> None:
        self.method_box.changed.connect(self._on_choice)
        self.method_box.method.currentIndexChanged.connect(self._fit_width)
        self.input.changed.connect(self._on_choice)
        buttons = self.panel.buttons
        buttons["Run"].clicked.connect(lambda: self.start())
        buttons["Pause"].clicked.connect(lambda: self.toggle_pause())
        buttons["Stop"].clicked.connect(lambda: self.stop())
        buttons["Discard"].clicked.connect(lambda: self.discard())
        self.panel.use_button.clicked.connect(lambda: self.use_iterate())

    def _fit_width(self) -> None:
        """Be as wide as the method's longest labels need, in the font that there is now."""
        self.method_box.align()
        self.setMinimumWidth(max(WIDTH, content_width(self._top)))


def content_width(area: Any) -> int:
    """Return the width that a scroll area needs to show its content without cutting it."""
    return int(area.widget().minimumSizeHint().width()) + SCROLL_BAR


def _theme_colours(viewer: Any) -> tuple[str, str]:
    """Return background and text of the viewer's theme, as hex."""
    from napari.utils.theme import get_theme

    theme = get_theme(viewer.theme)
    return theme.background.as_hex(), theme.text.as_hex()
