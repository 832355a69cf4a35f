"""Files, and the pieces of a large stack, as the tasks of a dask cluster: only paths, settings and records travel.

A worker that is killed loses the file or piece it is at, which another does again; a file that kills every worker it is
given to is reported as failed. The same seed gives the same pixels as without a cluster where torch has as many
threads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_dip.batch.dask import pieces, worker
from napari_dip.batch.dask.task_json import task_to_json
from napari_dip.batch.jobs import Job
from napari_dip.batch.one_file import Outcome
from napari_dip.batch.report import FAILED
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from napari_dip.batch.task import Task

TOPIC = "napari-dip"


@contextmanager
def cluster(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Give the client of a cluster: of processes on this machine, or of one that is there.

    Parameters
    ----------
    workers : int, optional
        How many processes to start here.
    scheduler : str, optional
        Where a scheduler listens, such as ``tcp://host:8786``.

    Raises
    ------
    UsageError
        With a sentence, when the extra is missing or no scheduler answers.
    """
    try:
        dask: Any = import_module("distributed")
    except ImportError as error:
        lacks = "is not installed" if error.name == "distributed" else f"cannot be loaded ({error})"
        raise UsageError(
            f'Workers need dask.distributed, which {lacks}: pip install "napari-dip[distributed]".'
        ) from error
    with ExitStack() as stack:
        for name in ("distributed", "distributed.client"):  # what fails is told by its row
            stack.enter_context(dask.utils.silence_logging_cmgr(logging.CRITICAL + 1, name))
        yield stack.enter_context(_client(dask, workers, scheduler))


@contextmanager
def _client(dask: Any, workers: int | None, scheduler: str | None) -> Iterator[Any]:
    if scheduler is not None:
        try:
            asyncio.run(_reached(dask, scheduler))
            client = dask.Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"No scheduler answers at {scheduler}: start one with `dask scheduler`, or use --workers."
            ) from error
        with client:
            yield client
        return
    # No limit on memory: dask would end a worker in the middle of a fit; a piece too large is made smaller instead.
    with (
        dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=None,
            scheduler_kwargs={
                "dashboard_address": "127.0.0.1:0"
            },  # by default 8787, and a warning where that is taken
            silence_logs=50,
        ) as local,
        dask.Client(local, set_as_default=False) as client,
    ):
        yield client


async def _reached(dask: Any, scheduler: str) -> None:
    """Raise an error where no scheduler answers; a client that found none would go on complaining."""
    arguments = dask.Security().get_connection_args("client")
    comm = await import_module("distributed.comm").connect(scheduler, timeout=10, **arguments)
    await comm.close()


def spread(
    client: Any, jobs: Sequence[Job], task: Task, moved: Callable[[int, float], None]
) -> Iterator[tuple[int, Outcome]]:
    """Have the workers do the jobs, and yield the number of each with what became of it, as they end.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster whose workers see the same paths.
    jobs : sequence of Job
        Those to be done.
    task : Task
        A fit or a model; what it does must be told by its settings and its model's path alone.
    moved : callable
        Is told, in another thread, the number of a job and which share of it is done.
    """
    as_completed: Any = import_module("distributed").as_completed
    threads = os.environ.get("OMP_NUM_THREADS", "")
    order = task_to_json(task) | {
        "places": places(client.scheduler_info(n_workers=-1)["workers"]),
        "threads": int(threads) if threads.isdecimal() else 0,
        "large": pieces.LARGE,
    }
    run = f"{TOPIC}-{os.getpid()}-{time.time_ns()}"
    shares: dict[int, dict[int | None, float]] = defaultdict(dict)

    def told(event: Any) -> None:
        number, piece, share = event[1]
        shares[number][piece] = share
        moved(number, sum(shares[number].values()))

    client.subscribe_topic(run, told)
    tasks = _Tasks(client, order, run, jobs)
    queue = as_completed(
        [tasks.submit(worker.work_on, number) for number in range(len(jobs))], loop=client.loop
    )
    try:
        for future in queue:
            number = tasks.owners.pop(future, None)
            if number is None:  # a piece of a stack that has failed
                continue
            found = _told_by(future, jobs[number])
            future.release()
            if "record" in found:
                tasks.leave(number)
                yield number, _named(Outcome(**found), jobs[number])
            else:
                queue.update(tasks.following(number, future, found))
    finally:
        client.cancel([future for future in tasks.owners if not future.done()])
        client.unsubscribe_topic(run)


class _Tasks:
    """The futures of a run.

    Attributes
    ----------
    owners : dict
        The number of the job of each future.
    left : dict
        By the number of a stack's job, the futures of the pieces that are not done.
    """

    def __init__(
        self, client: Any, order: Mapping[str, Any], run: str, jobs: Sequence[Job]
    ) -> None:
        self._client, self._order, self._run, self._jobs = client, order, run, jobs
        self.owners: dict[Any, int] = {}
        self.left: dict[int, set[Any]] = {}

    def submit(self, what: Callable[..., dict[str, Any]], number: int, *more: Any) -> Any:
        """Have a worker do something for a job."""
        key = "-".join([what.__name__, self._run, str(number), *map(str, more[1:])])
        first = (worker.work_on, worker.work_on_piece, worker.join).index(
            what
        )  # a stack begun goes before other files
        work = (what, self._order, _absolute(self._jobs[number]), self._run, number, *more)
        future = self._client.submit(*work, key=key, pure=False, priority=first)
        self.owners[future] = number
        return future

    def following(self, number: int, future: Any, found: dict[str, Any]) -> list[Any]:
        """Submit what follows on the division of a stack or the end of a piece, and return its futures."""
        if "bounds" in found:
            made = [
                self.submit(worker.work_on_piece, number, found, at)
                for at in range(len(found["bounds"]) - 1)
            ]
            self.left[number] = set(made)
            return made
        self.left[number].remove(future)
        return [] if self.left[number] else [self.submit(worker.join, number, found["piece_of"])]

    def leave(self, number: int) -> None:
        """Let go of what is left of a stack; of one that has failed, some pieces may still be waiting."""
        rest = self.left.pop(number, set()) & self.owners.keys()
        for future in rest:
            del self.owners[future]
        self._client.cancel(list(rest))


def places(workers: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names of the workers of each machine."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in workers.values():
        found[one["host"]].append(str(one["name"]))
    return dict(found)


def _told_by(future: Any, job: Job) -> dict[str, Any]:
    """Return what a worker tells, or that it could not tell."""
    from distributed.scheduler import KilledWorker

    try:
        told: dict[str, Any] = future.result()
        return told
    except KilledWorker:
        error = "every worker that it was given to died, perhaps for lack of memory; give it fewer or larger ones"
    except Exception as broken:  # noqa: BLE001 - as a file that fails, it must not end the others
        error = f"the worker could not do it: {type(broken).__name__}: {broken}"
    return asdict(
        Outcome({"input": str(job.source), "output": None, "status": FAILED, "error": error})
    )


def _absolute(job: Job) -> Job:
    return replace(
        job,
        source=job.source.absolute(),
        target=job.target.absolute(),
        std=job.std and job.std.absolute(),
    )


def _named(outcome: Outcome, job: Job) -> Outcome:
    """Give the paths back as they were written."""
    record = {**outcome.record, "input": str(job.source)}
    if record["output"] is not None:
        record["output"] = str(job.target)
    if "std" in record:
        record["std"] = str(job.std)
    return replace(outcome, record=record)
