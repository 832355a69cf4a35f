"""One file of many: read, worked on, written, and what there is to tell of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_dip.batch.checks import check_axes, check_device, check_found
from napari_dip.batch.jobs import plan, share
from napari_dip.batch.pieces_folder import delete_pieces
from napari_dip.batch.report import BEFORE, DONE, FAILED, INTERRUPTED, recognised
from napari_dip.batch.task import asked, made_by
from napari_dip.errors import DenoiseError, UsageError
from napari_dip.snapshot import unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image
    from napari_dip.snapshot import Snapshot

    Follow = Callable[[Image, list[str]], tuple[Snapshot, bool]]
Done = TypeVar("Done")


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    record : dict
        The row of the table and of the JSON object.
    summary : str
        How it ended in a few words, where there is an answer.
    integers : str
        The integer type that the answer was rounded and clipped to, where it was.
    notes : tuple of str
        What was remarked on the way.
    """

    record: dict[str, Any]
    summary: str = ""
    integers: str = ""
    notes: tuple[str, ...] = ()

    @property
    def cut_off(self) -> bool:
        """Whether it was interrupted, so that no other file is to follow."""
        return bool(self.record["status"] == INTERRUPTED)


def jobs_of(inputs: Sequence[Path], out: Path, task: Task) -> tuple[list[Job], list[Job]]:
    """Check the call and return the jobs of all machines, and those of this one.

    Raises
    ------
    UsageError
        With a sentence, when the call is wrong.
    """
    check_device(task.device)
    check_axes(task.axes)
    made = made_by(task)
    seen = recognised(made) if made else None
    planned = plan(
        inputs,
        out,
        dtype=task.dtype,
        overwrite=task.overwrite,
        std=task.std,
        seen=seen,
        pattern=task.pattern,
        recursive=task.recursive,
    )
    jobs = share(planned, task.shard)
    check_found(task.device)
    if not task.dry_run and len(jobs) == 1 and task.check is not None:
        _check_only(jobs[0], task, task.check)
    return planned, jobs


def _check_only(job: Job, task: Task, check: Callable[[Image], object]) -> None:
    """Refuse the one image if the work cannot be done on it: then the call itself is wrong."""
    from napari_dip.files.read_write import read

    try:
        check(read(job.source, axes=task.axes))
    except ValueError as error:
        raise UsageError(str(error)) from error


def done_before(job: Job) -> Outcome:
    """Return what there is to tell of a file that an earlier run has done."""
    return Outcome({"input": str(job.source), "output": str(job.target), "status": BEFORE})


def guarded(job: Job, task: Task, follow: Follow) -> Outcome:
    """Work on one file; a failure becomes a record, so that the next file gets its turn.

    Parameters
    ----------
    job, task
        Which file, and what is done to it.
    follow : callable
        Is given the image and a list for remarks; does the work, and returns the last Snapshot and whether the work
        was interrupted.
    """
    return attempted(job, lambda: worked(job, task, follow, *opened(job, task)))


def attempted(job: Job, work: Callable[[], Done]) -> Done | Outcome:
    """Do what may fail for one file, and return what came of it, or the failure as a record."""
    record: dict[str, Any] = {"input": str(job.source), "output": None, "status": FAILED}
    try:
        return work()
    except KeyboardInterrupt:
        record |= {
            "status": INTERRUPTED,
            "error": "interrupted before there was an answer; nothing was written",
        }
    except (DenoiseError, OSError, ValueError, MemoryError) as error:
        record["error"] = str(error) or type(error).__name__
    except Exception as error:  # noqa: BLE001 - a bug must cost one file of a long batch, not the rest of it
        record["error"] = f"{type(error).__name__}: {error} (a bug in napari-dip: please report it)"
    return Outcome(record)


def opened(job: Job, task: Task) -> tuple[Image, dict[str, str]]:
    """Read one file, and return its image and what the output is to say of it: its name and hash."""
    from napari_dip.files.checksum import sha256
    from napari_dip.files.read_write import check_fits, read

    image = read(job.source, axes=task.axes)
    check_fits(
        job.target, task.outline(image) if task.outline else image, task.dtype
    )  # before the fit, not after it
    # The hash of what was read: the file may change, or its disk go away, during a long fit.
    return image, {"name": job.source.name, "sha256": sha256(job.source)}


def worked(job: Job, task: Task, follow: Follow, image: Image, source: dict[str, str]) -> Outcome:
    """Fit, write and report one file that was opened."""
    from napari_dip.files.read_write import write
    from napari_dip.noise.residual import residual_check

    started = time.monotonic()
    notes: list[str] = []
    final, interrupted = follow(image, notes)
    seconds = time.monotonic() - started
    answer = signed(final, source, interrupted)
    answer = replace(answer, provenance={**answer.provenance, **(task.made or {}), **asked(task)})
    dtype = image.dtype if task.dtype == "same" else "float32"
    job.target.parent.mkdir(parents=True, exist_ok=True)
    overwrite = task.overwrite or job.begun
    if (
        job.std is not None and final.std is not None
    ):  # first: where the answer stands, all of it does
        record = {**answer.provenance, "holds": "the standard deviation of every pixel"}
        write(job.std, replace(final.std, provenance=record), overwrite=overwrite)
    clipped = write(job.target, answer, dtype=dtype, overwrite=overwrite)
    if not interrupted:
        delete_pieces(job.target)  # of a run on workers that was killed
    told = {
        "input": str(job.source),
        "output": str(job.target),
        **({} if job.std is None else {"std": str(job.std)}),
        "status": INTERRUPTED if interrupted else DONE,
        "steps": final.step,
        "chosen": final.chosen,
        "planes": final.planes,
        "seconds": seconds,
        "device": final.provenance.get("device"),
        "note": " ".join(notes),
        "clipped": clipped,
        "residual": residual_check(image, answer) if answer.shape == image.shape else None,
    }
    integers = str(image.dtype) if task.dtype == "same" and image.dtype.kind in "ui" else ""
    return Outcome(told, _summary(final, interrupted), integers, tuple(notes))


def _summary(final: Snapshot, interrupted: bool) -> str:
    """Say how a fit ended; a step counted over all planes of a stack would tell nobody anything."""
    if unchanged(final.provenance) and not interrupted:
        return "left as it is"
    gaps = final.provenance.get("missing_pixels")
    filled = "" if gaps is None else f", missing pixels: {gaps}"
    if final.planes == 1 and "model" in final.provenance and not interrupted:
        return f"done, mean of {final.step} orientations"
    if final.planes == 1:
        step = f"step {final.chosen} of {final.step}"
        return (
            f"interrupted, the answer so far is {step}{filled}"
            if interrupted
            else f"done, {step} taken{filled}"
        )
    if interrupted:
        return f"interrupted in plane {final.plane + 1} of {final.planes}; planes not reached are the input's"
    return f"done, {final.planes} planes{filled}"


def signed(final: Snapshot, source: dict[str, str], interrupted: bool = False) -> Image:
    """Return the answer with its provenance: what made it, and the name and hash of the file it came from."""
    record = {**final.provenance, "source": source}
    if interrupted:
        record["interrupted"] = True
    return replace(final.image, provenance=record)
