"""What is done with an answer: compare, judge, choose another step, save, copy how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QLabel, QWidget
from superqt import QLabeledSlider
from superqt.utils import signals_blocked

from napari_dip.widgets.layers.compare import DENOISED, RESIDUAL, VIEWS
from napari_dip.widgets.layers.iterates import PlaneIterates
from napari_dip.widgets.parts.layouts import Rows, button, column, row

ACTIONS = {
    "Save result ...": "Write it to a file that keeps pixel size, units, channels, and how it was "
    "made (Ctrl+Alt+W).",
    "Copy settings": "To the clipboard: a file of settings, and the command that does the same.",
    "Copy methods text": "To the clipboard: a paragraph for a paper, with settings, versions and "
    "whom to cite.",
}


class ResultBox(QWidget):
    """Shown once there is an answer; `view_chosen` gives one of `VIEWS`, `step_chosen` a place."""

    view_chosen = Signal(str)
    step_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.views = {name: button(name, tip) for name, tip in VIEWS.items()}
        self._group = QButtonGroup(self)
        for name, made in self.views.items():
            made.setCheckable(True)
            self._group.addButton(made)
            made.clicked.connect(lambda _, name=name: self.view_chosen.emit(name))
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.slider = QLabeledSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Of the plane in view: the answer of an earlier or a later step.")
        self.slider.setEdgeLabelMode(QLabeledSlider.EdgeLabelMode.NoLabel)
        self.slider.valueChanged.connect(self.step_chosen)
        self.step_label = QLabel()
        steps = QWidget()
        self._steps = Rows(steps)
        self._steps.add("Step", self.slider)
        self._steps.addRow("", self.step_label)
        self._steps_box = steps
        self.buttons = {n: button(n, tip) for n, tip in ACTIONS.items()}
        save, settings, methods = self.buttons.values()
        layout = column(self.verdict, steps, save, parent=self, spacing=4)
        layout.insertLayout(0, row(*self.views.values()))
        layout.addLayout(row(settings, methods))
        self.hide()

    def show_view(self, view: str, has_residual: bool) -> None:
        """Show which view is in sight."""
        self.views[view].setChecked(True)
        self.views[RESIDUAL].setEnabled(has_residual)

    def show_answer(self, record: Mapping[str, Any] | None, has_residual: bool) -> None:
        """Show the box; without a record, while the run goes on, only the views."""
        self.verdict.setText("" if record is None else "\n".join(verdict_lines(record)))
        self.verdict.setVisible(bool(self.verdict.text()))
        for made in self.buttons.values():
            made.setVisible(record is not None)
        self.show_steps(None, 0)
        self.show_view(DENOISED, has_residual)
        self.show()

    def show_steps(self, iterates: PlaneIterates | None, step: int) -> None:
        """Offer the answers of one plane, of which that of `step` is in the layer."""
        self._steps_box.setVisible(iterates is not None and len(iterates.items) > 1)
        if iterates is None or not iterates.items:
            return
        steps = [one.step for one in iterates.items]
        with signals_blocked(self.slider):
            self.slider.setRange(0, len(steps) - 1)
            self.slider.setValue(steps.index(step) if step in steps else len(steps) - 1)
        self.step_label.setText(f"This plane shows step {steps[self.slider.value()]:,}.")


def verdict_lines(record: Mapping[str, Any]) -> list[str]:
    """Return two lines on an answer, from the record of its run; none where it was not judged."""
    verdict: Any = record.get("verdict")
    if not isinstance(verdict, Mapping):
        return []
    flagged = set(verdict["flagged"])
    removed = 1 - min(max(float(verdict["noise_left"]), 0.0), 1.0)
    off = abs(float(verdict["brightness"]))
    facts = [
        f"noise removed: {removed:.0%}",
        f"structure in the residual: {'yes' if 'structure_left' in flagged else 'none seen'}",
        f"brightness off by {off:.1%} of the noise at most",
        "pixels share noise: " + ("yes" if _is_correlated(record) else "no"),
    ]
    text = "; ".join(facts)
    return [str(verdict["sentence"]), f"{text[0].upper()}{text[1:]}."]


def _is_correlated(record: Mapping[str, Any]) -> bool:
    from napari_dip.noise.measured_noise import MeasuredNoise

    noises: Any = record.get("measured_noise") or []
    noises = noises if isinstance(noises, list) else [noises]
    return any(MeasuredNoise.from_json(one).is_correlated for one in noises)
