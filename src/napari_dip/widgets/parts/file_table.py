"""The table of the dock Batch: a row a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_dip.batch.estimate import format_duration
from napari_dip.batch.jobs import Job
from napari_dip.batch.report import BEFORE, FAILED, INTERRUPTED, TO_DO
from napari_dip.widgets.parts.layouts import WARNING, Message

COLUMNS = {
    "File": "The image, without the folder that holds them all; double-click opens it and its "
    "result as layers.",
    "State": "To do, how far, done, done before (by an earlier run), or failed.",
    "Residual": "Mean of what was taken away, in the image's units; near 0 where only noise was.",
    "x": "Correlation of neighbours in what was taken away, in x; near 0 where only independent "
    "noise was.",
    "y": "The same in y.",
    "Time": "Of the work on it.",
    "Remark": "Why it failed, or what was noticed; a click on the row shows all of it above.",
}
FILE, STATE, MEAN, ALONG_X, ALONG_Y, TIME, REMARK = range(len(COLUMNS))
# Pixels: least and largest width of the files' column, least of the states', width of the remark's.
FILE_WIDTH, STATE_WIDTH, REMARK_WIDTH = (80, 110), 52, 200
ROW_HEIGHT, MARGIN = 22, 8
RESIDUAL = (
    (MEAN, "mean", ".2g"),
    (ALONG_X, "autocorrelation_x", ".2f"),
    (ALONG_Y, "autocorrelation_y", ".2f"),
)
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class FileTable(QTableWidget):
    """Shows jobs and what became of them.

    Where a file has no figures, as one that failed, its remark stands in their place, in several
    lines. `job_opened` gives the job of a row that was double-clicked, and why it failed where it
    did; `remark_clicked` gives the remark of a row that was clicked.
    """

    job_opened = Signal(object, str)
    remark_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self.jobs: list[Job] = []
        self._errors: dict[int, str] = {}
        for column, (name, text) in enumerate(COLUMNS.items()):
            item = QTableWidgetItem(name)
            item.setToolTip(text)
            self.setHorizontalHeaderItem(column, item)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumHeight(140)
        self.setToolTip("What became of each file; a double-click opens it and its result.")
        header: Any = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        rows: Any = self.verticalHeader()
        rows.hide()
        rows.setDefaultSectionSize(ROW_HEIGHT)
        # In the middle: of a long path both folder and name are seen.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        for column, width in enumerate((FILE_WIDTH[0], STATE_WIDTH, 54, 42, 42, 38, REMARK_WIDTH)):
            self.setColumnWidth(column, width)
        self.cellClicked.connect(self._on_click)
        self.cellDoubleClicked.connect(self._on_double_click)

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Replace all rows by these jobs."""
        self.jobs, self._errors = list(jobs), {}
        self.clearSpans()
        self.setRowCount(0)
        self.setColumnWidth(REMARK, REMARK_WIDTH)
        self.setRowCount(len(jobs))
        names = relative_names([job.source for job in self.jobs])
        longest = max(map(self._text_width, names), default=0)
        self.setColumnWidth(FILE, min(max(longest, FILE_WIDTH[0]), FILE_WIDTH[1]))
        self.setColumnWidth(STATE, STATE_WIDTH)
        for number, (job, name) in enumerate(zip(self.jobs, names, strict=True)):
            series = "" if job.series is None else f" [{job.series}]"
            self._put(number, FILE, name + series, str(job.source))
            self._put(number, STATE, BEFORE if job.done else TO_DO)

    def show_progress(self, number: int, step: int, total: int) -> None:
        """Show how far the work on a file is."""
        self._put(number, STATE, f"{step / max(total, 1):.0%}")
        self.scrollToItem(self.item(number, FILE))

    def show_record(self, number: int, record: Mapping[str, Any]) -> None:
        """Show what became of a file."""
        status, error = record["status"], record.get("error", "")
        if status == FAILED:
            self._errors[number] = error
        self._put(number, STATE, status, error)
        residual = record.get("residual") or {}
        for column, key, form in RESIDUAL:
            if residual.get(key) is not None:
                self._put(number, column, f"{residual[key]:{form}}", f"{residual[key]:.6g}")
        if "seconds" in record:
            self._put(number, TIME, format_duration(record["seconds"]))
        size = ""
        if "axes" in record:
            size = f"{record['axes']} {tuple(record['shape'])}, {record['bytes']:,} bytes"
        self._put_remark(number, error or record.get("note", "") or size, wrap=not residual)
        if status in (FAILED, INTERRUPTED):
            for column in (FILE, STATE, REMARK):
                cell: Any = self.item(number, column)
                cell.setForeground(QColor(WARNING[Message.light]))

    def _put_remark(self, number: int, text: str, wrap: bool) -> None:
        self._put(number, REMARK, text)
        text = " ".join(text.split())
        if wrap and text:
            self._put(number, MEAN, text)
            cell: Any = self.item(number, MEAN)
            cell.setTextAlignment(LEFT)
            self.setSpan(number, MEAN, 1, REMARK - MEAN)
            width = sum(map(self.columnWidth, range(MEAN, REMARK))) - MARGIN
            flags = Qt.TextFlag.TextWordWrap
            lines = self.fontMetrics().boundingRect(0, 0, width, 0, flags, text)
            self.setRowHeight(number, max(ROW_HEIGHT, lines.height() + MARGIN))
        else:  # in one line, all of it
            self.setColumnWidth(REMARK, max(self.columnWidth(REMARK), self._text_width(text)))

    def _text_width(self, text: str) -> int:
        return self.fontMetrics().horizontalAdvance(text) + 2 * MARGIN

    def _on_click(self, number: int, _: int) -> None:
        item = self.item(number, REMARK)
        if item is not None and item.text():
            self.remark_clicked.emit(item.text())

    def _on_double_click(self, number: int, _: int) -> None:
        self.job_opened.emit(self.jobs[number], self._errors.get(number, ""))

    def _put(self, number: int, column: int, text: str, tip: str = "") -> None:
        item = self.item(number, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(number, column, item)
        item.setText(" ".join(text.split()))
        item.setToolTip(tip or text)
        if column == STATE:
            self.setColumnWidth(STATE, max(self.columnWidth(STATE), self._text_width(text)))
        if column in (MEAN, ALONG_X, ALONG_Y, TIME):
            item.setTextAlignment(RIGHT)


def relative_names(paths: Sequence[Path]) -> list[str]:
    """Return paths below the folder that holds them all, so that equal names differ."""
    try:
        top = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # none, some absolute and some not, or on several drives
        return [str(path) for path in paths]
    return [path.relative_to(top).as_posix() for path in paths]
