"""The lower part of a dock: buttons, progress, a message, and the plots."""

from __future__ import annotations

import time

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QPushButton, QWidget

from napari_dip.batch.estimate import format_duration
from napari_dip.widgets.parts.layouts import Message, button, column, row
from napari_dip.widgets.parts.plots import LossPlot, TrainingPlot
from napari_dip.widgets.runs.progress import Progress

RATE_WINDOW = 5.0  # seconds over which the rate is averaged
HELP = {
    "Run": "Fit the network and watch the noise go.",
    "Pause": "Hold the fit; the layer stays as it is.",
    "Stop": "End now and keep the answer so far.",
    "Discard": "End now and take the layer away.",
}


class RunPanel(QWidget):
    """Shows how a run goes, and has the buttons that start and end it."""

    def __init__(self, background: str, text: str) -> None:
        super().__init__()
        self.buttons = {name: button(name, tip) for name, tip in HELP.items()}
        self.use_button = QPushButton("Use this iterate")
        self.use_button.setToolTip(
            "Make the iterate that the slider shows the answer, on the denoised layer."
        )
        self.use_button.hide()
        self.bar, self.message = QProgressBar(), Message()
        self.bar.setFormat("")
        self.bar.setRange(0, 1)
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.loss_plot = LossPlot(background, text)
        self.training_plot = TrainingPlot(background, text)
        self.has_stopping_rule = True  # whether the criterion chooses among the steps
        self.reset()
        parts = (self.bar, self.message, self.use_button, self.loss_plot, self.training_plot)
        layout = column(*parts, parent=self, spacing=6)
        layout.insertLayout(0, row(*self.buttons.values()))
        layout.setStretchFactor(self.loss_plot, 1)
        self.set_running(False)

    def reset(self) -> None:
        """Forget the run before."""
        self._times: list[tuple[float, int]] = []
        self._judged = False  # whether the stopping rule has given a value
        self._stepped = False  # whether a step was seen
        self._ending = False  # whether the run was asked to end

    def set_running(self, running: bool, *, can_run: bool = True) -> None:
        """Enable the buttons that make sense."""
        self.buttons["Run"].setEnabled(not running and can_run)
        for name in ("Pause", "Stop", "Discard"):
            self.buttons[name].setEnabled(running)
        if not running:
            self.set_paused(False)

    def set_paused(self, paused: bool) -> None:
        """Let the button say what a press will do."""
        self.buttons["Pause"].setText("Resume" if paused else "Pause")

    def start(self, has_loss: bool = True) -> None:
        """Show that a run begins; without a loss there is no curve."""
        self.loss_plot.clear(has_loss)
        self.training_plot.clear()
        self.reset()
        self.use_button.hide()
        self.bar.setRange(0, 0)
        self.bar.setFormat("")
        self.message.say("Preparing ...")
        self.set_running(True)

    def show_progress(self, progress: Progress) -> None:
        """Move the bar and the plots."""
        self.loss_plot.show_progress(progress)
        self.training_plot.show_progress(progress)
        if not progress.total:
            return
        self._stepped = True
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.step)
        self.bar.setFormat("%p%" + self._rate(progress))
        judged = any(criterion is not None for _, _, criterion in progress.points)
        self._judged |= self.has_stopping_rule and judged
        if not self._ending:
            self.message.say(f"{position(progress, self._judged)} {progress.note}".strip())

    def show_ending(self, what: str) -> None:
        """Say that Stop or Discard was heard, and when the run will end."""
        self._ending = True
        preparing = "before the first step, when all is prepared"
        when = "after the step at hand" if self._stepped else preparing
        self.message.say(f"{what} {when} ...")
        self.buttons["Pause"].setEnabled(False)
        self.buttons["Stop"].setEnabled(False)
        self.set_paused(False)

    def show_end(self, sentence: str, *, error: bool = False) -> None:
        """Say how the run ended."""
        if self.bar.maximum() == 0:
            self.bar.setRange(0, 1)
            self.bar.reset()
        else:
            self.bar.setFormat("%v of %m steps")
        self.message.say(sentence, error=error)
        self.set_running(False)

    def _rate(self, progress: Progress) -> str:
        """Return steps a second and the time left, or nothing while neither is known."""
        now = time.monotonic()
        self._times = [(t, s) for t, s in self._times if now - t < RATE_WINDOW]
        self._times.append((now, progress.step))
        (t0, s0), (t1, s1) = self._times[0], self._times[-1]
        if t1 - t0 < 0.3 or s1 <= s0:
            return ""
        rate = (s1 - s0) / (t1 - t0)
        left = format_duration((progress.total - progress.step) / rate)
        return f"   {rate:.3g} steps/s   {left} left"


def position(progress: Progress, judged: bool) -> str:
    """Return how far the fit is, and of which step the picture in view is.

    Where a stopping rule judges the steps, that is the best so far and not the newest.
    """
    p = progress
    plane = f"Plane {p.plane + 1} of {p.planes}, step" if p.planes > 1 else "Step"
    what = "best so far" if judged else "in view"
    chosen = f", {what} {p.chosen:,}" if p.chosen else ""
    return f"{plane} {p.step:,} of {p.total:,}{chosen}."
