"""Many files: which are done already, what a run would do, the report of what became of each."""

from __future__ import annotations

import csv
import os
import time
from io import StringIO
from math import prod
from typing import TYPE_CHECKING, Any

from napari_dip.batch.contact_sheet import SHEET, ContactSheet
from napari_dip.batch.jobs import BEGUN_BEFORE, DONE_BEFORE
from napari_dip.files.atomic import write_bytes
from napari_dip.files.lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task

REPORT = "napari-dip-report.csv"
HINTS = {
    "residual_mean": "mean",
    "correlation_x": "autocorrelation_x",
    "correlation_y": "autocorrelation_y",
}
COLUMNS = ("input", "series", "output", "status", "seconds", *HINTS, "verdict", "note", "error")
FORMULAS = tuple("=+-@\t\r")  # what a cell that is computed begins with
NO_FAULT = "no fault found"
REPORT_EVERY = 5.0  # seconds between two reports
# States of a file.
DONE, BEFORE, FAILED = "done", "done before", "failed"
INTERRUPTED, TO_DO = "interrupted", "to do"


def earlier_state(expected: dict[str, object]) -> Callable[[Job], str]:
    """Return a function that returns how far an earlier run came with a job.

    It returns `DONE_BEFORE`, `BEGUN_BEFORE`, or nothing. The outputs themselves are the witnesses:
    each holds the hash of what it was made from, and every setting. So nothing is kept beside the
    files, and any number of machines can share a folder.

    Parameters
    ----------
    expected : dict
        What the provenance of an output must hold: such as its ``settings``.
    """

    def state(job: Job) -> str:
        from napari_dip.files.checksum import sha256_of_image
        from napari_dip.files.read_write import read_provenance

        existing = [file for file in job.outputs if file.exists()]
        try:
            records = [read_provenance(file) for file in existing]
            if not records or any(
                record.get(key) != value for record in records for key, value in expected.items()
            ):
                return ""
            sources = [record.get("source") for record in records]
            made_from = {
                (str(source["sha256"]), str(source.get("series", 0)))
                if isinstance(source, dict)
                else ""
                for source in sources
            }
            if made_from != {(sha256_of_image(job.source), str(job.series or 0))}:
                return ""
        except (OSError, ValueError, KeyError):
            return ""
        complete = len(existing) == len(job.outputs)
        interrupted = any("interrupted" in record for record in records)
        return DONE_BEFORE if complete and not interrupted else BEGUN_BEFORE

    return state


def dry_run(jobs: Sequence[Job], task: Task) -> Iterator[dict[str, Any]]:
    """Yield for each job what would be done and how large it gets; nothing is written."""
    for job in jobs:
        row: dict[str, Any] = {"input": str(job.source), "output": str(job.target)}
        if job.series is not None:
            row["series"] = job.series
        if job.done:
            yield {**row, "status": BEFORE}
            continue
        try:
            image = task.read(job)
            answer = task.outline(image) if task.outline else image
            size = prod(answer.shape) * (image.dtype.itemsize if task.dtype == "same" else 4)
            about = {"axes": answer.axes, "shape": list(answer.shape), "bytes": size}
            about |= {"note": " ".join(image.remarks)}
            yield {**row, "status": TO_DO, **about}
        except (OSError, ValueError, MemoryError) as error:
            yield {**row, "status": FAILED, "error": str(error)}


class ReportWriter:
    """Writes the report of a run now and then: after each of many small files would cost most.

    Parameters
    ----------
    folder : Path
        Where it goes.
    shard : str, optional
        Which share of the files it is of.
    """

    def __init__(self, folder: Path, shard: str | None = None) -> None:
        self._folder, self._shard = folder, shard
        self._due = 0.0
        self._sheet = ContactSheet(folder / _name(SHEET, shard))

    def show(self, record: dict[str, Any], pictures: Mapping[str, str]) -> str:
        """Add a file to the contact sheet; return a sentence for the user where that fails.

        One that was done before keeps what an earlier run has put there.
        """
        if record["status"] == BEFORE:
            return ""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder):
                self._sheet.add("|".join(_key(record)), record, pictures)
        except OSError as error:
            return f"The contact sheet could not be written: {error}"
        return ""

    def update(self, records: Sequence[dict[str, Any]], *, now: bool = False) -> str:
        """Write it if it is due, or at once; return a sentence for the user where that fails.

        Such as while another program holds it open: the files go on all the same.
        """
        if not now and time.monotonic() < self._due:
            return ""
        try:
            write_report(self._folder, records, self._shard)
            if now:
                with locked(self._folder):
                    self._sheet.close()
        except OSError as error:
            return f"The table of the files could not be written: {error}"
        finally:
            self._due = time.monotonic() + REPORT_EVERY
        return ""


def write_report(folder: Path, records: Sequence[dict[str, Any]], shard: str | None = None) -> Path:
    """Write what became of each file as a table; rows of other files stay.

    Those are of earlier runs, and of such as work into the same folder at the same time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _name(REPORT, shard)
    with locked(folder):
        rows = {_key(row): row for row in _earlier_rows(path)}
        for record in records:
            key = _key(record)
            if record["status"] != BEFORE or key not in rows:
                rows[key] = _row(record)
        text = StringIO(newline="")
        table = csv.DictWriter(text, COLUMNS)
        table.writeheader()
        table.writerows(
            {name: _no_formula(cell) for name, cell in row.items()} for row in rows.values()
        )
        write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
    return path


def _row(record: dict[str, Any]) -> dict[str, Any]:
    hints, verdict = record.get("residual") or {}, record.get("verdict")
    return {
        **{column: "" if record.get(column) is None else record[column] for column in COLUMNS},
        "seconds": f"{record['seconds']:.1f}" if "seconds" in record else "",
        **{
            column: "" if hints.get(hint) is None else f"{hints[hint]:.4g}"
            for column, hint in HINTS.items()
        },
        "verdict": (" ".join(verdict["flagged"]) or NO_FAULT) if verdict else "",
    }


def _name(name: str, shard: str | None) -> str:
    """Return the name of a report, of one share of the files where there are several."""
    stem, dot, suffix = name.partition(".")
    return f"{stem}-{shard.replace('/', '-of-')}{dot}{suffix}" if shard else name


def _key(row: dict[str, Any]) -> tuple[str, str]:
    """Return by what a row is known: the path as it was written, links stay, and the series."""
    return os.path.abspath(row["input"]), str(row.get("series", ""))  # noqa: PTH100


def _earlier_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table; columns that it had not yet stay empty."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = [row for row in csv.DictReader(file) if "input" in row]
            return [{name: _as_it_was(row.get(name) or "") for name in COLUMNS} for row in found]
    except (OSError, ValueError, csv.Error):
        return []


def _no_formula(cell: object) -> str:
    """Return a cell that a spreadsheet takes for text: names and headers may hold anything."""
    text = str(cell)
    return f"'{text}" if text[:1] in FORMULAS and not _is_number(text) else text


def _as_it_was(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] in FORMULAS else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
