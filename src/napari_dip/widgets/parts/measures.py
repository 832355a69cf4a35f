"""The curve of what a training is watched by: the share of noise let through, and the learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari_dip.widgets.runs.progress import Beat

HEIGHT = 96
MOST_POINTS = 4000
ALARM = 0.5  # share of noise let through, above which a training is collapsing
LINES = {
    "passed": ("noise let through", "#ff6b6b"),
    "learning_rate": ("learning rate, of its largest", "#9be564"),
}


class Measures(QWidget):
    """Draws what the beats of a training bring beside loss and validation; hidden until one does.

    Both lines lie between 0 and 1: the learning rate is drawn as a share of its largest value so far.
    """

    def __init__(self, background: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.points: dict[str, list[tuple[int, float]]] = {name: [] for name in LINES}
        self._plot: Any = None
        self._lines: dict[str, Any] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setMaximumHeight(2 * HEIGHT)
        self.hide()
        try:
            import pyqtgraph
        except ImportError:
            return
        self._plot = pyqtgraph.PlotWidget(background=background)
        self._plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        item = self._plot.getPlotItem()
        item.setMouseEnabled(x=False, y=False)
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setYRange(0, 1)
        titles = (
            f'<span style="color: {colour}">{title}</span>' for title, colour in LINES.values()
        )
        item.setTitle("; ".join(titles), size="8pt")  # a legend would stand on the lines
        item.getAxis("left").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        for side in ("bottom", "left"):
            item.getAxis(side).setPen(text)
            item.getAxis(side).setTextPen(text)
        for name, (_, colour) in LINES.items():
            self._lines[name] = item.plot(pen=pyqtgraph.mkPen(colour, width=1.5))
        pen = pyqtgraph.mkPen(LINES["passed"][1], style=pyqtgraph.QtCore.Qt.PenStyle.DotLine)
        item.addItem(pyqtgraph.InfiniteLine(pos=ALARM, angle=0, pen=pen), ignoreBounds=True)
        layout.addWidget(self._plot)

    def sizeHint(self) -> QSize:
        """Ask for little height and for no width."""
        return QSize(0, HEIGHT)

    def clear(self) -> None:
        """Forget the points."""
        self.points = {name: [] for name in LINES}
        for line in self._lines.values():
            line.setData([], [])
        self.hide()

    def show_beat(self, beat: Beat) -> None:
        """Add what a beat measured."""
        new = {
            name: beat.measures[name]
            for name in LINES
            if math.isfinite(beat.measures.get(name, math.nan))
        }
        if self._plot is None or not new:
            return
        self.show()
        for name, value in new.items():
            points = self.points[name] = [*self.points[name], (beat.step, value)]
            if len(points) > MOST_POINTS:
                points = self.points[name] = points[::2]
            largest = max(y for _, y in points) if name == "learning_rate" else 1.0
            self._lines[name].setData(
                [x for x, _ in points], [y / (largest or 1.0) for _, y in points]
            )
