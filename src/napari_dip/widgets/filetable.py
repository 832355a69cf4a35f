"""The table of the dock Batch: a row a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_dip.batch.records import BEFORE, FAILED, INTERRUPTED, TO_DO
from napari_dip.widgets.panel import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_dip.batch.plan import Job

COLUMNS = {
    "File": "The image; double-click opens it and its result as layers.",
    "State": "To do, how far, done, done before (by an earlier run), or failed.",
    "Residual": "Mean of what was taken away, in the image's units; near 0 where only noise was.",
    "x": "Correlation of neighbours in what was taken away, in x; near 0 where only independent noise was.",
    "y": "The same in y.",
    "Time": "Of the work on it.",
    "Remark": "Why it failed, or what was noticed; all of it is said above where the row is clicked.",
}
FILE, STATE, MEAN, ALONG_X, ALONG_Y, TIME, REMARK = range(len(COLUMNS))
ROW, WIDE, MARGIN = 22, 200, 8  # pixels: height of a row, width of the remark's column, left around a text
HINTS = ((MEAN, "mean", ".2g"), (ALONG_X, "autocorrelation_x", ".2f"), (ALONG_Y, "autocorrelation_y", ".2f"))


class FileTable(QTableWidget):
    """Shows jobs and what became of them.

    Where a file has no figures, as one that failed, its remark stands in their place, in view and in several lines.
    `opened` gives the job of a row that was double-clicked, `told` the remark of one that was clicked.
    """

    opened = Signal(object)
    told = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.jobs: list[Job] = []
        for column, (name, text) in enumerate(COLUMNS.items()):
            item = QTableWidgetItem(name)
            item.setToolTip(text)
            self.setHorizontalHeaderItem(column, item)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumHeight(140)
        header: Any = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        rows: Any = self.verticalHeader()
        rows.hide()
        rows.setDefaultSectionSize(ROW)
        for column, width in enumerate((80, 52, 54, 42, 42, 38, WIDE)):
            self.setColumnWidth(column, width)
        self.cellClicked.connect(self._tell)
        self.cellDoubleClicked.connect(lambda row, _: self.opened.emit(self.jobs[row]))

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Begin anew with these jobs."""
        self.jobs = list(jobs)
        self.clearSpans()
        self.setRowCount(0)
        self.setColumnWidth(REMARK, WIDE)
        self.setRowCount(len(jobs))
        for row, job in enumerate(self.jobs):
            self._put(row, FILE, job.source.name, str(job.source))
            self._put(row, STATE, BEFORE if job.done else TO_DO)

    def show_progress(self, row: int, step: int, total: int) -> None:
        """Say how far the work on a file is."""
        self._put(row, STATE, f"{step / max(total, 1):.0%}")
        self.scrollToItem(self.item(row, FILE))

    def show_record(self, row: int, record: dict[str, Any]) -> None:
        """Say what became of a file."""
        status = record["status"]
        error = record.get("error", "")
        self._put(row, STATE, status, error)
        residual = record.get("residual") or {}
        for column, key, form in HINTS:
            if residual.get(key) is not None:
                self._put(row, column, f"{residual[key]:{form}}", f"{residual[key]:.6g}")
        if "seconds" in record:
            self._put(row, TIME, clock(round(record["seconds"])))
        size = f"{record['axes']} {tuple(record['shape'])}, {record['bytes']:,} bytes" if "axes" in record else ""
        self._remark(row, error or record.get("note", "") or size, in_view=not residual)
        if status in (FAILED, INTERRUPTED):
            for column in (FILE, STATE, REMARK):
                cell: Any = self.item(row, column)
                cell.setForeground(Qt.GlobalColor.yellow)

    def _remark(self, row: int, text: str, in_view: bool) -> None:
        self._put(row, REMARK, text)
        metrics, text = self.fontMetrics(), " ".join(text.split())
        if in_view and text:
            self._put(row, MEAN, text)
            cell: Any = self.item(row, MEAN)
            cell.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            self.setSpan(row, MEAN, 1, REMARK - MEAN)
            width = sum(map(self.columnWidth, range(MEAN, REMARK))) - MARGIN
            lines = metrics.boundingRect(0, 0, width, 0, Qt.TextFlag.TextWordWrap, text)
            self.setRowHeight(row, max(ROW, lines.height() + MARGIN))
        else:  # in one line, all of it
            self.setColumnWidth(REMARK, max(self.columnWidth(REMARK), metrics.horizontalAdvance(text) + 2 * MARGIN))

    def _tell(self, row: int, _: int) -> None:
        item = self.item(row, REMARK)
        if item is not None and item.text():
            self.told.emit(item.text())

    def _put(self, row: int, column: int, text: str, tip: str = "") -> None:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        item.setText(" ".join(text.split()))
        item.setToolTip(tip or text)
        if column in (MEAN, ALONG_X, ALONG_Y, TIME):
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
