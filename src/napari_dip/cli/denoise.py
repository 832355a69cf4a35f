"""The verb ``denoise``: every file read, fitted and written; what fails is said and the rest goes on."""

from __future__ import annotations

import re
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_dip.cli.plan import Job, plan
from napari_dip.cli.progress import progress
from napari_dip.cli.talk import DONE, FAILED, Talk, UsageError, minutes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_dip.cli.picture import Point
    from napari_dip.images.image import Image
    from napari_dip.settings import Settings
    from napari_dip.snapshot import Snapshot

DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class Task:
    """What is done to every file."""

    settings: Settings
    device: str = "auto"
    axes: str | None = None
    dtype: str = "float32"
    overwrite: bool = False


def run(inputs: Sequence[Path], out: Path, task: Task, talk: Talk) -> int:
    """Denoise the inputs and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    check_device(task.device)
    jobs = plan(inputs, out, dtype=task.dtype, overwrite=task.overwrite)
    records: list[dict[str, Any]] = []
    for number, job in enumerate(jobs, start=1):
        label = job.source.name if len(jobs) == 1 else f"{job.source.name} ({number} of {len(jobs)})"
        records.append(_guarded(job, task, label, talk))
        if records[-1]["status"] == "interrupted":
            break
    left = len(jobs) - len(records)
    if left:
        talk.note(f"Interrupted: {left} of {len(jobs)} files were not begun.")
    failed = sum(record["status"] == "failed" for record in records)
    if len(jobs) > 1:
        done = sum(record["status"] == "done" for record in records)
        talk.say(f"{done} of {len(jobs)} files done, {failed} failed.")
    talk.result({"settings": task.settings.described(), "device": task.device, "files": records, "not_begun": left})
    return DONE if all(record["status"] == "done" for record in records) else FAILED


def check_device(device: str) -> None:
    """Refuse a device that is no device's name; whether it is there is known once torch is loaded.

    Raises
    ------
    UsageError
        With the names that are known.
    """
    if not DEVICES.fullmatch(device):
        raise UsageError(f"--device is {device!r}; it must be auto, cpu, mps, or cuda:0 (or another number).")


def _guarded(job: Job, task: Task, label: str, talk: Talk) -> dict[str, Any]:
    """Denoise one file; a failure becomes a record, so that the next file gets its turn."""
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
    from napari_dip.images.files import read, sha256, write

    image = read(job.source, axes=task.axes)
    _check_fits(image, job.target, task.dtype)
    # The hash of what was read: the file may change, or its disk go away, during a long fit.
    source = {"name": job.source.name, "sha256": sha256(job.source)}
    started = time.monotonic()
    final, interrupted = fit(image, task.settings, task.device, label, talk)
    seconds = time.monotonic() - started
    answer = signed(final, source, interrupted)
    dtype = image.dtype if task.dtype == "same" else "float32"
    job.target.parent.mkdir(parents=True, exist_ok=True)
    clipped = write(job.target, answer, dtype=dtype, overwrite=task.overwrite)
    state = "interrupted, the answer so far is" if interrupted else "done,"
    talk.say(f"{job.source}: {state} step {final.chosen} of {final.step}, {minutes(seconds)} -> {job.target}")
    if final.note:
        talk.note(f"{job.source}: {final.note}")
    if task.dtype == "same":
        talk.say(f"{job.target}: {clipped} values clipped to {image.dtype}.")
    return {
        "output": str(job.target),
        "status": "interrupted" if interrupted else "done",
        "steps": final.step,
        "chosen": final.chosen,
        "seconds": seconds,
        "note": final.note,
        "clipped": clipped,
    }


def fit(
    image: Image, how: Settings, device: str, label: str, talk: Talk, curve: list[Point] | None = None
) -> tuple[Snapshot, bool]:
    """Follow a fit to its end, or to Ctrl-C.

    Parameters
    ----------
    curve : list of (step, loss, criterion), optional
        Is given a point a step; the snapshots themselves are let go, since each can hold a whole picture.

    Returns
    -------
    final : Snapshot
        The last one, whose image is the answer.
    interrupted : bool
        Whether Ctrl-C ended it.

    Raises
    ------
    KeyboardInterrupt
        When interrupted before the first step was done.
    """
    from napari_dip.api import iter_denoise

    final: Snapshot | None = None
    interrupted = False
    try:
        with progress(label, talk) as bar, ask_to_stop() as asked:
            for final in iter_denoise(image, how, device=device):
                if curve is not None:
                    curve.append((final.step, final.loss, final.criterion))
                bar.show(final)
                if asked.is_set():
                    interrupted = True
                    break
    except KeyboardInterrupt:
        interrupted = True
        if final is None:
            raise
    if final is None:
        raise ValueError(f"{label}: the method gave no answer.")
    return final, interrupted


@contextmanager
def ask_to_stop() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set a flag, so that the step at hand ends well; the second interrupts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals can't be caught there
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def first(number: int, frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, first)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def signed(final: Snapshot, source: dict[str, str], interrupted: bool = False) -> Image:
    """Return the answer with its provenance: what made it, and the name and hash of the file it came from."""
    record = {**final.provenance, "source": source}
    if interrupted:
        record["interrupted"] = True
    return replace(final.image, provenance=record)


def _check_fits(image: Image, target: Path, dtype: str) -> None:
    """Refuse before the fit what the output's format could not hold after it."""
    if target.suffix.lower() != ".png":
        return
    if image.axes not in ("YX", "YXC"):
        raise ValueError(f"A PNG holds one plane, but the image has axes {image.axes}: write a .tif.")
    if dtype == "same" and image.dtype not in ("uint8", "uint16"):
        raise ValueError(f"A PNG holds uint8 or uint16, but the image is {image.dtype}: write a .tif.")
