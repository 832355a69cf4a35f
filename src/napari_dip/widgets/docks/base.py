"""What all docks that run a fit are: choose a layer and settings, run, watch, stop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dip.widgets.docks.leaving import Leaving
from napari_dip.widgets.layers.iterate_layer import add_iterates, shown_iterate
from napari_dip.widgets.napari_hooks.preferences import preferences
from napari_dip.widgets.parts.input_box import InputBox
from napari_dip.widgets.parts.layouts import Rows, scrolled
from napari_dip.widgets.parts.method_box import Choices
from napari_dip.widgets.parts.run_panel import Panel
from napari_dip.widgets.runs.ending import ending
from napari_dip.widgets.runs.fit_run import Order, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import napari.viewer

    from napari_dip.methods.registry import Method, TrainedMethod
    from napari_dip.settings import Settings
    from napari_dip.widgets.layers.source import Source

WIDTH = 330
SCROLL_BAR = 24


class FitDock(Leaving):
    """Runs a fit on one image layer and shows the answer as it comes, on one layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    """

    methods: ClassVar[Mapping[str, Method] | Mapping[str, TrainedMethod]]
    label: ClassVar[str]  # of the drop-down of methods
    maps: ClassVar[bool] = False  # whether there is a layer of uncertainty

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer: Any = viewer
        self.run: Run | None = None
        self._kept: tuple[Run, Any] | None = (
            None  # the run whose iterates are shown, and their layer
        )
        self._left = self._refused = False
        self.input = InputBox(viewer)
        self.choices = Choices(
            preferences().device, self.input.rows.labels, self.methods, self.label
        )
        self.choices.maps = self.maps
        self.choices.uncertainty.setVisible(self.maps)
        self.panel = Panel(*_colours(viewer))
        self.extra = self._extra()
        if isinstance(rows := getattr(self.extra, "rows", None), Rows):
            self.choices.stand_with(rows.labels)
        self._lay_out()
        self._connect()
        self._on_choice()

    def start(self) -> Run | None:
        """Run on what is chosen; return the run, or None where the choice cannot be run."""
        ready = self._ready()
        if ready is None or (self.run is not None and self.run.running):
            return None
        wishes = preferences()
        order = replace(
            ready,
            device=self.choices.device.device,
            pictures_per_second=wishes.pictures_per_second,
            keep_iterates=self.choices.keep.isChecked(),
            folder=wishes.output_folder,
        )
        self._kept = None
        self.run = Run(self.viewer, order)
        self.destroyed.connect(
            self.run.leave
        )  # napari's closing window deletes docks without closing them
        self.run.beat.connect(self.panel.show_beat)
        self.run.ended.connect(self._on_ended)
        self.panel.begin(order.fits)
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
            self.panel.show_order("Stopping")
            self.run.stop()

    def discard(self) -> None:
        """End the run and take its layer away."""
        if self.run is not None and self.run.running:
            self.panel.show_order("Discarding")
            self.run.discard()

    def use_iterate(self) -> None:
        """Make the iterate that the slider shows the answer."""
        if self._kept is None:
            return
        run, layer = self._kept
        if (
            layer not in self.viewer.layers
            or run.layer is None
            or run.layer not in self.viewer.layers
        ):
            self.panel.say(
                "The layer of the iterates or of the answer is gone: run again.", error=True
            )
            return
        assert run.answer is not None and run.answer.kept is not None
        iterate = shown_iterate(self.viewer, layer, run.answer.kept)
        run.layer.data = iterate.picture
        provenance = {**iterate.provenance, "chosen_by": "user", "iterate_used": iterate.step}
        run.layer.metadata = {**run.layer.metadata, "napari_dip": provenance}
        self.panel.curve.mark(iterate.step)
        self.panel.say(f"The answer is now the iterate of step {iterate.step:,}.")

    def leave(self) -> None:
        """End what runs and let go of the viewer; called when the dock is closed."""
        if self._left:
            return
        self._left = True
        self.input.leave()
        if self.run is not None and self.run.running:
            self.run.leave()
        self.run = self._kept = None

    def showEvent(self, event: Any) -> None:
        """Take the width that napari's fonts and style ask for, which are known only now."""
        super().showEvent(event)
        self._widen()

    def order(self, source: Source, how: Settings) -> Order:
        """Return what a run on `source` is to do; a ValueError says in a sentence why it cannot."""
        return Order(source, how)

    def _extra(self) -> QWidget | None:
        """Return a box of the dock's own, shown between the input and the settings."""
        return None

    def _ready(self) -> Order | None:
        """Return what to run, or say why nothing can be run."""
        try:
            source = self.input.source()
            order = self.order(source, self.choices.settings())
        except ValueError as error:
            self._refused = True
            self.input.readout.setText("")
            self.panel.say(str(error), error=True)
            return None
        if self._refused:
            self._refused = False
            self.panel.say("")
        self.input.describe(source)
        return order

    def _on_choice(self) -> None:
        if self._left or (self.run is not None and self.run.running):
            return
        self.panel.set_running(False, can_run=self._ready() is not None)

    def _on_ended(self) -> None:
        run = self.run
        if run is None:
            return
        if run.failure:
            from napari.utils.notifications import show_error

            show_error(run.failure)
            self.panel.end(run.failure, error=True)
        elif run.answer is not None:
            self._show_iterates(run)
            self.panel.end(ending(run), error=bool(run.answer.warning))
        elif run.control.discard.is_set():
            self.panel.bar.reset()
            self.panel.end("Discarded: nothing is kept.")
        elif run.control.stop.is_set():
            self.panel.end("Stopped before the first step: there is nothing to keep.")
        else:  # by napari, whose list of tasks can end workers
            self.panel.end(
                "The run was ended by napari: the layer holds its last picture.", error=True
            )
        self.panel.set_running(False, can_run=self.input.layers.layer is not None)

    def _show_iterates(self, run: Run) -> None:
        kept = run.answer.kept if run.answer is not None else None
        if kept is None:
            return
        source = run.order.source
        self._kept = run, add_iterates(self.viewer, kept, source.look, f"{source.name} iterates")
        self.panel.use_button.show()

    def _connect(self) -> None:
        self.choices.changed.connect(self._on_choice)
        self.choices.method.currentIndexChanged.connect(self._widen)
        self.input.changed.connect(self._on_choice)
        self.panel.run.connect(self.start)
        self.panel.pause.connect(self.toggle_pause)
        self.panel.stop.connect(self.stop)
        self.panel.discard.connect(self.discard)
        self.panel.use.connect(self.use_iterate)

    def _widen(self) -> None:
        """Be as wide as the longest labels of the method ask for, in the font that there is now."""
        self.choices.align()
        self.setMinimumWidth(max(WIDTH, self._top.minimumSizeHint().width() + SCROLL_BAR))

    def _lay_out(self) -> None:
        self._top = top = QWidget()
        layout = QVBoxLayout(top)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(8)
        layout.addWidget(self.input)
        if self.extra is not None:
            layout.addWidget(self.extra)
        layout.addWidget(self.choices)
        layout.addStretch(1)
        whole = QVBoxLayout(self)
        whole.addWidget(scrolled(top), stretch=1)
        whole.addWidget(self.panel)
        self._widen()


def _colours(viewer: Any) -> tuple[str, str]:
    """Return background and text of the viewer's theme, as hex."""
    from napari.utils.theme import get_theme

    theme = get_theme(viewer.theme)
    return theme.background.as_hex(), theme.text.as_hex()
