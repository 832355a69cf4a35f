"""The verbs that fit: every file read, fitted and written; what fails is said and the rest goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_dip.cli.batch import BEFORE, recognised, rehearse, report
from napari_dip.cli.follow import fit, signed
from napari_dip.cli.plan import Job, check_axes, check_device, check_found, plan, share
from napari_dip.cli.talk import DONE, FAILED, Talk, UsageError, minutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_dip.cli.follow import Begin
    from napari_dip.images.image import Image
    from napari_dip.settings import Settings
    from napari_dip.snapshot import Snapshot


REPORT_EVERY = 5.0  # seconds between two tables: of many small files, writing it after each would cost most


@dataclass(frozen=True)
class Task:
    """What is done to every file.

    Attributes
    ----------
    begin : callable, optional
        Starts the work on an image, called as `iter_denoise`, which it is by default.
    check : callable, optional
        Raises a ValueError for an image that the work cannot be done on.
    outline : callable, optional
        Returns an image of the answer's shape, where that is another.
    made : dict, optional
        By what the provenance of an output tells that it was made this way, where `begin` is given.
    std : bool
        Whether the standard deviation of every pixel is written beside each output.
    """

    settings: Settings
    device: str = "auto"
    axes: str | None = None
    dtype: str = "float32"
    overwrite: bool = False
    dry_run: bool = False
    shard: str | None = None
    begin: Begin | None = None
    check: Callable[[Image], None] | None = None
    outline: Callable[[Image], Image] | None = None
    made: dict[str, object] | None = None
    std: bool = False


def with_model(task: Task, path: Path) -> Task:
    """Apply a trained model instead of a fit.

    Raises
    ------
    UsageError
        If the file is no model.
    """
    from napari_dip.model import load_model

    try:
        model = load_model(path)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error

    def begin(image: Image, how: Settings, device: str) -> Iterator[Snapshot]:
        from napari_dip.api import iter_denoise

        return iter_denoise(image, model, device=device)

    made: dict[str, object] = {"settings": model.settings.described(), "model": model.told()}
    return replace(task, settings=model.settings, begin=begin, made=made)


def run(inputs: Sequence[Path], out: Path, task: Task, talk: Talk) -> int:
    """Work on the inputs and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    check_device(task.device)
    check_axes(task.axes)
    made = task.made or (None if task.begin else {"settings": task.settings.described()})
    seen = None if made is None else recognised({**made, "values": task.dtype})
    planned = plan(inputs, out, dtype=task.dtype, overwrite=task.overwrite, std=task.std, seen=seen)
    jobs = share(planned, task.shard)
    check_found(task.device)
    if task.dry_run:
        return rehearse(jobs, task.axes, task.dtype, talk)
    if len(jobs) == 1 and task.check is not None:
        _check_only(jobs[0], task, task.check)
    records: list[dict[str, Any]] = []
    due = 0.0
    for number, job in enumerate(jobs, start=1):
        label = job.source.name if len(jobs) == 1 else f"{job.source.name} ({number} of {len(jobs)})"
        records.append(_before(job) if job.done else _guarded(job, task, label, talk))
        if len(planned) > 1 and (time.monotonic() >= due or number == len(jobs) or _cut_off(records[-1])):
            _reported(out, records, task.shard, talk)
            due = time.monotonic() + REPORT_EVERY
        if _cut_off(records[-1]):
            break
    left = len(jobs) - len(records)
    if left:
        talk.note(f"Interrupted: {left} of {len(jobs)} files were not begun.")
    failed = sum(record["status"] == "failed" for record in records)
    if len(jobs) > 1:
        done, before = (sum(record["status"] == status for record in records) for status in ("done", BEFORE))
        talk.say(f"{done} of {len(jobs)} files done{f', {before} done before' if before else ''}, {failed} failed.")
    talk.result({"settings": task.settings.described(), "device": task.device, "files": records, "not_begun": left})
    return DONE if all(record["status"] in ("done", BEFORE) for record in records) else FAILED


def _cut_off(record: dict[str, Any]) -> bool:
    return bool(record["status"] == "interrupted")


def _reported(out: Path, records: Sequence[dict[str, Any]], shard: str | None, talk: Talk) -> None:
    """Write the table; where that can't be, as while another program holds it open, the files go on all the same."""
    try:
        report(out, records, shard)
    except OSError as error:
        talk.note(f"The table of the files could not be written: {error}")


def _before(job: Job) -> dict[str, Any]:
    return {"input": str(job.source), "output": str(job.target), "status": BEFORE}


def _check_only(job: Job, task: Task, check: Callable[[Image], None]) -> None:
    """Refuse the one image if the work cannot be done on it: then the call itself is wrong."""
    from napari_dip.images.files import read

    try:
        check(read(job.source, axes=task.axes))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _guarded(job: Job, task: Task, label: str, talk: Talk) -> dict[str, Any]:
    """Work on one file; a failure becomes a record, so that the next file gets its turn."""
    from napari_dip.errors import DenoiseError

    record: dict[str, Any] = {"input": str(job.source), "output": None, "status": "failed"}
    try:
        record |= _one(job, task, label, talk)
    except KeyboardInterrupt:
        record |= {
            "status": "interrupted",
            "error": "interrupted before there was an answer; nothing was written",
        }
    except (DenoiseError, OSError, ValueError, MemoryError) as error:
        record["error"] = str(error) or type(error).__name__
    except Exception as error:  # noqa: BLE001 - a bug must cost one file of a long batch, not the rest of it
        record["error"] = f"{type(error).__name__}: {error} (a bug in napari-dip: please report it)"
    if "error" in record:
        talk.note(f"{job.source}: {record['error']}")
    return record


def _one(job: Job, task: Task, label: str, talk: Talk) -> dict[str, Any]:
    """Read, fit, write and report one file."""
    from napari_dip.images.files import check_fits, read, sha256, write
    from napari_dip.images.quality import residual_check

    image = read(job.source, axes=task.axes)
    check_fits(job.target, task.outline(image) if task.outline else image, task.dtype)  # before the fit, not after it
    # The hash of what was read: the file may change, or its disk go away, during a long fit.
    source = {"name": job.source.name, "sha256": sha256(job.source)}
    started = time.monotonic()
    notes: list[str] = []
    final, interrupted = fit(image, task.settings, task.device, label, talk, notes=notes, begin=task.begin)
    seconds = time.monotonic() - started
    answer = signed(final, source, interrupted)
    answer = replace(answer, provenance={**answer.provenance, "values": task.dtype})
    dtype = image.dtype if task.dtype == "same" else "float32"
    job.target.parent.mkdir(parents=True, exist_ok=True)
    overwrite = task.overwrite or job.begun
    if job.std is not None and final.std is not None:  # first: where the answer stands, all of it does
        record = {**answer.provenance, "holds": "the standard deviation of every pixel"}
        write(job.std, replace(final.std, provenance=record), overwrite=overwrite)
    clipped = write(job.target, answer, dtype=dtype, overwrite=overwrite)
    talk.say(f"{job.source}: {_summary(final, interrupted)}, {minutes(seconds)} -> {job.target}")
    if task.dtype == "same" and image.dtype.kind in "ui":
        talk.say(f"{job.target}: {clipped} values clipped to {image.dtype}.")
    return {
        "output": str(job.target),
        **({} if job.std is None else {"std": str(job.std)}),
        "status": "interrupted" if interrupted else "done",
        "steps": final.step,
        "chosen": final.chosen,
        "planes": final.planes,
        "seconds": seconds,
        "device": final.provenance.get("device"),
        "note": " ".join(notes),
        "clipped": clipped,
        "residual": residual_check(image, answer) if answer.shape == image.shape else None,
    }


def _summary(final: Snapshot, interrupted: bool) -> str:
    """Say how a fit ended; a step counted over all planes of a stack would tell nobody anything."""
    if final.chosen == 0 and not interrupted:
        return "left as it is"
    if final.planes == 1:
        step = f"step {final.chosen} of {final.step}"
        return f"interrupted, the answer so far is {step}" if interrupted else f"done, {step} taken"
    if interrupted:
        return f"interrupted in plane {final.plane + 1} of {final.planes}; planes not reached are the input's"
    return f"done, {final.planes} planes"
