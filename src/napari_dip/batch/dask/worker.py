"""What a worker of a cluster does: a file, a chunk of a large stack, or the join of chunks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_dip.batch.dask.chunk_plan import ChunkPlan
from napari_dip.batch.dask.chunks import join_chunks, plan_chunks, process_chunk
from napari_dip.batch.dask.task_json import task_from_json
from napari_dip.batch.jobs import BEGUN_BEFORE, DONE_BEFORE, Job
from napari_dip.batch.process_file import (
    Outcome,
    Result,
    names_of,
    process_image,
    read_input,
    record_failure,
)
from napari_dip.batch.report import DONE, earlier_state
from napari_dip.errors import DenoiseError
from napari_dip.files.target import check_target
from napari_dip.snapshot import consume

if TYPE_CHECKING:
    from napari_dip.batch.task import Task
    from napari_dip.snapshot import Snapshot

REPORT_EVERY = 1.0  # seconds between two reports of one worker


def process(order: Mapping[str, Any], job: Job, topic: str, number: int) -> Outcome | ChunkPlan:
    """Do one file in a worker, or return how it is divided."""
    task, report = _prepare(order, topic, number)
    read_stream = partial(
        consume, on_snapshot=lambda snapshot: report(_share(snapshot)), every=REPORT_EVERY
    )

    def work(job: Job) -> Outcome | ChunkPlan:
        image, source = read_input(job, task)
        workers = sum(map(len, order["workers"].values()))
        plan = plan_chunks(job, task, image, source, workers, order["large"])
        return plan or process_image(job, task, read_stream, image, source)

    return record_failure(job, lambda: _unless_done(job, task, work))


def process_chunk_of(
    order: Mapping[str, Any], job: Job, topic: str, number: int, plan: ChunkPlan, at: int
) -> None:
    """Do one chunk of a file in a worker; if it fails, so does the join, which depends on it."""
    task, report = _prepare(order, topic, number, at)

    def on_snapshot(snapshot: Snapshot) -> None:
        if not plan.folder.exists():  # this ends the work
            raise DenoiseError("Another chunk of the file has failed, or another run does it.")
        report(plan.share(at) * _share(snapshot))

    read_stream = partial(consume, on_snapshot=on_snapshot, every=REPORT_EVERY)
    process_chunk(plan, at, job, task, read_stream)
    report(plan.share(at))


def join(
    order: Mapping[str, Any],
    job: Job,
    topic: str,
    number: int,
    plan: ChunkPlan,
    chunks: Sequence[None] = (),
) -> Outcome:
    """Join the chunks of a file in a worker; dask waits for `chunks`, which it depends on."""
    task, _ = _prepare(order, topic, number)

    def work() -> Outcome:
        if not plan.is_complete():  # what became of them is said by the join
            return join_chunks(plan, job, task)
        return _unless_done(job, task, lambda job: join_chunks(plan, job, task))

    outcome = record_failure(job, work)
    if outcome.record["status"] == DONE:
        plan.delete()
    return outcome


def _prepare(
    order: Mapping[str, Any], topic: str, number: int, at: int | None = None
) -> tuple[Task, Callable[[float], None]]:
    """Return the task with this worker's share of its machine, and what reports the share done."""
    from distributed import get_worker

    worker = get_worker()
    names = order["workers"].get(worker.address.rpartition("://")[2].rpartition(":")[0], [])
    index = names.index(str(worker.name)) if str(worker.name) in names else 0
    task = task_from_json(order["task"])
    device = _share_machine(task.device, index, max(len(names), 1), order["threads"])
    report = partial(_report, worker, topic, number, at)
    return replace(task, device=device), report


def _report(worker: Any, topic: str, number: int, at: int | None, share: float) -> None:
    worker.log_event(topic, (number, at, share))


def _share(snapshot: Snapshot) -> float:
    return snapshot.step / max(snapshot.total, 1)


def _unless_done(job: Job, task: Task, work: Callable[[Job], Result]) -> Result | Outcome:
    """Do it, unless a worker that was lost since has done it.

    What such a worker began is replaced, nobody else's file.
    """
    existing = [file for file in job.outputs if file.exists()]
    if task.overwrite or not existing:
        return work(job)
    state = earlier_state(task.expected_provenance())(job)
    if state == DONE_BEFORE:
        return _outcome_of_lost_worker(job, task)
    for file in existing:
        check_target(file, overwrite=state == BEGUN_BEFORE)
    return work(replace(job, begun=state == BEGUN_BEFORE))


def _outcome_of_lost_worker(job: Job, task: Task) -> Outcome:
    """Return the outcome of a file whose worker was lost after it had written it."""
    from napari_dip.files.read_write import read
    from napari_dip.noise.residual import residual_check

    image, answer = task.read(job), read(job.target)
    residual = residual_check(image, answer) if answer.shape == image.shape else None
    said = {k: made for k, made in answer.provenance.items() if k == "verdict"}
    names = {**names_of(job), "output": str(job.target)}
    return Outcome({**names, "status": DONE, "residual": residual, **said})


def _share_machine(device: str, index: int, workers: int, threads: int) -> str:
    """Take this worker's share of the cores and, of several GPUs, one; return the device.

    `threads` are those that the user asked for, 0 where not; this process's environment cannot
    tell, since dask sets OMP_NUM_THREADS there.
    """
    import torch

    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    torch.set_num_threads(threads or max(1, cores // workers))
    count = torch.cuda.device_count()
    return f"cuda:{index % count}" if device == "auto" and count > 1 else device
