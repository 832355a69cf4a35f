"""A run over many files in a thread: each is read, worked on and written there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal

from napari_dip.batch.estimate import estimate_run
from napari_dip.batch.jobs import Job
from napari_dip.batch.process_file import check_and_plan, done_before, process_file
from napari_dip.batch.report import BEFORE, DONE, FAILED, TO_DO, ReportWriter, dry_run
from napari_dip.batch.task import Task, with_model
from napari_dip.errors import UsageError
from napari_dip.snapshot import Snapshot, consume
from napari_dip.widgets.runs.fit_run import Run

PROGRESS_EVERY = 0.2  # seconds
WORDS = {  # how options and remedies of a UsageError are called in the dock
    "out": "The folder for the results",
    "device": "Device",
    "axes": "Axes",
    "other output": "choose another folder for the results",
    "overwrite": "tick Replace",
    "replace input": "tick Replace",
    "same dtype": "choose other values",
}


class BatchRun(Run):
    """Works on the files; a model that the task names is loaded in the thread.

    It emits `planned` with the list of jobs, then for each file many times `progressed` with
    (number, step, total) and once `file_ended` with (number, record), then once `ended` with
    (sentence, whether it is an error).
    """

    planned = Signal(object)
    progressed = Signal(int, int, int)
    file_ended = Signal(int, object)
    ended = Signal(str, bool)

    def __init__(self, inputs: Sequence[Path], folder: Path, task: Task) -> None:
        super().__init__()
        self.inputs, self.out, self.task = inputs, folder, task
        self.stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._start("FunctionWorker", self._work, returned=self._on_returned)

    def stop(self) -> None:
        """End after the step at hand; the answer so far is written, and replaced later."""
        self.stopping.set()

    def _on_returned(self, ending: tuple[str, bool]) -> None:
        self._release()
        self.ended.emit(*ending)

    def _work(self) -> tuple[str, bool]:
        """Return how the work ended; nothing is raised, since workers swallow some errors."""
        task = self.task
        try:
            if task.model is not None:
                task = with_model(task, task.model)
            jobs = check_and_plan(self.inputs, self.out, task, into_folder=True)[1]
            self.planned.emit(jobs)
            return self._dry_run(jobs, task) if task.dry_run else self._work_on(jobs, task)
        except UsageError as error:
            return error.explain(WORDS), True
        except Exception as error:  # noqa: BLE001 - shown in the dock
            return str(error) or type(error).__name__, True

    def _dry_run(self, jobs: Sequence[Job], task: Task) -> tuple[str, bool]:
        rows: list[dict[str, Any]] = []
        for number, record in enumerate(dry_run(jobs, task)):
            rows.append(record)
            self.file_ended.emit(number, record)
            if self.stopping.is_set():
                break
        counts, size = Counter(row["status"] for row in rows), sum(r.get("bytes", 0) for r in rows)
        _, time = estimate_run(jobs[: len(rows)], rows, task, self.stopping.is_set)
        sentence = (
            f"To do: {counts[TO_DO]} files, {size / 1e6:,.1f} MB of results. "
            f"Done before: {counts[BEFORE]}. Can't be read: {counts[FAILED]}. {time}"
        )
        return sentence.strip(), counts[FAILED] > 0

    def _work_on(self, jobs: Sequence[Job], task: Task) -> tuple[str, bool]:
        table = ReportWriter(self.out) if len(jobs) > 1 else None
        records: list[dict[str, Any]] = []
        trouble = ""
        for number, job in enumerate(jobs):
            if self.stopping.is_set():
                break
            read = partial(
                consume,
                on_snapshot=partial(self._report, number),
                every=PROGRESS_EVERY,
                stop=self.stopping.is_set,
            )
            outcome = done_before(job) if job.done else process_file(job, task, read)
            records.append(outcome.record)
            self.file_ended.emit(number, outcome.record)
            over = outcome.interrupted or self.stopping.is_set() or number + 1 == len(jobs)
            if table:
                shown = table.show(outcome.record, outcome.pictures)
                trouble = table.update(records, now=over) or shown or trouble
        counts = Counter(record["status"] for record in records)
        done, before, failed = counts[DONE], counts[BEFORE], counts[FAILED]
        parts = [f"{done} of {len(jobs)} files done"]
        parts += [f"{before} done before"] if before else []
        parts += [f"{failed} failed"] if failed else []
        unfinished = done + before + failed < len(jobs)
        stopped = "Stopped; Run goes on where it stopped. " if unfinished else ""
        return f"{stopped}{', '.join(parts)}. {trouble}".strip(), bool(failed or trouble)

    def _report(self, number: int, snapshot: Snapshot) -> None:
        self.progressed.emit(number, snapshot.step, snapshot.total)
