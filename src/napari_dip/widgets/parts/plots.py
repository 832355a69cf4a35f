"""The live curve: loss (left axis) and stopping criterion (right axis), with a mark at the chosen step."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari_dip.widgets.runs.progress import Beat, Point

MOST_POINTS = 4000
LOSS, CRITERION = "#4da3ff", "#ffb454"  # both legible on napari's dark and light themes
HEIGHT = 150
FEW = 100  # points, up to which each is marked
WIDE = 20  # largest over smallest value, from which on an axis is logarithmic


class Curve(QWidget):
    """Draws what the beats bring; stays empty and hidden where pyqtgraph is missing.

    Parameters
    ----------
    background, text : str
        Colours of the theme.
    """

    def __init__(
        self, background: str = "#262930", text: str = "#f0f1f2", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setMinimumHeight(HEIGHT)
        self.setMaximumHeight(2 * HEIGHT)
        self._points: list[Point] = []
        self._plane = 0
        self._plot: Any = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        try:
            import pyqtgraph
        except ImportError:
            self.hide()
            return
        self._build(pyqtgraph, background, text)
        layout.addWidget(self._plot)
        self._draw()

    def sizeHint(self) -> QSize:
        """Ask for enough height to read the curve, and for no width."""
        return QSize(0, HEIGHT * 4 // 3)

    @property
    def steps(self) -> list[int]:
        """The steps drawn."""
        return [point[0] for point in self._points]

    @property
    def chosen(self) -> float | None:
        """The step marked, if one is."""
        return (
            float(self._mark.value()) if self._plot is not None and self._mark.isVisible() else None
        )

    def clear(self, shown: bool = True) -> None:
        """Forget the points; not shown where a run has no loss."""
        self._points = []
        self.setVisible(shown and self._plot is not None)
        self._draw()
        if self._plot is not None:
            self._mark.hide()

    def show_beat(self, beat: Beat) -> None:
        """Add a beat's points and move the mark; a new plane starts a new curve."""
        if self._plot is None:
            return
        if beat.plane != self._plane:
            self._plane, self._points = beat.plane, []
            self._mark.hide()
        self._points.extend(beat.points)
        if len(self._points) > MOST_POINTS:
            self._points = self._points[::2]
        self._draw()
        if self._points and beat.chosen >= self._points[0][0]:
            self.mark(beat.chosen)

    def mark(self, step: int) -> None:
        """Put the mark at a step."""
        if self._plot is not None:
            self._mark.setValue(step)
            self._mark.label.setFormat(f"step {step:,}")
            self._mark.show()

    def name_criterion(self, name: str) -> None:
        """Say what the right axis shows, where it is no stopping criterion."""
        if self._plot is not None:
            self._item.getAxis("right").setLabel(name, color=CRITERION)

    def _build(self, pyqtgraph: Any, background: str, text: str) -> None:
        self._plot = pyqtgraph.PlotWidget(background=background)
        # pyqtgraph asks for 640 x 480, which would make the dock half of napari's window.
        self._plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self._item = item = self._plot.getPlotItem()
        item.layout.setContentsMargins(0, 4, 8, 6)  # axis labels hang over the edge
        item.setMouseEnabled(x=False, y=False)
        item.setMenuEnabled(False)
        item.hideButtons()
        item.showAxis("right")
        for side, label, colour in (
            ("bottom", "step", text),
            ("left", "loss", LOSS),
            ("right", "stopping criterion", CRITERION),
        ):
            axis = item.getAxis(side)
            axis.setPen(text)
            axis.setTextPen(colour)
            axis.enableAutoSIPrefix(False)
            axis.setLabel(label, color=colour)
        # A view of its own for the criterion: its size is not that of the loss, which may even be negative.
        self._right = pyqtgraph.ViewBox(enableMouse=False, enableMenu=False)
        item.scene().addItem(self._right)
        item.getAxis("right").linkToView(self._right)
        self._right.setXLink(item)
        item.getViewBox().sigResized.connect(self._on_resized)
        self._loss = item.plot(pen=pyqtgraph.mkPen(LOSS + "38", width=1))  # of one batch: it jumps
        self._mean = item.plot(pen=pyqtgraph.mkPen(LOSS, width=1.5))
        self._criterion = pyqtgraph.PlotDataItem(
            pen=pyqtgraph.mkPen(CRITERION, width=1.5),
            symbolSize=4,
            symbolBrush=CRITERION,
            symbolPen=None,
        )
        self._right.addItem(self._criterion)
        pen = pyqtgraph.mkPen(text, style=pyqtgraph.QtCore.Qt.PenStyle.DashLine)
        options = {
            "position": 0.92,
            "color": text,
            "fill": background,
            "movable": False,
            "anchors": [(1, 0), (1, 0)],
        }
        self._mark = pyqtgraph.InfiniteLine(angle=90, pen=pen, label="", labelOpts=options)
        self._mark.hide()
        item.addItem(self._mark, ignoreBounds=True)

    def _on_resized(self) -> None:
        self._right.setGeometry(self._item.getViewBox().sceneBoundingRect())

    def _draw(self) -> None:
        if self._plot is None:
            return
        self._item.getAxis("bottom").setStyle(showValues=bool(self._points))
        for line, side, column in ((self._loss, "left", 1), (self._criterion, "right", 2)):
            good = [
                (p[0], y) for p in self._points if (y := p[column]) is not None and math.isfinite(y)
            ]
            log = _wide([y for _, y in good])
            self._item.getAxis(side).setLogMode(x=False, y=log)
            self._item.getAxis(side).setStyle(showValues=len(good) > 1)
            line.setLogMode(False, log)
            line.setData([x for x, _ in good], [y for _, y in good])
            if line is self._criterion:
                self._item.showAxis(
                    side, bool(good)
                )  # most restorations have no rule, hence nothing to show
                line.setSymbol("o" if len(good) < FEW else None)
            else:
                self._mean.setLogMode(False, log)
                self._mean.setData(*_smoothed(good))


def _wide(values: list[float]) -> bool:
    """Whether a log axis helps: it cannot show a negative likelihood, and has hardly a tick on a short range."""
    return bool(values) and min(values) > 0 and max(values) > WIDE * min(values)


def _smoothed(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    """Average the loss over a twentieth of the curve."""
    window = len(points) // 20
    if window < 2:
        return [x for x, _ in points], [y for _, y in points]
    sums = list(accumulate((y for _, y in points), initial=0.0))
    means = [(b - a) / window for a, b in zip(sums, sums[window:], strict=False)]
    return [x for x, _ in points[window // 2 :]][: len(means)], means
