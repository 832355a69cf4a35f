"""The live plots of a run: loss and stopping criterion, and what a training is watched by.

They stay hidden where pyqtgraph is missing.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any, ClassVar

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_dip.widgets.parts.layouts import column, is_dark
from napari_dip.widgets.runs.progress import Point, Progress

try:
    import pyqtgraph
except ImportError:
    pyqtgraph = None

Points = list[tuple[int, float]]  # (step, value)

MAX_POINTS = 4000
# On a dark and on a light theme: each is legible there.
LOSS, CRITERION = ("#63b0ff", "#0a4f9c"), ("#ffb454", "#7d3f00")
LOG_RANGE = 20  # largest over smallest value, from which on an axis is logarithmic
SYMBOLS_UP_TO = 100  # points that are each marked
COLLAPSE = 0.5  # share of noise let through, above which a training is collapsing
MEASURES = {
    "passed": ("noise let through", ("#ff8585", "#a31515")),
    "learning_rate": ("learning rate, of its largest", ("#9be564", "#2a5d00")),
}


class Plot(QWidget):
    """A plot in the theme's colours, which `paint` sets."""

    heights: ClassVar = (0, 96, 192)  # least, wanted, largest

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(self.heights[0])
        self.setMaximumHeight(self.heights[2])
        self._item: Any = None  # the plot, where there is a pyqtgraph
        if pyqtgraph is None:
            self.hide()
            return
        self._view = plot = pyqtgraph.PlotWidget()
        # pyqtgraph asks for 640 x 480, which would make the dock half of napari's window.
        plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        column(plot, parent=self)
        self._item = plot.getPlotItem()
        self._item.setMouseEnabled(x=False, y=False)
        self._item.setMenuEnabled(False)
        self._item.hideButtons()

    def paint(self, background: str, text: str) -> None:
        """Take the colours of a theme, as hex."""
        if self._item is None:
            return
        self._view.setBackground(background)
        for side in ("bottom", "left", "right"):
            self._item.getAxis(side).setPen(text)
            self._item.getAxis(side).setTextPen(text)

    def sizeHint(self) -> QSize:
        """Ask for enough height to read the plot, and for no width."""
        return QSize(0, self.heights[1])


class LossPlot(Plot):
    """Loss (left axis) and stopping criterion (right axis), with a mark at the chosen step.

    `stages` are the first steps of what a training does one after the other, by their names. Each
    has a loss of its own, so that of the stage at work is drawn.
    """

    heights = (150, 200, 300)

    def __init__(self, background: str = "#262930", text: str = "#f0f1f2") -> None:
        super().__init__()
        self.points: list[Point] = []
        self.stages: dict[int, str] = {}
        self._plane, self._criterion_name = 0, "stopping criterion"
        self.chosen: int | None = None  # the step marked
        self._stage_marks: list[Any] = []
        if self._item is not None:
            self._add_axes()
            self._add_lines()
            self.paint(background, text)
            self._draw()

    def clear(self, visible: bool = True) -> None:
        """Forget the points; not visible where a run has no loss."""
        self.points, self.chosen = [], None
        self.setVisible(visible and self._item is not None)
        self._draw()

    def paint(self, background: str, text: str) -> None:
        """Take the colours of a theme."""
        super().paint(background, text)
        if self._item is None:
            return
        pen, light = pyqtgraph.mkPen, not is_dark(background)
        loss, criterion = LOSS[light], CRITERION[light]
        names = {"left": ("loss", loss), "right": (self._criterion_name, criterion)}
        for side, (label, colour) in names.items():
            self._item.getAxis(side).setTextPen(colour)
            self._item.getAxis(side).setLabel(label, color=colour)
        self._loss.setPen(pen(loss + "48", width=1))  # of one batch: it jumps
        self._mean.setPen(pen(loss, width=1.5))
        self._criterion.setPen(pen(criterion, width=1.5))
        self._criterion.setSymbolBrush(criterion)
        self._mark.setPen(pen(text, style=Qt.PenStyle.DashLine))
        self._mark.label.setColor(text)
        self._mark.label.fill = pyqtgraph.mkBrush(background)
        self._text = text

    def show_progress(self, progress: Progress) -> None:
        """Add a report's points and move the mark; a new plane starts a new curve."""
        if progress.plane != self._plane:
            self._plane, self.points, self.chosen = progress.plane, [], None
        self.points.extend(progress.points)
        if len(self.points) > MAX_POINTS:
            self.points = self.points[::2]
        if self.points and progress.chosen >= self.points[0][0]:
            self.chosen = progress.chosen
        self._draw()

    def mark(self, step: int) -> None:
        """Put the mark at a step."""
        self.chosen = step
        self._draw()

    def name_criterion(self, name: str) -> None:
        """Set the label of the right axis, where it is no stopping criterion."""
        self._criterion_name = name
        if self._item is not None:
            self._item.getAxis("right").setLabel(name)

    def _add_axes(self) -> None:
        item = self._item
        item.layout.setContentsMargins(0, 4, 8, 6)  # axis labels hang over the edge
        item.showAxis("right")
        item.getAxis("bottom").setLabel("step")
        for side in ("bottom", "left", "right"):
            item.getAxis(side).enableAutoSIPrefix(False)
        # A view of its own for the criterion: the loss has another size, and may even be negative.
        self._right = pyqtgraph.ViewBox(enableMouse=False, enableMenu=False)
        item.scene().addItem(self._right)
        item.getAxis("right").linkToView(self._right)
        self._right.setXLink(item)
        item.getViewBox().sigResized.connect(self._on_resized)

    def _add_lines(self) -> None:
        item = self._item
        self._loss, self._mean = item.plot(), item.plot()
        self._criterion = pyqtgraph.PlotDataItem(symbolSize=4, symbolPen=None)
        self._right.addItem(self._criterion)
        self._mark = self._vertical(0.92)
        item.addItem(self._mark, ignoreBounds=True)

    def _vertical(self, position: float) -> Any:
        options = {"position": position, "movable": False, "anchors": [(1, 0), (1, 0)]}
        return pyqtgraph.InfiniteLine(angle=90, label="", labelOpts=options)

    def _on_resized(self) -> None:
        self._right.setGeometry(self._item.getViewBox().sceneBoundingRect())

    def _draw(self) -> None:
        if self._item is None:
            return
        self._item.getAxis("bottom").setStyle(showValues=bool(self.points))
        loss, criterion = (_finite(self.points, which) for which in (1, 2))
        loss = self._of_stage(loss)
        self._draw_lines("left", loss, (self._loss, loss), (self._mean, _smooth(loss)))
        self._draw_lines("right", criterion, (self._criterion, criterion))
        self._criterion.setSymbol("o" if len(criterion) < SYMBOLS_UP_TO else None)
        self._item.showAxis("right", bool(criterion))  # most restorations have no stopping rule
        self._mark.setVisible(self.chosen is not None)
        if self.chosen is not None:
            self._mark.setValue(self.chosen)
            self._mark.label.setFormat(f"step {self.chosen:,}")

    def _of_stage(self, loss: Points) -> Points:
        """Mark the stages that were reached, and return the loss of the one at work."""
        for mark in self._stage_marks:
            self._item.removeItem(mark)
        newest = loss[-1][0] if loss else 0
        begun = {step: name for step, name in self.stages.items() if step <= newest}
        self._stage_marks = [self._vertical(0.8) for _ in begun]
        for mark, (step, name) in zip(self._stage_marks, begun.items(), strict=True):
            mark.setPen(pyqtgraph.mkPen(self._text, style=Qt.PenStyle.DotLine))
            mark.label.setColor(self._text)
            mark.label.setFormat(name)
            mark.setValue(step)
            self._item.addItem(mark, ignoreBounds=True)
        return [point for point in loss if point[0] >= max(begun, default=0)]

    def _draw_lines(self, side: str, points: Points, *lines: tuple[Any, Points]) -> None:
        log = _needs_log([value for _, value in points])
        self._item.getAxis(side).setLogMode(x=False, y=log)
        self._item.getAxis(side).setStyle(showValues=len(points) > 1)
        for line, values in lines:
            line.setLogMode(False, log)
            line.setData(*_columns(values))


class TrainingPlot(Plot):
    """The share of noise let through and the learning rate of a training; hidden until it has any.

    Both lines lie between 0 and 1: the learning rate is drawn as a share of its largest value.
    """

    def __init__(self, background: str, text: str) -> None:
        super().__init__()
        self.points: dict[str, Points] = {name: [] for name in MEASURES}
        self._lines: dict[str, Any] = {}
        self.hide()
        if self._item is None:
            return
        self._item.setYRange(0, 1)
        self._item.getAxis("left").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        self._lines = {name: self._item.plot() for name in MEASURES}
        self._collapse = pyqtgraph.InfiniteLine(pos=COLLAPSE, angle=0)
        self._item.addItem(self._collapse, ignoreBounds=True)
        self.paint(background, text)

    def paint(self, background: str, text: str) -> None:
        """Take the colours of a theme."""
        super().paint(background, text)
        if self._item is None:
            return
        tints = {name: of[not is_dark(background)] for name, (_, of) in MEASURES.items()}
        titles = (f'<span style="color: {tints[n]}">{of}</span>' for n, (of, _) in MEASURES.items())
        self._item.setTitle("; ".join(titles), size="8pt")  # a legend would stand on the lines
        for name, line in self._lines.items():
            line.setPen(pyqtgraph.mkPen(tints[name], width=1.5))
        self._collapse.setPen(pyqtgraph.mkPen(tints["passed"], style=Qt.PenStyle.DotLine))

    def clear(self) -> None:
        """Forget the points."""
        self.points = {name: [] for name in MEASURES}
        for line in self._lines.values():
            line.setData([], [])
        self.hide()

    def show_progress(self, progress: Progress) -> None:
        """Add what a report measured."""
        for name, line in self._lines.items():
            value = progress.measures.get(name, math.nan)
            if not math.isfinite(value):
                continue
            self.show()
            points = [*self.points[name], (progress.step, value)]
            points = self.points[name] = points[::2] if len(points) > MAX_POINTS else points
            steps, values = _columns(points)
            largest = max(values) if name == "learning_rate" else 1.0
            line.setData(steps, [value / (largest or 1.0) for value in values])


def _needs_log(values: list[float]) -> bool:
    """Return whether a log axis helps: not for negative values, and not for a short range."""
    return bool(values) and min(values) > 0 and max(values) > LOG_RANGE * min(values)


def _finite(points: list[Point], which: int) -> Points:
    """Return (step, value) of one column, without what is missing or not finite."""
    values = ((point[0], point[which]) for point in points)
    return [(step, y) for step, y in values if y is not None and math.isfinite(y)]


def _columns(points: Points) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _smooth(points: Points) -> Points:
    """Average the loss over a twentieth of the curve."""
    window = len(points) // 20
    if window < 2:
        return points
    sums = list(accumulate((value for _, value in points), initial=0.0))
    means = [(b - a) / window for a, b in zip(sums, sums[window:], strict=False)]
    steps = [step for step, _ in points[window // 2 :]]
    return list(zip(steps, means, strict=False))
