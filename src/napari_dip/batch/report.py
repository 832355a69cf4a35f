"""Many files: which are done already, what a run would do, and the table of what became of each."""

from __future__ import annotations

import csv
import os
import time
from io import StringIO
from math import prod
from typing import TYPE_CHECKING, Any

from napari_dip.batch.jobs import BEGUN_BEFORE, DONE_BEFORE, outputs
from napari_dip.files.atomic import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_dip.batch.jobs import Job
    from napari_dip.images.image import Image

REPORT = "napari-dip-report.csv"
COLUMNS = (
    "input",
    "output",
    "status",
    "seconds",
    "residual_mean",
    "correlation_x",
    "correlation_y",
    "error",
)
REPORT_EVERY = 5.0  # seconds between two tables
DONE, BEFORE, FAILED, INTERRUPTED, TO_DO = (
    "done",
    "done before",
    "failed",
    "interrupted",
    "to do",
)  # states of a file


def recognised(made: dict[str, object]) -> Callable[[Job], str]:
    """Return what says of a job how far an earlier run came with it: `DONE_BEFORE`, `BEGUN_BEFORE`, or nothing.

    The outputs themselves are the witnesses: each holds the hash of what it was made from, and every setting. So
    nothing is kept beside the files, and any number of machines can share a folder.

    Parameters
    ----------
    made : dict
        What the provenance of an output must say: such as its ``settings``.
    """

    def seen(job: Job) -> str:
        from napari_dip.files.checksum import sha256
        from napari_dip.files.read_write import read_provenance

        there = [file for file in outputs(job) if file.exists()]
        try:
            records = [read_provenance(file) for file in there]
            if not records or any(
                record.get(key) != value for record in records for key, value in made.items()
            ):
                return ""
            sources = [record.get("source") for record in records]
            known = {
                source.get("sha256") if isinstance(source, dict) else None for source in sources
            }
            if known != {sha256(job.source)}:
                return ""
        except (OSError, ValueError):
            return ""
        cut_off = len(there) < len(outputs(job)) or any(
            "interrupted" in record for record in records
        )
        return BEGUN_BEFORE if cut_off else DONE_BEFORE

    return seen


def rehearsed(
    jobs: Sequence[Job],
    axes: str | None,
    dtype: str,
    outline: Callable[[Image], Image] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield for each job what would be done and how large it gets; nothing is written.

    `outline` returns an image of the answer's shape, where that is another.
    """
    from napari_dip.files.read_write import read

    for job in jobs:
        row: dict[str, Any] = {
            "input": str(job.source),
            "output": str(job.target),
            "status": BEFORE,
        }
        if not job.done:
            try:
                image = read(job.source, axes=axes)
                itemsize = image.dtype.itemsize
                image = outline(image) if outline else image
                size = prod(image.shape) * (itemsize if dtype == "same" else 4)
                row |= {
                    "status": TO_DO,
                    "axes": image.axes,
                    "shape": list(image.shape),
                    "bytes": size,
                }
            except (OSError, ValueError, MemoryError) as error:
                row |= {"status": FAILED, "error": str(error)}
        yield row


class Table:
    """The table of a run, written now and then: of many small files, writing it after each would cost most.

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

    def show(self, records: Sequence[dict[str, Any]], *, now: bool = False) -> str:
        """Write it if it is due, or at once; return what is to be said where that fails.

        Such as while another program holds it open: the files go on all the same.
        """
        if not now and time.monotonic() < self._due:
            return ""
        try:
            report(self._folder, records, self._shard)
        except OSError as error:
            return f"The table of the files could not be written: {error}"
        finally:
            self._due = time.monotonic() + REPORT_EVERY
        return ""


def report(folder: Path, records: Sequence[dict[str, Any]], shard: str | None = None) -> Path:
    """Write the table of what became of each file, whole or not at all; earlier runs' rows of other files stay."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f"napari-dip-report-{shard.replace('/', '-of-')}.csv" if shard else REPORT)
    rows = {os.path.abspath(row["input"]): row for row in _earlier(path)}  # noqa: PTH100 - as written; links stay
    for record in records:
        key = os.path.abspath(record["input"])  # noqa: PTH100
        if record["status"] == BEFORE and key in rows:
            continue
        hints = record.get("residual") or {}
        rows[key] = {
            **{key: record.get(key, "") for key in COLUMNS},
            "seconds": f"{record['seconds']:.1f}" if "seconds" in record else "",
            "residual_mean": _short(hints.get("mean")),
            "correlation_x": _short(hints.get("autocorrelation_x")),
            "correlation_y": _short(hints.get("autocorrelation_y")),
        }
    text = StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS)
    table.writeheader()
    table.writerows(rows.values())
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
    return path


def _earlier(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if set(row) == set(COLUMNS)]
    except (OSError, ValueError, csv.Error):
        return []


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
