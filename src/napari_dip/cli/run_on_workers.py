"""The files of a run on several processes or machines: one bar for all of them."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dip.batch.dask.cluster import connect, process_jobs
from napari_dip.batch.process_file import Outcome, done_before
from napari_dip.cli.consume_with_progress import ENDINGS, handle_signals
from napari_dip.cli.progress import Progress
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task
    from napari_dip.cli.output import Output


MOST = 1024  # processes on one machine


@dataclass(frozen=True)
class Workers:
    """Where the work is spread to: so many processes here, or the workers of a scheduler."""

    count: int | None = None
    scheduler: str | None = None


def check_workers(count: int | None, scheduler: str | None) -> Workers | None:
    """Return where the work is spread to, None where it is not."""
    if count is not None and scheduler is not None:
        raise UsageError(
            "--workers starts processes here, --scheduler takes those that are there: give one of "
            "them."
        )
    if count is not None and not 1 <= count <= MOST:
        raise UsageError(f"--workers is {count}; give 1 or more, up to {MOST}.")
    return None if count is None and scheduler is None else Workers(count, scheduler)


def run_on_workers(
    jobs: Sequence[Job], task: Task, workers: Workers, output: Output
) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each job with its outcome: those done before first, others as they end.

    Ctrl-C ends it: what is done stays, and the files at work are done by the next run.
    """
    todo = [(number, job) for number, job in enumerate(jobs) if not job.done]
    yield from ((number, done_before(job)) for number, job in enumerate(jobs) if job.done)
    if not todo:
        return
    with (
        handle_signals(signal.default_int_handler, *ENDINGS),
        connect(workers.count, workers.scheduler) as client,
    ):
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        if not count:
            output.note("The scheduler has no workers yet: waiting.")
        elif not output.quiet:
            output.note(f"{_plural(len(todo), 'file')}, {_plural(count, 'worker')}.")
        shares = [0.0] * len(todo)
        bar = Progress("done", unit="files", per="min", shown=not output.quiet)

        def move(number: int, share: float) -> None:  # a file that is done again starts anew
            shares[number] = share
            bar.update(sum(shares), len(todo))

        with suppress(KeyboardInterrupt), bar:
            for number, outcome in process_jobs(client, [job for _, job in todo], task, move):
                move(number, 1.0)
                yield todo[number][0], outcome


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
