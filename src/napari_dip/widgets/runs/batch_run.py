"""A run over many files, in a thread: each read, worked on and written there; the dock hears of it by signals."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_dip.batch.follow import followed
from napari_dip.batch.one_file import done_before, guarded, jobs_of
from napari_dip.batch.report import BEFORE, DONE, FAILED, TO_DO, Table, rehearsed
from napari_dip.batch.task import with_model
from napari_dip.widgets.runs.fit_run import free_memory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image
    from napari_dip.snapshot import Snapshot

MOVE_EVERY = 0.2  # seconds between two signals of progress
WORDS = {  # of the command line, and what the dock has in their place
    "say --overwrite to replace it": "tick Replace",
    "say --overwrite": "tick Replace",
    "say --dtype same": "choose other values",
    "--axes": "Axes",
    "--device": "Device",
    "choose another OUT": "choose another folder for the results",
    "OUT": "The folder for the results",
}


@dataclass(frozen=True, eq=False)
class BatchOrder:
    """What is done to which files; with a model its settings are the task's."""

    inputs: tuple[Path, ...]
    out: Path
    task: Task
    model: Path | None = None


_at_work: set[BatchRun] = (
    set()
)  # kept alive until their thread has ended, even where dock and window are gone


class BatchRun(QObject):
    """Works on the files.

    Signals come in this order: `planned` with the list of jobs, then for each file many times `moved` with (number,
    step, total) and once `worked` with (number, record), then `ended` once with (sentence, whether it is an error).
    """

    planned = Signal(object)
    moved = Signal(int, int, int)
    worked = Signal(int, object)
    ended = Signal(str, bool)

    def __init__(self, order: BatchOrder) -> None:
        super().__init__()  # no parent: a window that closes would delete it in the middle of a signal
        self.order = order
        self.stopping = threading.Event()
        self._worker: Any = None

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._worker is not None

    def start(self) -> None:
        """Start the thread."""
        from superqt.utils import FunctionWorker, create_worker

        _at_work.add(self)
        connect: Any = {"returned": self._on_returned}
        self._worker = create_worker(
            self._work,
            _worker_class=FunctionWorker,
            _ignore_errors=True,
            _start_thread=True,
            _connect=connect,
        )

    def stop(self) -> None:
        """End after the step at hand; the answer so far is written, and made anew by the next run."""
        self.stopping.set()

    def _on_returned(self, ending: tuple[str, bool]) -> None:
        self._worker = None
        free_memory()
        _at_work.discard(self)
        self.ended.emit(*ending)

    def _work(self) -> tuple[str, bool]:
        """Do all of it and return how it ended; nothing is raised, since workers swallow some errors."""
        try:
            order, task = self.order, self.order.task
            if order.model is not None:
                task = with_model(task, order.model)
            jobs = jobs_of(order.inputs, order.out, task)[1]
            self.planned.emit(jobs)
            return self._rehearse(jobs, task) if task.dry_run else self._go_through(jobs, task)
        except Exception as error:  # noqa: BLE001 - shown in the dock
            return in_the_dock(str(error) or type(error).__name__), True

    def _rehearse(self, jobs: Sequence[Job], task: Task) -> tuple[str, bool]:
        rows: list[dict[str, Any]] = []
        for number, row in enumerate(rehearsed(jobs, task.axes, task.dtype)):
            rows.append(row)
            self.worked.emit(number, row)
            if self.stopping.is_set():
                break
        size = sum(row.get("bytes", 0) for row in rows)
        counts = {
            state: sum(row["status"] == state for row in rows) for state in (TO_DO, BEFORE, FAILED)
        }
        return (
            f"To do: {counts[TO_DO]} files, {size / 1e6:,.1f} MB of results. Done before: {counts[BEFORE]}. "
            f"Can't be read: {counts[FAILED]}.",
            counts[FAILED] > 0,
        )

    def _go_through(self, jobs: Sequence[Job], task: Task) -> tuple[str, bool]:
        table = Table(self.order.out) if len(jobs) > 1 else None
        records, trouble = [], ""
        for number, job in enumerate(jobs):
            if self.stopping.is_set():
                break
            outcome = (
                done_before(job)
                if job.done
                else guarded(job, task, partial(self._follow, number, task))
            )
            records.append(outcome.record)
            self.worked.emit(number, outcome.record)
            over = outcome.cut_off or self.stopping.is_set() or number + 1 == len(jobs)
            trouble = (table.show(records, now=over) if table else "") or trouble
        done, before, failed = (
            sum(r["status"] == state for r in records) for state in (DONE, BEFORE, FAILED)
        )
        parts = [f"{done} of {len(jobs)} files done"]
        parts += [f"{before} done before"] if before else []
        parts += [f"{failed} failed"] if failed else []
        stopped = (
            "Stopped; Run goes on where it stopped. " if done + before + failed < len(jobs) else ""
        )
        return f"{stopped}{', '.join(parts)}. {trouble}".strip(), bool(failed or trouble)

    def _follow(
        self, number: int, task: Task, image: Image, notes: list[str]
    ) -> tuple[Snapshot, bool]:
        """Follow the work on one file to its end, or until it is stopped."""

        def moved(snapshot: Snapshot) -> None:
            self.moved.emit(number, snapshot.step, snapshot.total)

        return followed(image, task, notes, moved, MOVE_EVERY, self.stopping.is_set)


def in_the_dock(sentence: str) -> str:
    """Name what the dock has, where a sentence names flags of the command line."""
    for flag, words in WORDS.items():
        sentence = sentence.replace(flag, words)
    return sentence


def ordered(inputs: Sequence[Path], out: Path, task: Task, model: Path | None) -> BatchOrder:
    """Return the order, with a file instead of the folder `out` where one file is given."""
    from napari_dip.batch.jobs import name_of

    single = len(inputs) == 1 and inputs[0].is_file()
    return BatchOrder(
        tuple(inputs), out / name_of(inputs[0], task.dtype) if single else out, task, model
    )
