"""Files, and the chunks of a large stack, as the tasks of a dask cluster: only plain values travel.

A worker that is killed loses the file or chunk it is at, which another does again; a file that
kills every worker it is given to is reported as failed. The same seed gives the same pixels as
without a cluster where torch has as many threads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_dip.batch.dask import chunks, worker
from napari_dip.batch.dask.chunk_plan import ChunkPlan
from napari_dip.batch.dask.task_json import task_to_json
from napari_dip.batch.jobs import Job
from napari_dip.batch.process_file import Outcome
from napari_dip.batch.report import FAILED
from napari_dip.errors import DenoiseError, UsageError

if TYPE_CHECKING:
    from napari_dip.batch.task import Task

# What goes first: a stack that is begun, before other files.
PRIORITIES = {worker.process: 0, worker.process_chunk_of: 1, worker.join: 2}


@contextmanager
def connect(workers: int | None, scheduler: str | None) -> Iterator[Any]:
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
        When the extra is missing or no scheduler answers.
    """
    try:
        dask: Any = import_module("distributed")
    except ImportError as error:
        lacks = "is not installed" if error.name == "distributed" else f"cannot be loaded ({error})"
        raise UsageError(
            f'Workers need dask.distributed, which {lacks}: pip install "napari-dip[distributed]".'
        ) from error
    with ExitStack() as stack:
        for name in ("distributed", "distributed.client"):  # what fails is said in its row
            stack.enter_context(dask.utils.silence_logging_cmgr(logging.CRITICAL + 1, name))
        if scheduler is None:
            # No limit on memory: dask would end a worker in the middle of a fit, while a tile that
            # is too large is made smaller.
            # No limit also on the dashboard's port: 8787 is taken by others, with a warning.
            where = dask.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=50,
                security=_has_certificates() or None,
            )
            stack.enter_context(where)
            yield stack.enter_context(dask.Client(where, set_as_default=False))
            return
        try:
            asyncio.run(_check_answers(dask, scheduler))
            client = dask.Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"No scheduler answers at {scheduler}",
                "start one with `dask scheduler`",
                "local workers",
            ) from error
        yield stack.enter_context(client)


def _has_certificates() -> bool:
    """Return whether dask can make certificates, for this run alone and held in memory.

    Whoever reaches the port of a scheduler can run code as its user, other users of the machine
    too; without the certificates nobody is answered.
    """
    return find_spec("cryptography") is not None


async def _check_answers(dask: Any, scheduler: str) -> None:
    """Raise an error where no scheduler answers; a client that found none would go on trying."""
    arguments = dask.Security().get_connection_args("client")
    comm = await import_module("distributed.comm").connect(scheduler, timeout=10, **arguments)
    await comm.close()


def process_jobs(
    client: Any, jobs: Sequence[Job], task: Task, on_progress: Callable[[int, float], None]
) -> Iterator[tuple[int, Outcome]]:
    """Have the workers do the jobs, and yield the number of each with its outcome, as they end.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster whose workers see the same paths.
    jobs : sequence of Job
        Those to be done.
    task : Task
        What is done to each; `task_to_json` must hold all of it.
    on_progress : callable
        Is called, in another thread, with the number of a job and which share of it is done.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    order = {
        "task": task_to_json(task),
        "workers": workers_by_host(client.scheduler_info(n_workers=-1)["workers"]),
        "threads": int(threads) if threads.isdecimal() else 0,
        "large": chunks.LARGE,
    }
    run = f"napari-dip-{os.getpid()}-{time.time_ns()}"
    shares: dict[int, dict[int | None, float]] = defaultdict(dict)

    def on_event(event: Any) -> None:
        number, chunk, share = event[1]
        shares[number][chunk] = share
        on_progress(number, sum(shares[number].values()))

    def submit(function: Callable[..., Any], number: int, *more: Any, part: str = "") -> Any:
        key, priority = f"{function.__name__}-{run}-{number}{part}", PRIORITIES[function]
        call = (function, order, _absolute(jobs[number]), run, number, *more)
        return client.submit(*call, key=key, priority=priority, pure=False)

    def submit_chunks(number: int, plan: ChunkPlan) -> Any:
        """Return the future of the join, which depends on those of the chunks."""
        parts = range(plan.count)
        waited_for = [
            submit(worker.process_chunk_of, number, plan, at, part=f"-{at}") for at in parts
        ]
        return submit(worker.join, number, plan, waited_for)

    client.subscribe_topic(run, on_event)
    numbers = {submit(worker.process, number): number for number in range(len(jobs))}
    queue = import_module("distributed").as_completed(list(numbers), loop=client.loop)
    try:
        for future in queue:
            number = numbers.pop(future)
            result = _result(future, jobs[number])
            future.release()  # of a stack that has failed, the chunks that wait are cancelled by it
            if isinstance(result, ChunkPlan):
                joined = submit_chunks(number, result)
                numbers[joined] = number
                queue.add(joined)
            else:
                yield number, _with_given_paths(result, jobs[number])
    finally:
        client.cancel(list(numbers))
        client.unsubscribe_topic(run)


def workers_by_host(workers: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names of the workers of each machine."""
    names: dict[str, list[str]] = defaultdict(list)
    for one in workers.values():
        names[one["host"]].append(str(one["name"]))
    return dict(names)


def _result(future: Any, job: Job) -> Outcome | ChunkPlan:
    """Return what a worker returned, or its failure as an outcome."""
    from distributed.scheduler import KilledWorker

    try:
        result: Outcome | ChunkPlan = future.result()
        return result
    except KilledWorker:
        reason = (
            "every worker that it was given to died, perhaps for lack of memory; give it fewer or "
            "larger ones"
        )
    except (DenoiseError, OSError, ValueError, MemoryError) as error:
        reason = str(error) or type(error).__name__
    except Exception as error:  # noqa: BLE001 - as a file that fails, it must not end the others
        reason = f"the worker could not do it: {type(error).__name__}: {error}"
    return Outcome({"input": str(job.source), "output": None, "status": FAILED, "error": reason})


def _absolute(job: Job) -> Job:
    std = job.std and job.std.absolute()
    return replace(job, source=job.source.absolute(), target=job.target.absolute(), std=std)


def _with_given_paths(outcome: Outcome, job: Job) -> Outcome:
    """Return the paths as they were written."""
    record = {**outcome.record, "input": str(job.source)}
    if record["output"] is not None:
        record["output"] = str(job.target)
    if "std" in record:
        record["std"] = str(job.std)
    return replace(outcome, record=record)
