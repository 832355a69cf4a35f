"""Files as the tasks of a dask cluster: its workers read, work and write; only paths, settings and records travel.

A worker that is killed loses the file it is at, which another does again; a file that kills every worker it is given to
is reported as failed. The same seed gives the same pixels as without a cluster where torch has as many threads.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_dip.batch.follow import followed
from napari_dip.batch.plan import DONE_BEFORE, Job
from napari_dip.batch.records import DONE, FAILED, recognised
from napari_dip.batch.task import made_by, ordered, task_of
from napari_dip.batch.work import Outcome, guarded
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image
    from napari_dip.snapshot import Snapshot

TOPIC = "napari-dip"
MOVE_EVERY = 1.0  # seconds between two reports of one worker


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
        raise UsageError(
            'Workers need dask.distributed, which is not installed: pip install "napari-dip[distributed]".'
        ) from error
    if scheduler is not None:
        try:
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
            silence_logs=50,
        ) as local,
        dask.Client(local, set_as_default=False) as client,
    ):
        yield client


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
    order = ordered(task) | {"places": places(client.scheduler_info(n_workers=-1)["workers"])}
    run = f"{TOPIC}-{os.getpid()}-{time.time_ns()}"
    client.subscribe_topic(run, lambda event: moved(*event[1]))
    futures = {
        client.submit(work_on, order, _absolute(job), run, number, key=f"{run}-{number}", pure=False): number
        for number, job in enumerate(jobs)
    }
    try:
        for future in as_completed(futures, loop=client.loop):  # without it the default client is asked for
            number = futures[future]
            yield number, _named(_outcome(future, jobs[number]), jobs[number])
            future.release()
    finally:
        client.cancel([future for future in futures if not future.done()])
        client.unsubscribe_topic(run)


def places(workers: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names of the workers of each machine."""
    found: dict[str, list[str]] = defaultdict(list)
    for worker in workers.values():
        found[worker["host"]].append(str(worker["name"]))
    return dict(found)


def work_on(order: Mapping[str, Any], job: Job, topic: str, number: int) -> dict[str, Any]:
    """Do one file, in a worker."""
    from distributed import get_worker

    worker = get_worker()
    names = order["places"].get(worker.address.rpartition("://")[2].rpartition(":")[0], [])
    index = names.index(str(worker.name)) if str(worker.name) in names else 0
    task = task_of(order)
    task = replace(task, device=_share_of_machine(task.device, index, max(len(names), 1)))

    def moved(snapshot: Snapshot) -> None:
        worker.log_event(topic, (number, snapshot.step / max(snapshot.total, 1)))

    def follow(image: Image, notes: list[str]) -> tuple[Snapshot, bool]:
        return followed(image, task, notes, moved, MOVE_EVERY)

    if not order["overwrite"] and job.target.exists():
        job = replace(job, begun=True)  # only a worker that was lost since can have made it
        if recognised(made_by(task))(job) == DONE_BEFORE:
            return asdict(_found(job))
    return asdict(guarded(job, task, follow))


def _share_of_machine(device: str, index: int, workers: int) -> str:
    """Take this worker's share of the cores and, where there are several GPUs, one of them; return the device."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, cores // workers))
    count = torch.cuda.device_count()
    return f"cuda:{index % count}" if device == "auto" and count > 1 else device


def _found(job: Job) -> Outcome:
    """Return what there is to tell of a file whose worker was lost after it had written it."""
    from napari_dip.images.files import read
    from napari_dip.images.quality import residual_check

    image, answer = read(job.source), read(job.target)
    residual = residual_check(image, answer) if answer.shape == image.shape else None
    record = {"input": str(job.source), "output": str(job.target), "status": DONE, "residual": residual}
    return Outcome(record)


def _outcome(future: Any, job: Job) -> Outcome:
    """Return what a worker tells, or that it could not tell."""
    from distributed.scheduler import KilledWorker

    try:
        return Outcome(**future.result())
    except KilledWorker:
        error = "every worker that it was given to died, perhaps for lack of memory; give it fewer or larger ones"
    except Exception as broken:  # noqa: BLE001 - as a file that fails, it must not end the others
        error = f"the worker could not do it: {type(broken).__name__}: {broken}"
    return Outcome({"input": str(job.source), "output": None, "status": FAILED, "error": error})


def _absolute(job: Job) -> Job:
    return replace(job, source=job.source.absolute(), target=job.target.absolute(), std=job.std and job.std.absolute())


def _named(outcome: Outcome, job: Job) -> Outcome:
    """Give the paths back as they were written."""
    record = {**outcome.record, "input": str(job.source)}
    if record["output"] is not None:
        record["output"] = str(job.target)
    if "std" in record:
        record["std"] = str(job.std)
    return replace(outcome, record=record)
