"""One large stack as several tasks: chunks, each written to a file that all workers see, joined.

A stack is divided where that leaves the answer as it is: where no plane needs the answer of
another. The statistics of the whole stack go with every chunk. The answers lie in a hidden folder
beside the output, whose name holds what they are made from and how; a run after one that was killed
finds there which are done.
"""

from __future__ import annotations

import secrets
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.batch.chunk_folder import chunk_folder, delete_chunks
from napari_dip.batch.dask.chunk_plan import ChunkPlan, file_stamp
from napari_dip.batch.jobs import DONE_BEFORE
from napari_dip.batch.join import join_notes, join_parts, record_of_part
from napari_dip.batch.kept_planes import key_of, measure_whole
from napari_dip.batch.process_file import done_before, process_image
from napari_dip.batch.report import earlier_state
from napari_dip.batch.task import Task
from napari_dip.errors import DenoiseError
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.files.registry import format_of_name
from napari_dip.files.target import check_room, check_target
from napari_dip.methods.registry import METHODS
from napari_dip.planes.chunk import ChunkedStack
from napari_dip.snapshot import Consumed, Snapshot

if TYPE_CHECKING:
    from napari_dip.batch.jobs import Job
    from napari_dip.batch.process_file import Consume, Outcome
    from napari_dip.images.image import ArrayLike, Image

LARGE = 256 << 20  # bytes of the float32 answer from which a stack is worth the files
CHUNKS_PER_WORKER = 4  # so that one which is slow or lost holds up little


def plan_chunks(
    job: Job, task: Task, image: Image, source: dict[str, str], workers: int, large: int = LARGE
) -> ChunkPlan | None:
    """Divide a stack, as an earlier run did where that was killed.

    Returns None where that is not worth it or would change the answer.

    Raises
    ------
    ValueError
        For a stack that cannot be denoised.
    OSError
        If the disk has no room for the chunks beside the answer.
    """
    stacked = [i for i, letter in enumerate(image.axes) if letter in "TZ" and image.shape[i] > 1]
    if not _is_divisible(task) or not stacked or prod(image.shape) * 4 < large:
        return None
    folder = chunk_folder(job.target, key_of(task, source))
    delete_chunks(job.target, keep=folder)
    _check_room(job, task, image, folder)
    stamp = file_stamp(job.source)
    plan = ChunkPlan.load(folder, source, stamp)
    if plan is None:
        # The outermost axis that gives enough of them.
        wanted = CHUNKS_PER_WORKER * max(workers, 1)
        axis = max(stacked, key=lambda i: min(image.shape[i], wanted))
        length = image.shape[axis]
        count = min(length, wanted)
        bounds = tuple(length * number // count for number in range(count + 1))
        stats = measure_whole(image, task)
        plan = ChunkPlan(folder, axis, bounds, stats, source, stamp=stamp)
        plan.save()
    return plan


def _is_divisible(task: Task) -> bool:
    """Return whether every plane is worked on by itself."""
    if task.model is not None:
        return True
    record = METHODS.get(task.settings.method)
    return task.begin is None and record is not None and not record.warm_steps(task.settings)


def _check_room(job: Job, task: Task, image: Image, folder: Path) -> None:
    kinds, pixels = len(job.outputs), prod(image.shape)
    existing = sum(file.stat().st_size for file in folder.glob("*.tif"))
    itemsize = image.dtype.itemsize if task.dtype == "same" else 4
    outputs = pixels * (itemsize + 4 * (kinds - 1))
    chunks = max(4 * kinds * pixels - existing, 0)
    check_room(job.target, outputs + chunks, " with the chunks it is joined from")


def process_chunk(plan: ChunkPlan, number: int, job: Job, task: Task, consume: Consume) -> None:
    """Work on one chunk of a stack and write its answer, unless it is there.

    Nothing is done where it is not wanted any more: another chunk has failed, or another run is at
    work on the output.

    Raises
    ------
    DenoiseError
        If the file is not the one any more that was divided.
    """
    answer, std = plan.files(number)
    if not plan.folder.exists() or (_is_sound(answer) and (_is_sound(std) or not std.exists())):
        return
    try:
        image = task.read(job)
        _check_unchanged(plan, job)
        final, notes, _ = consume(task.snapshots(image, plan.chunk(number)))
        _check_unchanged(plan, job)
        made = record_of_part(final, notes)
        if job.std is not None and final.std is not None:  # first: where the answer is, all is
            write(std, replace(final.std, provenance=made), overwrite=True)
        write(answer, replace(final.image, provenance=made), overwrite=True)
    except Exception as error:
        if not plan.folder.exists():
            return
        if isinstance(error, OSError):  # the chunks may be of use once the disk is well again
            raise
        plan.delete()
        if not isinstance(error, DenoiseError):  # other content may be what broke it
            _check_unchanged(plan, job)
        raise


def _check_unchanged(plan: ChunkPlan, job: Job, *, thorough: bool = False) -> None:
    if not plan.is_made_from(job.source, thorough=thorough):
        raise DenoiseError(f"{job.source} changed while it was worked on; run it again.")


def _is_sound(file: Path) -> bool:
    """Return whether a file can be read: a file system that broke down may have left half of it."""
    try:
        return "provenance" in read_provenance(file) and read(file).shape != ()
    except (OSError, ValueError):
        return False


def join_chunks(plan: ChunkPlan, job: Job, task: Task) -> Outcome:
    """Write the output whose chunks are done.

    It is written among the chunks first: half of it, left by a kill, then goes with them.

    Raises
    ------
    DenoiseError
        If the chunks are gone, or the file is not the one any more that they were made from.
    """
    if not plan.is_complete():
        return _outcome_of_other_run(job, task)
    inside, record = plan.folder / f"whole-{secrets.token_hex(4)}", format_of_name(job.target)
    there = job
    if record is not None and not record.folder_signs:
        std = job.std and inside / job.std.name
        there = replace(job, target=inside / job.target.name, std=std, begun=True)
    try:
        image = task.read(job)
        _check_unchanged(plan, job, thorough=True)

        def consume(_: Iterator[Snapshot]) -> Consumed:
            return _joined(plan, image, std=job.std is not None)

        outcome = process_image(there, task, consume, image, plan.source)
        # The answer last: where it stands, all of it does.
        for made, file in zip(reversed(there.outputs), reversed(job.outputs), strict=True):
            if made != file:
                check_target(file, task.overwrite or job.begun)
                made.replace(file)
    except Exception as error:
        if isinstance(error, FileExistsError) or not plan.is_complete():
            return _outcome_of_other_run(job, task, error)
        if isinstance(error, DenoiseError):
            plan.delete()
        raise
    names = {"output": str(job.target), **({} if job.std is None else {"std": str(job.std)})}
    seconds = time.time() - plan.begun
    return replace(outcome, record={**outcome.record, **names, "seconds": seconds})


def _outcome_of_other_run(job: Job, task: Task, error: Exception | None = None) -> Outcome:
    """Return that another run has done the file; raise an error where it has not."""
    if earlier_state(task.expected_provenance())(job) == DONE_BEFORE:
        return replace(done_before(job), notes=("Another run has done it.",))
    if isinstance(error, FileExistsError):
        raise error
    raise DenoiseError(
        f"The chunks of {job.source} are gone, perhaps since another run works on {job.target}; "
        "run it again once that has ended."
    ) from error


def _joined(plan: ChunkPlan, image: Image, std: bool) -> Consumed:
    """Return what the stream would have ended with, had the stack been worked on as a whole."""
    records: list[Any] = [read_provenance(plan.files(number)[0]) for number in range(plan.count)]
    indices = image.plane_indices()
    places = [place for index in indices if isinstance(place := index[plan.axis], int)]

    def whole(kind: int) -> Image:
        def open_chunk(number: int) -> ArrayLike:
            return read(plan.files(number)[kind]).pixels

        return image.with_pixels(ChunkedStack(image.shape, [plan.axis], plan.bounds, open_chunk))

    parts = (bisect_right(plan.bounds, place) - 1 for place in places)
    final = join_parts(records, parts, len(indices), whole, std=std)
    return Consumed(final, join_notes(records, final.provenance), stopped=False)
