"""What a worker of a cluster does: a file, a piece of a large stack, or the file that its pieces make."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from napari_dip.batch.dask.division import Division
from napari_dip.batch.dask.pieces import divided, gone, narrowed, one_piece, put_together
from napari_dip.batch.dask.task_json import task_from_json
from napari_dip.batch.follow import followed
from napari_dip.batch.jobs import BEGUN_BEFORE, DONE_BEFORE, Job, outputs
from napari_dip.batch.one_file import Done, Outcome, attempted, opened, worked
from napari_dip.batch.report import DONE, recognised
from napari_dip.batch.task import made_by
from napari_dip.errors import DenoiseError
from napari_dip.files.target import check_target

if TYPE_CHECKING:
    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image
    from napari_dip.snapshot import Snapshot

MOVE_EVERY = 1.0  # seconds between two reports of one worker


def work_on(order: Mapping[str, Any], job: Job, topic: str, number: int) -> dict[str, Any]:
    """Do one file in a worker, or say how it is divided."""
    task, report = _prepared(order, topic, number)

    def follow(image: Image, notes: list[str]) -> tuple[Snapshot, bool]:
        return followed(image, task, notes, lambda snapshot: report(_share(snapshot)), MOVE_EVERY)

    def work(job: Job) -> Outcome | Division:
        image, source = opened(job, task)
        workers = sum(map(len, order["places"].values()))
        return divided(job, task, image, source, workers, order["large"]) or worked(
            job, task, follow, image, source
        )

    result: Outcome | Division = _unless_done(job, task, work)
    return result.told() if isinstance(result, Division) else asdict(result)


def work_on_piece(
    order: Mapping[str, Any], job: Job, topic: str, number: int, told: Mapping[str, Any], at: int
) -> dict[str, Any]:
    """Do one piece of a file, in a worker."""
    division = Division.of(told)
    task, report = _prepared(order, topic, number, at)
    task = narrowed(task, division, at)

    def moved(snapshot: Snapshot) -> None:
        if not division.folder.exists():
            raise DenoiseError(
                "Another piece of the file has failed, or another run does it."
            )  # ends this one
        report(division.share(at) * _share(snapshot))

    def follow(image: Image, notes: list[str]) -> tuple[Snapshot, bool]:
        return followed(image, task, notes, moved, MOVE_EVERY)

    done = attempted(job, lambda: one_piece(division, at, job, task, follow))
    report(division.share(at))
    return (
        asdict(done) if isinstance(done, Outcome) else {"piece_of": told}
    )  # one that is gone is told by `join`


def join(
    order: Mapping[str, Any], job: Job, topic: str, number: int, told: Mapping[str, Any]
) -> dict[str, Any]:
    """Put the pieces of a file together, in a worker."""
    task, _ = _prepared(order, topic, number)
    division = Division.of(told)
    if not division.whole():
        return asdict(attempted(job, lambda: gone(job, task)))
    outcome = _unless_done(job, task, lambda job: put_together(division, job, task))
    if outcome.record["status"] == DONE:
        division.drop()
    return asdict(outcome)


def _prepared(
    order: Mapping[str, Any], topic: str, number: int, at: int | None = None
) -> tuple[Task, Callable[[float], None]]:
    """Return the task with this worker's share of its machine, and what reports how much of a file is done."""
    from distributed import get_worker

    worker = get_worker()
    names = order["places"].get(worker.address.rpartition("://")[2].rpartition(":")[0], [])
    index = names.index(str(worker.name)) if str(worker.name) in names else 0
    task = task_from_json(order)
    task = replace(
        task, device=_share_of_machine(task.device, index, max(len(names), 1), order["threads"])
    )
    return task, lambda share: worker.log_event(topic, (number, at, share))


def _share(snapshot: Snapshot) -> float:
    return snapshot.step / max(snapshot.total, 1)


def _unless_done(job: Job, task: Task, work: Callable[[Job], Done]) -> Done | Outcome:
    """Do it, unless a worker that was lost since has done it; what such a one began is replaced, nobody else's file."""
    there = [] if task.overwrite else [file for file in outputs(job) if file.exists()]

    def checked() -> Done | Outcome:
        state = recognised(made_by(task))(job) if there else ""
        if state == DONE_BEFORE:
            return _found(job, task)
        begun = state == BEGUN_BEFORE
        for file in there:
            check_target(file, overwrite=begun)
        return work(replace(job, begun=begun))

    return attempted(job, checked)


def _share_of_machine(device: str, index: int, workers: int, threads: int) -> str:
    """Take this worker's share of the cores and, where there are several GPUs, one of them; return the device.

    `threads` are those that the user asked for, 0 where not; this process's environment cannot tell, since dask sets
    OMP_NUM_THREADS there.
    """
    import torch

    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    torch.set_num_threads(threads or max(1, cores // workers))
    count = torch.cuda.device_count()
    return f"cuda:{index % count}" if device == "auto" and count > 1 else device


def _found(job: Job, task: Task) -> Outcome:
    """Return what there is to tell of a file whose worker was lost after it had written it."""
    from napari_dip.files.read_write import read
    from napari_dip.noise.residual import residual_check

    image, answer = read(job.source, axes=task.axes), read(job.target)
    residual = residual_check(image, answer) if answer.shape == image.shape else None
    record = {
        "input": str(job.source),
        "output": str(job.target),
        "status": DONE,
        "residual": residual,
    }
    return Outcome(record)
