"""The files of a run on several processes or machines: one bar for all of them."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dip.batch.dask.cluster import connect, process_jobs
from napari_dip.batch.process_file import Outcome, done_before
from napari_dip.cli.progress import files_progress
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task
    from napari_dip.cli.output import Talk


MOST = 1024  # processes on one machine


@dataclass(frozen=True)
class Spread:
    """Where the work is spread to: so many processes here, or the workers of a scheduler."""

    workers: int | None = None
    scheduler: str | None = None


def spread_of(workers: int | None, scheduler: str | None) -> Spread | None:
    """Return where the work is spread to, None where it is not.

    Raises
    ------
    UsageError
        When the two flags do not go together, or a number is none.
    """
    if workers is not None and scheduler is not None:
        raise UsageError(
            "--workers starts processes here, --scheduler takes those that are there: give one of them."
        )
    if workers is not None and not 1 <= workers <= MOST:
        raise UsageError(f"--workers is {workers}; give 1 or more, up to {MOST}.")
    return None if workers is None and scheduler is None else Spread(workers, scheduler)


def spread_out(
    jobs: Sequence[Job], task: Task, to: Spread, talk: Talk
) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each job with what became of it: first those done before, the others as they end.

    Ctrl-C ends it: what is done stays, and the files at work are done by the next run.
    """
    todo = [(number, job) for number, job in enumerate(jobs) if not job.done]
    yield from ((number, done_before(job)) for number, job in enumerate(jobs) if job.done)
    if not todo:
        return
    with _interrupted_by_a_queue(), connect(to.workers, to.scheduler) as client:
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        if not count:
            talk.note("The scheduler has no workers yet: waiting.")
        elif not talk.quiet:
            talk.note(f"{_some(len(todo), 'file')}, {_some(count, 'worker')}.")
        with suppress(KeyboardInterrupt), files_progress(len(todo), talk) as bar:
            for at, outcome in process_jobs(client, [job for _, job in todo], task, bar.move):
                bar.move(at, 1.0)
                yield todo[at][0], outcome


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


@contextmanager
def _interrupted_by_a_queue() -> Iterator[None]:
    """Take SIGTERM, with which a cluster's queue ends a job, as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
