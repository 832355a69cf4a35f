"""The live curve: loss and stopping criterion on a log axis, with a mark at the chosen step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari_dip.widgets.stream import Beat, Point

MOST_POINTS = 4000
LOSS, CRITERION = "#4da3ff", "#ffb454"  # both legible on napari's dark and light themes
HEIGHT = 150


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
        return float(self._mark.value()) if self._plot is not None and self._mark.isVisible() else None

    def clear(self) -> None:
        """Forget the points."""
        self._points = []
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
        if beat.planes > 1:
            self._plot.setTitle(f"plane {beat.plane + 1} of {beat.planes}", size="8pt")
        self._points.extend(beat.points)
        if len(self._points) > MOST_POINTS:
            self._points = self._points[::2]
        self._draw()
        if self._points and beat.chosen >= self._points[0][0]:
            self._mark.setValue(beat.chosen)
            self._mark.label.setFormat(f"step {beat.chosen:,}")
            self._mark.show()

    def _build(self, pyqtgraph: Any, background: str, text: str) -> None:
        plot = pyqtgraph.PlotWidget(background=background)
        plot.setLogMode(x=False, y=True)
        plot.setMouseEnabled(x=False, y=False)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.showGrid(x=False, y=True, alpha=0.15)
        for side, label in (("bottom", "step"), ("left", "loss")):
            axis = plot.getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)
            axis.enableAutoSIPrefix(False)
            axis.setLabel(label)
        plot.getAxis("left").setWidth(52)
        plot.getPlotItem().layout.setContentsMargins(0, 0, 4, 6)  # its axis label hangs over the edge
        # pyqtgraph asks for 640 x 480, which would make the dock half of napari's window.
        plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        legend = plot.addLegend(offset=(-4, 4), labelTextColor=text, labelTextSize="8pt", verSpacing=-4)
        legend.setBrush(pyqtgraph.mkBrush(background))
        self._loss = plot.plot(pen=pyqtgraph.mkPen(LOSS, width=1.5), name="loss")
        self._criterion = plot.plot(pen=pyqtgraph.mkPen(CRITERION, width=1.5), name="stopping criterion")
        pen = pyqtgraph.mkPen(text, style=pyqtgraph.QtCore.Qt.PenStyle.DashLine)
        options = {
            "position": 0.08,
            "color": text,
            "fill": background,
            "movable": False,
            "anchors": [(1, 1), (1, 1)],
        }
        self._mark = pyqtgraph.InfiniteLine(angle=90, pen=pen, label="", labelOpts=options)
        self._mark.hide()
        plot.addItem(self._mark, ignoreBounds=True)
        self._plot = plot

    def _draw(self) -> None:
        if self._plot is None:
            return
        for line, column in ((self._loss, 1), (self._criterion, 2)):
            good = [(p[0], p[column]) for p in self._points if _drawable(p[column])]
            line.setData([x for x, _ in good], [y for _, y in good])


def _drawable(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0
