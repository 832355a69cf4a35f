"""Buttons and progress of a run, a message, and the curve, folded to one line."""

from __future__ import annotations

import time

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QWidget

from napari_dip.widgets.parts.layouts import Message, button, column, fold, row
from napari_dip.widgets.parts.plots import LossPlot, TrainingPlot
from napari_dip.widgets.runs.progress import Progress

RATE_WINDOW = 30.0  # seconds over which the rate is averaged
BELIEVED = 0.1  # how much of a new time left goes into the one shown, ten times a second
IMPROVES = 0.15  # of the steps without a better one, from which the curve is said to stand
HELP = {
    "Run": "Begin, and watch the noise go (Ctrl+Alt+D).",
    "Pause": "Hold it; the layer stays as it is.",
    "Stop": "End now and keep the answer so far (Ctrl+Alt+S).",
    "Discard": "End now and take the layer away.",
}


class RunPanel(QWidget):
    """The buttons that start and end a run, and its bar; `message` and `curve` stand below it."""

    def __init__(self, background: str, text: str) -> None:
        super().__init__()
        self.buttons = {name: button(name, tip) for name, tip in HELP.items()}
        self.bar, self.message = QProgressBar(), Message()
        self.bar.setFormat("")
        self.bar.setRange(0, 1)
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar.setToolTip("How much is done, and about how long it still takes at most.")
        self.loss_plot = LossPlot(background, text)
        self.training_plot = TrainingPlot(background, text)
        self.curve = fold("Curve", self.loss_plot, self.training_plot)
        self.curve.setToolTip("How the work goes: open it to see the curve.")
        self.has_stopping_rule = True  # whether the criterion chooses among the steps
        self.reset()
        self._layout = column(self.bar, parent=self, spacing=4)
        self._layout.insertLayout(0, row(*self.buttons.values()))
        self.set_running(False)

    def add_buttons(self, *buttons: QWidget) -> None:
        """Add a row of further buttons."""
        self._layout.insertLayout(1, row(*buttons))

    def reset(self) -> None:
        """Forget the run before."""
        self._times: list[tuple[float, int]] = []
        self._left = self._left_at = 0.0  # seconds, and when that was
        self._judged = False  # whether the stopping rule has given a value
        self._stepped = False  # whether a step was seen
        self._ending = False  # whether the run was asked to end
        self.curve.setText("Curve")

    def paint(self, background: str, text: str) -> None:
        """Take the colours of a theme."""
        self.loss_plot.paint(background, text)
        self.training_plot.paint(background, text)

    def set_running(self, running: bool, *, can_run: bool = True) -> None:
        """Enable the buttons that make sense."""
        self.buttons["Run"].setEnabled(not running and can_run)
        for name in ("Pause", "Stop", "Discard"):
            self.buttons[name].setEnabled(running)
        if not running:
            self.set_paused(False)

    def set_paused(self, paused: bool) -> None:
        """Let the button say what a press will do."""
        self.buttons["Pause"].setText("Go on" if paused else "Pause")
        self._times = []  # the pause is no time of work
        if paused:
            self.message.say("Paused.")

    def start(self, has_loss: bool = True, *, goes_on: bool = False) -> None:
        """Show that a run begins; without a loss there is no curve, or the one before goes on."""
        if not goes_on:
            self.loss_plot.clear(has_loss)
            self.training_plot.clear()
        self.curve.setVisible(has_loss)
        self.reset()
        self.bar.setRange(0, 0)
        self.bar.setFormat("")
        self.message.say("Preparing: measuring the noise ...")
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
        self.bar.setFormat("%p%" + self._time_left(progress))
        judged = any(criterion is not None for _, _, criterion in progress.points)
        self._judged |= self.has_stopping_rule and judged
        self.curve.setText(f"Curve: {self._trend(progress)}")
        if not self._ending:
            self.message.say(f"{position(progress, self._judged)} {progress.note}".strip())

    def show_ending(self, what: str) -> None:
        """Say that Stop or Discard was heard, and when the run will end."""
        self._ending = True
        preparing = "before the first step, when all is prepared"
        when = "after the step at hand" if self._stepped else preparing
        self.set_paused(False)
        self.message.say(f"{what} {when} ...")
        self.buttons["Pause"].setEnabled(False)
        self.buttons["Stop"].setEnabled(False)

    def show_end(self, sentence: str, last: Progress | None = None, *, error: bool = False) -> None:
        """Say how the run ended; `last` is its last report."""
        if self.bar.maximum() == 0:
            self.bar.setRange(0, 1)
            self.bar.reset()
        else:
            self.bar.setFormat("%v of %m steps")
        if last is not None and self._judged and 0 < last.chosen < last.step:
            self.curve.setText(f"Curve: learning noise: stopped at step {last.chosen:,}")
        elif last is not None:
            self.curve.setText("Curve: improved to the end")
        self.message.say(sentence, error=error)
        self.set_running(False)

    def _trend(self, progress: Progress) -> str:
        """Return in words how the curve goes."""
        if not self._judged or not progress.chosen:
            return "learning"
        whole = progress.total / max(progress.planes, 1)
        stands = progress.step - progress.chosen > IMPROVES * whole
        return f"no better since step {progress.chosen:,}" if stands else "still improving"

    def _time_left(self, progress: Progress) -> str:
        """Return the time left in words, or nothing while it is not known.

        What is shown runs down by the clock, and follows what is measured slowly.
        """
        now = time.monotonic()
        self._times = [(t, s) for t, s in self._times if now - t < RATE_WINDOW]
        self._times.append((now, progress.step))
        (t0, s0), (t1, s1) = self._times[0], self._times[-1]
        if t1 - t0 < 1 or s1 <= s0:
            return ""
        measured = (progress.total - progress.step) * (t1 - t0) / (s1 - s0)
        shown = self._left - (now - self._left_at) if self._left else measured
        self._left, self._left_at = max(shown + BELIEVED * (measured - shown), 0.1), now
        return f"   {in_words(self._left)} left"


def in_words(seconds: float) -> str:
    """Return a duration as one says it: ``about 40 seconds``, ``about 3 minutes``."""
    if seconds < 8:
        return "a few seconds"
    if seconds < 90:
        rounded = 5 if seconds < 30 else 10
        return f"about {rounded * round(seconds / rounded)} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    hours = seconds / 3600
    return f"about {hours:.1f} hours" if hours < 10 else f"about {hours:.0f} hours"


def position(progress: Progress, judged: bool) -> str:
    """Return how far the fit is, and of which step the picture in view is.

    Where a stopping rule judges the steps, that is the best so far and not the newest.
    """
    p = progress
    plane = f"Plane {p.plane + 1} of {p.planes}, step" if p.planes > 1 else "Step"
    what = "best so far" if judged else "in view"
    chosen = f", {what} {p.chosen:,}" if p.chosen else ""
    return f"{plane} {p.step:,} of {p.total:,}{chosen}."
