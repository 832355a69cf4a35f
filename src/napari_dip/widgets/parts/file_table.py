"""The table of the dock Batch: a row a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_dip.batch.report import BEFORE, FAILED, INTERRUPTED, TO_DO
from napari_dip.widgets.parts.run_panel import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_dip.batch.jobs import Job

COLUMNS = {
    "File": "The image, without the folder that holds them all; double-click opens it and its result as layers.",
    "State": "To do, how far, done, done before (by an earlier run), or failed.",
    "Residual": "Mean of what was taken away, in the image's units; near 0 where only noise was.",
    "x": "Correlation of neighbours in what was taken away, in x; near 0 where only independent noise was.",
    "y": "The same in y.",
    "Time": "Of the work on it.",
    "Remark": "Why it failed, or what was noticed; all of it is said above where the row is clicked.",
}
FILE, STATE, MEAN, ALONG_X, ALONG_Y, TIME, REMARK = range(len(COLUMNS))
ROW, WIDE, MARGIN = (
    22,
    200,
    8,
)  # pixels: height of a row, width of the remark's column, left around a text
NAMES, STATES = (
    (80, 110),
    52,
)  # pixels: least and largest width of the files' column, least width of the states'
HINTS = (
    (MEAN, "mean", ".2g"),
    (ALONG_X, "autocorrelation_x", ".2f"),
    (ALONG_Y, "autocorrelation_y", ".2f"),
)


class FileTable(QTableWidget):
    """Shows jobs and what became of them.

    Where a file has no figures, as one that failed, its remark stands in their place, in view and in several lines.
    `opened` gives the job of a row that was double-clicked, and why it failed where it did; `told` gives the remark of
    a row that was clicked.
    """

    opened = Signal(object, str)
    told = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.jobs: list[Job] = []
        self._failed: dict[int, str] = {}
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
        self.setTextElideMode(
            Qt.TextElideMode.ElideMiddle
        )  # of a long path both folder and name are seen
        for column, width in enumerate((NAMES[0], STATES, 54, 42, 42, 38, WIDE)):
            self.setColumnWidth(column, width)
        self.cellClicked.connect(self._tell)
        self.cellDoubleClicked.connect(
            lambda row, _: self.opened.emit(self.jobs[row], self._failed.get(row, ""))
        )

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Begin anew with these jobs."""
        self.jobs, self._failed = list(jobs), {}
        self.clearSpans()
        self.setRowCount(0)
        self.setColumnWidth(REMARK, WIDE)
        self.setRowCount(len(jobs))
        names = names_of([job.source for job in self.jobs])
        least, largest = NAMES
        longest = max(map(self._room, names), default=0)
        self.setColumnWidth(FILE, min(max(longest, least), largest))
        self.setColumnWidth(STATE, STATES)
        for row, (job, name) in enumerate(zip(self.jobs, names, strict=True)):
            self._put(row, FILE, name, str(job.source))
            self._put(row, STATE, BEFORE if job.done else TO_DO)

    def show_progress(self, row: int, step: int, total: int) -> None:
        """Say how far the work on a file is."""
        self._put(row, STATE, f"{step / max(total, 1):.0%}")
        self.scrollToItem(self.item(row, FILE))

    def show_record(self, row: int, record: dict[str, Any]) -> None:
        """Say what became of a file."""
        status = record["status"]
        error = record.get("error", "")
        if status == FAILED:
            self._failed[row] = error
        self._put(row, STATE, status, error)
        residual = record.get("residual") or {}
        for column, key, form in HINTS:
            if residual.get(key) is not None:
                self._put(row, column, f"{residual[key]:{form}}", f"{residual[key]:.6g}")
        if "seconds" in record:
            self._put(row, TIME, clock(round(record["seconds"])))
        size = (
            f"{record['axes']} {tuple(record['shape'])}, {record['bytes']:,} bytes"
            if "axes" in record
            else ""
        )
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
            self.setColumnWidth(REMARK, max(self.columnWidth(REMARK), self._room(text)))

    def _room(self, text: str) -> int:
        return self.fontMetrics().horizontalAdvance(text) + 2 * MARGIN

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
        if column == STATE:
            self.setColumnWidth(STATE, max(self.columnWidth(STATE), self._room(text)))
        if column in (MEAN, ALONG_X, ALONG_Y, TIME):
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Name files without the folder that holds them all; those of one name in several folders differ."""
    try:
        top = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # none, some absolute and some not, or on several drives
        return [str(path) for path in paths]
    return [path.relative_to(top).as_posix() for path in paths]
