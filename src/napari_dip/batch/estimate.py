"""How long work will take on this machine, from its first seconds."""

from __future__ import annotations

import time
from math import prod
from typing import TYPE_CHECKING, Any

from napari_dip.batch.expected_time import expected_seconds
from napari_dip.batch.report import TO_DO
from napari_dip.errors import DenoiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task
    from napari_dip.snapshot import Snapshot

PROBE = 3.0  # seconds of steps that are timed, after the first one


def estimate_run(
    jobs: Sequence[Job],
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[float | None, str]:
    """Return how many seconds a run takes, from its first file, and a sentence that says so.

    Parameters
    ----------
    jobs, rows
        The files, and what `napari_dip.batch.report.dry_run` says of each.
    task : Task
        What is done to them.
    stop : callable
        Is asked after each step whether to give up; then nothing is said.
    """
    to_do = [(job, row) for job, row in zip(jobs, rows, strict=True) if row["status"] == TO_DO]
    if not to_do:
        return None, ""
    first, about = to_do[0]
    of_first = _expected(about, task)
    of_all = sum(_expected(row, task) for _, row in to_do)
    try:
        seconds = estimate_seconds(task.snapshots(task.read(first)), stop=stop)
    except (ValueError, OSError, DenoiseError) as error:
        return None, f"How long it takes can't be told from {first.source.name}: {error}"
    if stop():
        return None, ""
    seconds *= of_all / of_first
    earlier = "" if task.model else "; fits often end earlier"
    return seconds, (
        f"About {format_duration(seconds)} in one process on this machine, from the first seconds "
        f"of {first.source.name}{earlier}."
    )


def _expected(row: Mapping[str, Any], task: Task) -> float:
    """Return a number that grows as the time of a file: seconds of a fit, else the answer's bytes.

    Small images take as long as larger ones where a step sees a part of any image.
    """
    if task.begin is None and task.prepare is None:
        sides = [n for axis, n in zip(row["axes"], row["shape"], strict=True) if axis in "YX"]
        planes = prod(row["shape"]) // prod(sides)
        if seconds := expected_seconds(sides, task.settings, task.device, planes=planes):
            return seconds
    return float(row["bytes"])


def estimate_seconds(
    snapshots: Iterator[Snapshot], probe: float = PROBE, stop: Callable[[], bool] = lambda: False
) -> float:
    """Return how many seconds work takes at most, from the time of its first steps.

    It is begun and given up. A fit may end before its last step, and the planes of a stack that go
    on from the one before take fewer.

    Parameters
    ----------
    snapshots : iterator of Snapshot
        The work, not begun yet.
    probe : float
        Seconds of steps that are timed.
    stop : callable
        Is asked after each step whether to give up.

    Raises
    ------
    ValueError, DenoiseError
        As the work does.
    """
    started = now = time.perf_counter()
    first = None
    for snapshot in snapshots:
        now = time.perf_counter()
        if first is None:
            first = now, snapshot.step
        left = snapshot.total - snapshot.step
        if left <= 0 or stop():
            break
        if now - first[0] >= probe and snapshot.step > first[1]:
            return now - started + left * (now - first[0]) / (snapshot.step - first[1])
    return now - started


def format_duration(seconds: float) -> str:
    """Write a duration as m:ss, or h:mm:ss from an hour on."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
