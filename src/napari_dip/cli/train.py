"""The verb ``train``: a model out of noisy images; Ctrl-C stops and keeps what was learnt."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dip.batch.checks import check_axes, check_device, check_device_exists, check_writable
from napari_dip.cli.follow import ask_to_stop
from napari_dip.cli.output import DONE, FAILED, Talk, minutes
from napari_dip.cli.progress import progress
from napari_dip.errors import UsageError
from napari_dip.snapshot import consume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_dip.settings import Trained
    from napari_dip.snapshot import Snapshot
    from napari_dip.training.processes import ProcessGroup


@dataclass(frozen=True)
class Training:
    """What is trained on what; paths as the user wrote them."""

    settings: Trained
    data: Sequence[Path]
    targets: Sequence[Path] = ()
    preview: Path | None = None
    samples: Sequence[str] = ()
    axes: str | None = None
    resume: bool = False
    device: str = "auto"
    checkpoint_every: float = 60.0
    description: str = ""
    licence: str = ""


def checked(task: Training, out: Path, overwrite: bool) -> Path:
    """Return the checkpoint's name, after every check that needs no data."""
    check_device(task.device)
    check_axes(task.axes)
    if not task.checkpoint_every >= 0:  # no number (nan) is not either
        raise UsageError(
            f"--checkpoint-every is {task.checkpoint_every:g}; give seconds, 0 or more."
        )
    return _places(out, task.resume, overwrite)


def train(
    task: Training,
    out: Path,
    talk: Talk,
    checkpoint: Path,
    overwrite: bool,
    group: ProcessGroup | None = None,
) -> int:
    """Train, alone or as one of several processes; only the first of them writes files."""
    if group is None:
        check_device_exists(task.device)
    started = time.monotonic()
    final, stopped = _follow(task, out, checkpoint, talk, group)
    if group is None or group.is_first:
        final.model.save(out, overwrite=overwrite or task.resume)
        if not stopped:
            checkpoint.unlink(missing_ok=True)
    how = "stopped" if stopped else "done"
    more = f"; go on with --resume ({checkpoint.name})" if stopped else ""
    talk.say(
        f"{how}, step {final.step} of {final.total}, {minutes(time.monotonic() - started)} -> {out}{more}"
    )
    talk.result(
        {
            "output": str(out),
            "status": how,
            "steps": final.step,
            "seconds": time.monotonic() - started,
            "loss": final.loss,
            "validation": final.criterion,
            "checkpoint": str(checkpoint) if stopped else None,
            **final.model.described(),
        }
    )
    return FAILED if stopped else DONE


def _places(out: Path, resume: bool, overwrite: bool) -> Path:
    """Return the checkpoint's name, after refusing places that cannot be."""
    from napari_dip.models.model import SUFFIX

    if out.suffix.lower() != SUFFIX:
        raise UsageError(f"OUT is {out}, but a model is written as {SUFFIX}: give it that ending.")
    if out.is_dir():
        raise UsageError(f"OUT is the folder {out}: give the name of a file in it.")
    checkpoint = out.with_name(f"{out.stem}.checkpoint{SUFFIX}")
    if resume and not checkpoint.exists():
        raise UsageError(
            f"There is no checkpoint {checkpoint} to resume from: leave out --resume to start anew."
        )
    if checkpoint.exists() and not (overwrite or resume):
        raise UsageError(
            f"{checkpoint} is left of a training that was stopped: say --resume, or --overwrite to start anew."
        )
    if out.exists() and not (overwrite or resume):
        raise UsageError(f"{out} exists: choose another OUT, or say --overwrite.")
    check_writable(out.parent)
    return checkpoint


def _follow(
    task: Training, out: Path, checkpoint: Path, talk: Talk, group: ProcessGroup | None
) -> tuple[Snapshot, bool]:
    """Train to the end or to Ctrl-C, in any process; notes are said at once."""
    with progress(out.name, talk) as bar, ask_to_stop() as asked:

        def stop() -> bool:
            return asked.is_set() if group is None else group.any(asked.is_set())

        final, _, stopped = consume(
            _snapshots(task, out, checkpoint),
            bar.show,
            on_note=lambda note: talk.note(f"{out.name}: {note}"),
            stop=stop,
        )
    return final, stopped and final.step < final.total


def _snapshots(task: Training, out: Path, checkpoint: Path) -> Iterator[Snapshot]:
    """Yield the snapshots of the training; bad input is wrong usage."""
    from napari_dip.training.train import iter_train

    try:
        stream = iter_train(
            list(task.data),
            task.settings,
            targets=list(task.targets) or None,
            preview=task.preview,
            device=task.device,
            axes=task.axes,
            samples=list(task.samples) or None,
            checkpoint=checkpoint,
            checkpoint_every=task.checkpoint_every,
            resume=task.resume,
            description=task.description,
            licence=task.licence,
        )
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    yield from stream
