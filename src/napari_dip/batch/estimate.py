"""How long work will take on this machine, from its first seconds."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from napari_dip.batch.report import TO_DO
from napari_dip.errors import DenoiseError
from napari_dip.methods.registry import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task
    from napari_dip.snapshot import Snapshot

PROBE = 3.0  # seconds of steps that are timed, after the first one
SIDE, SHORT_PROBE = 192, 1.0  # pixels, seconds: of the made-up image for `estimate_image`
WHOLE_IMAGE = 2.0  # times what the first picture takes: all looks at the image, and the end


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
    try:
        seconds = estimate_seconds(task.snapshots(task.read(first)), stop=stop)
    except (ValueError, OSError, DenoiseError) as error:
        return None, f"How long it takes can't be told from {first.source.name}: {error}"
    if stop():
        return None, ""
    seconds *= float(sum(row["bytes"] for _, row in to_do) / about["bytes"])
    earlier = "" if task.model else "; fits often end earlier"
    return seconds, (
        f"About {format_duration(seconds)} in one process on this machine, from the first seconds "
        f"of {first.source.name}{earlier}."
    )


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


def estimate_image(pixels: int, planes: int, how: Any, device: object = "auto") -> float:
    """Return about how many seconds an image takes on this machine, without a look at it.

    The same method is begun on a made-up image, for one to three seconds the first time; what that
    tells is kept. Half or twice as long is within what such an estimate leaves open.

    Parameters
    ----------
    pixels : int
        Of a plane.
    planes : int
        How many, each channel's counted.
    how : Settings or Model
        Method and settings, or a trained model.
    device : str or torch.device
        As for `napari_dip.denoise`.

    Raises
    ------
    ValueError, DenoiseError
        As `napari_dip.denoise` does, such as for a device that is not there.
    """
    first, step, steps = _time_steps(how, str(device))
    ratio = pixels / SIDE**2
    record = METHODS.get(getattr(how, "method", ""))
    if record is None:  # a model: each pixel takes the same
        return planes * ratio * (first + step * steps)
    in_parts = getattr(how, "crop", 0) or getattr(how, "patch", 0)
    of_steps = step * steps * (1 if in_parts else ratio)
    around = first * ratio * (WHOLE_IMAGE if in_parts else 1)
    share = record.warm_steps(how) / how.steps or 1
    return around * planes + of_steps * (1 + share * (planes - 1))


@lru_cache(maxsize=32)
def _time_steps(how: Any, device: str) -> tuple[float, float, int]:
    """Return the seconds to the first picture, and of a step after it, and how many those are."""
    import numpy as np

    from napari_dip.api import iter_denoise

    noisy = np.random.default_rng(0).poisson(20, (SIDE, SIDE)).astype(np.float32)
    next(iter(iter_denoise(noisy[:64, :64], how, device=device)))  # what is loaded at first use
    started = time.perf_counter()
    work = iter(iter_denoise(noisy, how, device=device))
    first = newest = next(work)
    begun = now = time.perf_counter()
    while now - begun < SHORT_PROBE and (snapshot := next(work, None)):
        newest, now = snapshot, time.perf_counter()
    done = max(newest.step - first.step, 1)
    return begun - started, (now - begun) / done, newest.total - first.step


def format_duration(seconds: float) -> str:
    """Write a duration as m:ss, or h:mm:ss from an hour on."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
