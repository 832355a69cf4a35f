"""One file of many: read, worked on, written, and the record of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from napari_dip.batch.check_options import check_axes, check_device, check_device_exists
from napari_dip.batch.chunk_folder import delete_chunks
from napari_dip.batch.contact_sheet import pictures_of
from napari_dip.batch.jobs import DONE_BEFORE, HOLDS_STD, Job, plan_jobs, take_shard
from napari_dip.batch.report import BEFORE, DONE, FAILED, INTERRUPTED, earlier_state
from napari_dip.errors import DenoiseError, UsageError
from napari_dip.files.atomic import remove_leftovers
from napari_dip.snapshot import Consumed, Snapshot, is_unchanged

if TYPE_CHECKING:
    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image

Consume = Callable[[Iterator[Snapshot]], Consumed]  # such as napari_dip.snapshot.consume
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    record : dict
        The row of the report and of the JSON object.
    summary : str
        How it ended in a few words, where there is an answer.
    integers : str
        The integer type that the answer was rounded and clipped to, where it was.
    notes : tuple of str
        Notes of the method.
    pictures : mapping
        Pieces of raw, answer and residual for the contact sheet, as HTML shows them.
    """

    record: dict[str, Any]
    summary: str = ""
    integers: str = ""
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """Whether it was interrupted, so that no other file is to follow."""
        return bool(self.record["status"] == INTERRUPTED)


def check_and_plan(
    inputs: Sequence[Path], out: Path, task: Task, *, into_folder: bool = False
) -> tuple[list[Job], list[Job]]:
    """Check a call and return the jobs of all machines, and those of this one; see `plan_jobs`.

    Raises
    ------
    UsageError
        When the call is wrong.
    """
    check_device(task.device)
    check_axes(task.axes)
    expected = task.expected_provenance()
    planned = plan_jobs(
        inputs,
        out,
        dtype=task.dtype,
        overwrite=task.overwrite,
        std=task.std,
        earlier_state=earlier_state(expected) if expected else None,
        pattern=task.pattern,
        recursive=task.recursive,
        series=task.part.series,
        into_folder=into_folder,
    )
    jobs = take_shard(planned, task.shard)
    if not task.dry_run:
        for folder in {job.target.parent for job in jobs}:
            remove_leftovers(folder)
    check_device_exists(task.device)
    if not task.dry_run and len(jobs) == 1 and task.check is not None:
        _check_only_image(jobs[0], task, task.check)
    return planned, jobs


def _check_only_image(job: Job, task: Task, check: Callable[[Image], object]) -> None:
    """Refuse the one image if the work cannot be done on it: then the call itself is wrong."""
    try:
        check(task.read(job))
    except ValueError as error:
        raise UsageError(str(error)) from error


def done_before(job: Job) -> Outcome:
    """Return the outcome of a file that an earlier run has done."""
    return Outcome({**names_of(job), "output": str(job.target), "status": BEFORE})


def names_of(job: Job) -> dict[str, Any]:
    """Return what a job is known by in the report and the JSON object."""
    series = {} if job.series is None else {"series": job.series}
    return {"input": str(job.source), **series}


def process_file(job: Job, task: Task, consume: Consume) -> Outcome:
    """Work on one file; a failure becomes a record, so that the next file gets its turn.

    Parameters
    ----------
    job, task
        Which file, and what is done to it.
    consume : callable
        Reads the stream of snapshots, such as `napari_dip.snapshot.consume`.
    """

    def work() -> Outcome:
        if not (task.overwrite or job.begun) and job.target.exists():  # since the run was planned
            return _done_by_another(job, task) or _refuse(job)
        try:
            return process_image(job, task, consume, *read_input(job, task))
        except OSError:
            if (outcome := _done_by_another(job, task)) is None:
                raise
            return outcome

    return record_failure(job, work)


def _done_by_another(job: Job, task: Task) -> Outcome | None:
    """Return the outcome of a file that another run has done meanwhile, None where none has."""
    expected = task.expected_provenance()
    if task.overwrite or not expected or earlier_state(expected)(job) != DONE_BEFORE:
        return None
    return replace(done_before(job), notes=("Another run has done it.",))


def _refuse(job: Job) -> NoReturn:
    raise FileExistsError(f"{job.target} has appeared meanwhile and was not replaced.")


def record_failure(job: Job, work: Callable[[], Result]) -> Result | Outcome:
    """Return the result of the work on one file, or its failure as a record."""
    record: dict[str, Any] = {**names_of(job), "output": None, "status": FAILED}
    try:
        return work()
    except KeyboardInterrupt:
        sentence = "interrupted before there was an answer; nothing was written"
        record |= {"status": INTERRUPTED, "error": sentence}
    except (DenoiseError, OSError, ValueError, MemoryError) as error:
        record["error"] = str(error) or type(error).__name__
    except Exception as error:  # noqa: BLE001 - a bug must cost one file, not the rest
        record["error"] = f"{type(error).__name__}: {error} (a bug in napari-dip: please report it)"
    return Outcome(record)


def read_input(job: Job, task: Task) -> tuple[Image, dict[str, str]]:
    """Read one file, and return its image, and its name and hash for the output's provenance.

    What a reader has warned of is among the image's remarks.
    """
    from napari_dip.files.checksum import sha256_of_image
    from napari_dip.files.read_write import check_fits

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = task.read(job)
    warned = (str(one.message) for one in caught if one.category is UserWarning)
    image = replace(image, remarks=(*image.remarks, *warned))
    # Before the fit, not after it.
    check_fits(job.target, task.outline(image) if task.outline else image, task.dtype)
    # The hash of what was read: the file may change, or its disk go away, during a long fit.
    source = {"name": job.source.name, "sha256": sha256_of_image(job.source)}
    return image, source if job.series is None else {**source, "series": str(job.series)}


def process_image(
    job: Job, task: Task, consume: Consume, image: Image, source: dict[str, str]
) -> Outcome:
    """Work on an image that was read, write the answer, and return the record."""
    from napari_dip.batch.kept_planes import keep_planes
    from napari_dip.files.read_write import write
    from napari_dip.noise.residual import residual_check
    from napari_dip.planes.judge_image import judge_image

    started = time.monotonic()
    try:
        final, notes, interrupted = consume(keep_planes(job, task, image, source))
        _check_unchanged(job, source)
    except (ValueError, DenoiseError) as error:  # but for lack of memory it would fail again
        if not isinstance(error.__cause__, MemoryError | RuntimeError):
            delete_chunks(job.target)
        raise
    seconds = time.monotonic() - started
    answer = with_source(final, source, interrupted)
    denoised = task.restoration is None and not interrupted
    verdict = judge_image(image, answer) if denoised else None
    said = {"verdict": verdict.to_json()} if verdict else {}
    made = {**answer.provenance, **(task.made or {}), **task.recorded_options(), **said}
    answer = replace(answer, provenance=made)
    dtype = image.dtype if task.dtype == "same" else "float32"
    job.target.parent.mkdir(parents=True, exist_ok=True)
    overwrite = task.overwrite or job.begun
    how = {"compression": task.compression, "ome_zarr": task.ome_zarr}
    if job.std is not None and final.std is not None:  # first: where the answer is, all of it is
        made = {**made, "holds": HOLDS_STD}
        write(job.std, replace(final.std, provenance=made), overwrite=overwrite, **how)
    clipped = write(job.target, answer, dtype=dtype, overwrite=overwrite, **how)
    record = {
        **names_of(job),
        "output": str(job.target),
        **({} if job.std is None else {"std": str(job.std)}),
        "status": INTERRUPTED if interrupted else DONE,
        "steps": final.step,
        "chosen": final.chosen,
        "planes": final.planes,
        "seconds": seconds,
        **{name: final.provenance.get(name) for name in ("device", "device_name")},
        **{name: of for name, of in made.items() if name == "part"},
        "note": " ".join([*notes, *([verdict.sentence] if verdict and verdict.flagged else [])]),
        "clipped": clipped,
        "residual": residual_check(image, answer) if answer.shape == image.shape else None,
        **said,
    }
    pictures = _pictures(image, answer)
    if not interrupted:
        # What was kept of it, also by a run that was killed; the answer has been read from there.
        delete_chunks(job.target)
    integers = str(image.dtype) if task.dtype == "same" and image.dtype.kind in "ui" else ""
    return Outcome(record, _summary(final, interrupted), integers, notes, pictures)


def _pictures(image: Image, answer: Image) -> dict[str, str]:
    try:
        return pictures_of(image, answer)
    except Exception:  # noqa: BLE001 - the answer is written: no picture may cost it
        return {}


def _check_unchanged(job: Job, source: dict[str, str]) -> None:
    """Refuse an answer to a file that is another by now: parts of it may have been read before."""
    from napari_dip.files.checksum import sha256_of_image

    try:
        now = sha256_of_image(job.source)
    except OSError:  # its disk may go away during a long fit
        return
    if now != source["sha256"]:
        raise DenoiseError(f"{job.source} changed while it was worked on; run it again.")


def _summary(final: Snapshot, interrupted: bool) -> str:
    """Say how a fit ended; a step counted over all planes of a stack would tell nobody anything."""
    if is_unchanged(final.provenance) and not interrupted:
        return "left as it is"
    gaps = final.provenance.get("missing_pixels")
    filled = "" if gaps is None else f", missing pixels: {gaps}"
    if final.planes > 1 and interrupted:
        return (
            f"interrupted in plane {final.plane + 1} of {final.planes}; planes not reached are "
            "the input's"
        )
    if final.planes > 1:
        return f"done, {final.planes} planes{filled}"
    step = f"step {final.chosen} of {final.step}"
    if interrupted:
        return f"interrupted, the answer so far is {step}{filled}"
    if "model" in final.provenance:
        return f"done, mean of {final.step} orientations" if final.step > 1 else "done"
    return f"done, {step} taken{filled}"


def with_source(final: Snapshot, source: dict[str, str], interrupted: bool = False) -> Image:
    """Return the answer with its provenance: what made it, and from which file."""
    made = {**final.provenance, "source": source}
    if interrupted:
        made["interrupted"] = True
    return replace(final.image, provenance=made)
