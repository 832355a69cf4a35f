"""A run over many files in a thread: each is read, worked on and written there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from superqt.utils import FunctionWorker

from napari_dip.batch.follow import followed
from napari_dip.batch.jobs import Job, name_of
from napari_dip.batch.one_file import done_before, guarded, jobs_of
from napari_dip.batch.report import BEFORE, DONE, FAILED, TO_DO, Table, rehearsed
from napari_dip.batch.task import Task, with_model
from napari_dip.images.image import Image
from napari_dip.snapshot import Snapshot
from napari_dip.widgets.runs.fit_run import Run

PROGRESS_EVERY = 0.2  # seconds
WORDS = {  # of the command line, and what the dock has in their place
    "say --overwrite to replace it": "tick Replace",
    "say --overwrite": "tick Replace",
    "say --dtype same": "choose other values",
    "--axes": "Axes",
    "--device": "Device",
    "choose another OUT": "choose another folder for the results",
    "OUT": "The folder for the results",
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
        single = len(inputs) == 1 and inputs[0].is_file()
        self.inputs, self.task = inputs, task
        self.out = folder / name_of(inputs[0], task.dtype) if single else folder
        self.stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._start(FunctionWorker, self._work, returned=self._on_returned)

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
            jobs = jobs_of(self.inputs, self.out, task)[1]
            self.planned.emit(jobs)
            return self._dry_run(jobs, task) if task.dry_run else self._work_on(jobs, task)
        except Exception as error:  # noqa: BLE001 - shown in the dock
            return in_the_dock(str(error) or type(error).__name__), True

    def _dry_run(self, jobs: Sequence[Job], task: Task) -> tuple[str, bool]:
        counts: Counter[str] = Counter()
        size = 0
        for number, record in enumerate(rehearsed(jobs, task.axes, task.dtype)):
            counts[record["status"]] += 1
            size += record.get("bytes", 0)
            self.file_ended.emit(number, record)
            if self.stopping.is_set():
                break
        return (
            f"To do: {counts[TO_DO]} files, {size / 1e6:,.1f} MB of results. "
            f"Done before: {counts[BEFORE]}. Can't be read: {counts[FAILED]}.",
            counts[FAILED] > 0,
        )

    def _work_on(self, jobs: Sequence[Job], task: Task) -> tuple[str, bool]:
        table = Table(self.out) if len(jobs) > 1 else None
        records: list[dict[str, Any]] = []
        trouble = ""
        for number, job in enumerate(jobs):
            if self.stopping.is_set():
                break
            follow = partial(self._follow, number, task)
            outcome = done_before(job) if job.done else guarded(job, task, follow)
            records.append(outcome.record)
            self.file_ended.emit(number, outcome.record)
            over = outcome.cut_off or self.stopping.is_set() or number + 1 == len(jobs)
            trouble = (table.show(records, now=over) if table else "") or trouble
        counts = Counter(record["status"] for record in records)
        done, before, failed = counts[DONE], counts[BEFORE], counts[FAILED]
        parts = [f"{done} of {len(jobs)} files done"]
        parts += [f"{before} done before"] if before else []
        parts += [f"{failed} failed"] if failed else []
        unfinished = done + before + failed < len(jobs)
        stopped = "Stopped; Run goes on where it stopped. " if unfinished else ""
        return f"{stopped}{', '.join(parts)}. {trouble}".strip(), bool(failed or trouble)

    def _follow(
        self, number: int, task: Task, image: Image, notes: list[str]
    ) -> tuple[Snapshot, bool]:
        def report(snapshot: Snapshot) -> None:
            self.progressed.emit(number, snapshot.step, snapshot.total)

        return followed(image, task, notes, report, PROGRESS_EVERY, self.stopping.is_set)


def in_the_dock(sentence: str) -> str:
    """Name what the dock has, where a sentence names flags of the command line."""
    for flag, words in WORDS.items():
        sentence = sentence.replace(flag, words)
    return sentence
