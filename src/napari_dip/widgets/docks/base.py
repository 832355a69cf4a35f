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
from napari_dip.widgets.docks.results import Results
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.napari_hooks.preferences import preferences
from napari_dip.widgets.parts.input_box import InputBox, LayerCombo
from napari_dip.widgets.parts.layouts import Message, column, fold, is_dark, scroll_area
from napari_dip.widgets.parts.method_box import MethodBox
from napari_dip.widgets.parts.run_panel import RunPanel
from napari_dip.widgets.parts.time_line import TimeLine
from napari_dip.widgets.runs.fit_run import FitRun
from napari_dip.widgets.runs.worker import FitRequest

WIDTH = 330


class Dock(QWidget):
    """A widget whose `shut_down` is called when its dock or window is closed."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        let_idle_threads_sleep()
        self._on_theme()
        viewer.events.theme.connect(self._on_theme)

    def _on_theme(self, event: Any = None) -> None:
        """Take the colours of the viewer's theme."""
        Message.light = not is_dark(_theme_colours(self.viewer)[0])
        for message in self.findChildren(Message):
            message.repaint_text()

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
    """Runs a fit on one image layer after another and shows each answer as it comes, on a layer."""

    methods: ClassVar[Mapping[str, Method] | Mapping[str, TrainedMethod]]
    label: ClassVar[str] = "Method"  # of the drop-down of methods
    where_label: ClassVar[str] = "Run on"
    has_time_line: ClassVar[bool] = False
    has_uncertainty: ClassVar[bool] = False
    has_iterates: ClassVar[bool] = True
    has_own_model: ClassVar[bool] = False

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.run: FitRun | None = None
        self._waiting: list[FitRequest] = []  # of the other layers chosen
        self._shut_down = self._refused = False
        self.input, self.time_line = InputBox(napari_viewer, self.where_label), TimeLine()
        offers = {"uncertainty": self.has_uncertainty, "iterates": self.has_iterates}
        self.method_box = MethodBox(
            preferences().device,
            self.methods,
            self.label,
            own_model=self.has_own_model,
            **offers,
        )
        self.panel = RunPanel(*_theme_colours(napari_viewer))
        self.results = Results(napari_viewer, self.panel.message.say)
        self.extra = self._make_extra()
        self.advanced = fold("Advanced", self.input.more, self.method_box)
        self.advanced.setToolTip("Device, axes, and every setting of the method.")
        self._lay_out()
        self._connect()
        self._on_choice()

    def start(self) -> FitRun | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        ready = self._check(pressed=True)
        if ready is None or (self.run is not None and self.run.running):
            return None
        try:
            others = self._other_requests(ready.how)
        except ValueError as error:
            self.panel.message.say(str(error), error=True)
            return None
        goes_on = ready.layers is not None
        if not goes_on:
            self.results.begin()
        self._waiting = [self._with_choices(one) for one in others]
        return self._begin(self._with_choices(ready), goes_on)

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
        self._waiting = []
        if self.run is not None and self.run.running:
            self.panel.show_ending("Stopping")
            self.run.stop()

    def discard(self) -> None:
        """End the run and remove its layer."""
        self._waiting = []
        if self.run is not None and self.run.running:
            self.panel.show_ending("Discarding")
            self.run.discard()

    def shut_down(self) -> None:
        """End what runs, with the answer so far on its layer, and let go of the viewer."""
        if self._shut_down:
            return
        self._shut_down = True
        self._waiting = []
        self.input.disconnect_viewer()
        self.viewer.events.theme.disconnect(self._on_theme)
        for combo in self.findChildren(LayerCombo):
            combo.disconnect_viewer()
        if self.run is not None and self.run.running:
            self.destroyed.disconnect(self.run.abandon)
            self.run.stop()
        self.results.shut_down()
        self.time_line.shut_down()
        self.run = None

    def request(self, source: Source, how: Settings) -> FitRequest:
        """Return what a run on `source` does; a ValueError says in a sentence why it cannot."""
        return FitRequest(source, how)

    def _make_extra(self) -> QWidget | None:
        """Return a box of the dock's own, shown under the buttons."""
        return None

    def _other_requests(self, how: Settings) -> list[FitRequest]:
        """Return what is run afterwards: the same on the other layers that are chosen."""
        return []

    def _with_choices(self, request: FitRequest) -> FitRequest:
        stored = preferences()
        return replace(
            request,
            device=self.method_box.device.device,
            pictures_per_second=stored.pictures_per_second,
            keep_iterates=self.method_box.keep.isChecked(),
            folder=stored.output_folder,
            follow=self.input.follow.isChecked(),
            layer=request.layer or self.input.layers.layer,
        )

    def _begin(self, request: FitRequest, goes_on: bool = False) -> FitRun:
        self.run = run = FitRun(self.viewer, request)
        # napari's closing window deletes docks without closing them
        self.destroyed.connect(run.abandon)
        run.progressed.connect(self.panel.show_progress)
        run.shown.connect(self._on_shown)
        run.ended.connect(self._on_ended)
        self.panel.start(request.fits, goes_on=goes_on)
        self._set_locked(True, request.source.name)
        run.start()
        return run

    def _set_locked(self, locked: bool, name: str = "") -> None:
        """Let the form show what is run, and not be changed while it is."""
        self.input.lock(locked, name)
        for part in (self.method_box.head, self.advanced, self.extra):
            if part is not None:
                part.setEnabled(not locked)

    def _check(self, pressed: bool = False) -> FitRequest | None:
        """Return what to run, or say why nothing can be run: as a warning once Run was pressed."""
        self.input.readout.setText("")
        try:
            source = self.input.source()
            self.input.describe(source)
            request = self.request(source, self.method_box.settings())
        except ValueError as error:
            self._refused = True
            self.time_line.clear()
            self.panel.message.say(str(error), error=pressed)
            return None
        if self._refused:
            self._refused = False
            self.panel.message.say("")
        self._expect(request)
        self.input.follow.setVisible(request.source.planes > 1)
        return request

    def _expect(self, request: FitRequest) -> None:
        """Let the line below the method say how long it would take."""
        if self.has_time_line and request.fits:
            device, layers = self.method_box.device.device, 1 + len(self.input.layers.others_chosen)
            self.time_line.ask(request.source, request.how, device, layers)
        else:
            self.time_line.clear()

    def _describe(self) -> None:
        """Say how much would be run now; how the last run ended stays in view."""
        try:
            self.input.describe(self.input.source())
        except ValueError:  # is said when Run is pressed
            self.input.readout.setText("")

    def _on_choice(self) -> None:
        if self._shut_down or (self.run is not None and self.run.running):
            return
        self.panel.set_running(False, can_run=self._check() is not None)

    def _on_shown(self) -> None:
        if self.run is not None and not self._shut_down:
            self.results.add(self.run)

    def _on_ended(self) -> None:
        run = self.run
        if run is None:
            return
        if run.failure:
            from napari.utils.notifications import show_error

            show_error(run.failure)
            self.panel.show_end(run.failure, error=True)
        elif run.answer is not None:
            self.panel.show_end(run.summary(), run.answer.last, error=bool(run.answer.warning))
        elif run.control.discard.is_set():
            self.panel.bar.reset()
            self.panel.show_end("Discarded: nothing is kept.")
        elif run.control.stop.is_set():
            self.panel.show_end("Stopped before the first step: there is nothing to keep.")
        else:  # by napari, whose list of tasks can end workers
            ended = "The run was ended by napari: the layer holds its last picture."
            self.panel.show_end(ended, error=True)
        self.results.end()
        self._set_locked(False)
        self.panel.set_running(False, can_run=self.input.layers.layer is not None)
        if self.input.layers.layer is not None:
            self._describe()
        if self._waiting and run.answer is not None:
            self._begin(self._waiting.pop(0))

    def _connect(self) -> None:
        self.method_box.changed.connect(self._on_choice)
        self.input.changed.connect(self._on_choice)
        buttons = self.panel.buttons
        buttons["Run"].clicked.connect(lambda: self.start())
        buttons["Pause"].clicked.connect(lambda: self.toggle_pause())
        buttons["Stop"].clicked.connect(lambda: self.stop())
        buttons["Discard"].clicked.connect(lambda: self.discard())

    def _on_theme(self, event: Any = None) -> None:
        super()._on_theme(event)
        if hasattr(self, "panel"):
            self.panel.paint(*_theme_colours(self.viewer))

    def _lay_out(self) -> None:
        """Put what is always in view on top, Run in one place, and the rest where it scrolls."""
        head = [self.input, self.method_box.head, self.time_line, self.panel]
        self.time_line.setVisible(self.has_time_line)
        layout: QVBoxLayout = column(*head, parent=self)
        layout.setContentsMargins(6, 6, 6, 4)
        below = [self.panel.message, self.extra, self.results.box, self.panel.curve, self.advanced]
        self._below = scroll_area(*(part for part in below if part is not None))
        layout.addWidget(self._below, stretch=1)
        self.setMinimumWidth(WIDTH)


def _theme_colours(viewer: Any) -> tuple[str, str]:
    """Return background and text of the viewer's theme, as hex."""
    from napari.utils.theme import get_theme

    theme = get_theme(viewer.theme)
    return theme.background.as_hex(), theme.text.as_hex()
