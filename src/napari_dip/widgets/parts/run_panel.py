"""The lower part of the dock: buttons, progress, what happened, the curve."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_dip.widgets.parts.measures import Measures
from napari_dip.widgets.parts.plots import Curve

if TYPE_CHECKING:
    from napari_dip.widgets.runs.progress import Beat

RATE_WINDOW = 5.0  # seconds over which the rate is averaged
HELP = {
    "Run": "Fit the network and watch the noise go.",
    "Pause": "Hold the fit; the layer stays as it is.",
    "Stop": "End now and keep the answer so far.",
    "Discard": "End now and take the layer away.",
}


class Panel(QWidget):
    """Shows how a run goes and takes the four orders.

    The signals `run`, `pause`, `stop`, `discard` and `use` (make the iterate shown the answer) are bare.
    """

    run = Signal()
    pause = Signal()
    stop = Signal()
    discard = Signal()
    use = Signal()

    def __init__(self, background: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = {name: QPushButton(name) for name in HELP}
        self.use_button = QPushButton("Use this iterate")
        self.bar, self.message = QProgressBar(), QLabel()
        self.curve, self.measures = Curve(background, text), Measures(background, text)
        self._times: list[tuple[float, int]] = []
        self.judging = True  # whether the criterion chooses among the steps
        self._judged = False  # whether it has spoken
        self._stepped = self._ending = (
            False  # whether a step was seen, and whether the run was told to end
        )
        self._lay_out()
        for name, signal in (
            ("Run", self.run),
            ("Pause", self.pause),
            ("Stop", self.stop),
            ("Discard", self.discard),
        ):
            self.buttons[name].setToolTip(HELP[name])
            self.buttons[name].clicked.connect(signal)
        self.use_button.setToolTip(
            "Make the iterate that the slider shows the answer, on the denoised layer."
        )
        self.use_button.clicked.connect(self.use)
        self.use_button.hide()
        self.set_running(False)

    def set_running(self, running: bool, *, can_run: bool = True) -> None:
        """Enable the buttons that make sense."""
        self.buttons["Run"].setEnabled(not running and can_run)
        for name in ("Pause", "Stop", "Discard"):
            self.buttons[name].setEnabled(running)
        if not running:
            self.set_paused(False)

    def set_paused(self, paused: bool) -> None:
        """Name the pause button after what it does next."""
        self.buttons["Pause"].setText("Resume" if paused else "Pause")
        self._times = []

    def begin(self, fits: bool = True) -> None:
        """Get ready for a run; one that fits nothing has no curve."""
        self.curve.clear(shown=fits)
        self.measures.clear()
        self._judged = self._stepped = self._ending = False
        self.use_button.hide()
        self.bar.setRange(0, 0)
        self.bar.setFormat("")
        self.say("Preparing ...")
        self.set_running(True)

    def show_beat(self, beat: Beat) -> None:
        """Move the bar and the curve."""
        self.curve.show_beat(beat)
        self.measures.show_beat(beat)
        if not beat.total:
            return
        self._stepped = True
        self.bar.setRange(0, beat.total)
        self.bar.setValue(beat.step)
        self.bar.setFormat("%p%" + self._pace(beat))
        self._judged |= self.judging and any(
            criterion is not None for _, _, criterion in beat.points
        )
        if not self._ending:
            self.say(f"{where(beat, self._judged)} {beat.note}".strip())

    def show_order(self, order: str) -> None:
        """Say that Stop or Discard was heard, and when it will be obeyed; the answer may take its time."""
        self._ending = True
        when = (
            "after the step at hand"
            if self._stepped
            else "before the first step, when all is prepared"
        )
        self.say(f"{order} {when} ...")
        self.buttons["Pause"].setEnabled(False)
        self.buttons["Stop"].setEnabled(False)
        self.set_paused(False)

    def end(self, sentence: str, *, error: bool = False) -> None:
        """Say how the run ended."""
        if self.bar.maximum() == 0:
            self.bar.setRange(0, 1)
            self.bar.reset()
        else:
            self.bar.setFormat("%v of %m steps")
        self.say(sentence, error=error)
        self.set_running(False)

    def say(self, sentence: str, *, error: bool = False) -> None:
        """Show a sentence; one about an error in the colour of warnings."""
        self.message.setText(sentence)
        self.message.setStyleSheet("color: #e3b617;" if error else "")
        self.message.setVisible(bool(sentence))

    def _pace(self, beat: Beat) -> str:
        now = time.monotonic()
        self._times = [(t, s) for t, s in self._times if now - t < RATE_WINDOW] + [(now, beat.step)]
        (t0, s0), (t1, s1) = self._times[0], self._times[-1]
        if t1 - t0 < 0.3 or s1 <= s0:
            return ""
        rate = (s1 - s0) / (t1 - t0)
        left = round((beat.total - beat.step) / rate)
        return f"   {rate:.3g} steps/s   {clock(left)} left"

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in self.buttons.values():
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            row.addWidget(button)
        layout.addLayout(row)
        self.bar.setFormat("")
        self.bar.setRange(0, 1)
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self.bar)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self.message)
        layout.addWidget(self.use_button)
        layout.addWidget(self.curve, stretch=1)
        layout.addWidget(self.measures)


def where(beat: Beat, judged: bool) -> str:
    """Say how far the fit is, and of which step the picture in view is.

    Where a stopping rule judges the steps, that is the best so far and not the newest.
    """
    plane = f"Plane {beat.plane + 1} of {beat.planes}, step" if beat.planes > 1 else "Step"
    what = "best so far" if judged else "in view"
    return f"{plane} {beat.step:,} of {beat.total:,}" + (
        f", {what} {beat.chosen:,}." if beat.chosen else "."
    )


def clock(seconds: int) -> str:
    """Write a duration as m:ss or h:mm:ss."""
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
