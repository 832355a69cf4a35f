"""Train a model, alone or as one of several processes that ``torchrun`` has started."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from napari_dip.batch.check_options import (
    check_axes,
    check_device,
    check_device_exists,
    check_writable,
)
from napari_dip.batch.estimate import format_duration
from napari_dip.cli.consume_with_progress import consume_with_progress
from napari_dip.cli.output import DONE, FAILED, MISUSED, Output
from napari_dip.errors import DenoiseError, UsageError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_dip.cli.train_options import TrainOptions
    from napari_dip.settings import Trained
    from napari_dip.snapshot import Snapshot
    from napari_dip.training.processes import ProcessGroup


def run(data: Sequence[Path], settings: Trained, options: TrainOptions, output: Output) -> int:
    """Train, write the model, and return the exit code.

    Started by ``torchrun``, all processes train together, and the first one speaks and writes.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong; of several processes, in the first.
    DenoiseError
        In each process in which the work breaks, such as when another one has ended.
    """
    if not started_by_torchrun():
        checkpoint = _check(options)
        check_device_exists(options.device)
        return _train(data, settings, options, output, checkpoint)
    from napari_dip.training.processes import join_group

    first = os.environ["RANK"] == "0"
    output = output if first else Output(quiet=True, silent=True)
    try:
        with join_group(options.device) as group:
            with group.fail_together():
                checkpoint = _check(options)
            return _train(data, settings, options, output, checkpoint, group)
    except UsageError:
        if first:
            raise
        return MISUSED
    except ValueError as error:
        if first:
            raise UsageError(str(error)) from error
        return MISUSED
    except DenoiseError as error:
        if first:
            raise
        raise DenoiseError(f"process {os.environ['RANK']}: {error}") from error


def started_by_torchrun() -> bool:
    """Return whether ``torchrun``, or what sets its variables, has started several processes."""
    known = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))
    return known and os.environ["WORLD_SIZE"].isdecimal() and int(os.environ["WORLD_SIZE"]) > 1


def _check(options: TrainOptions) -> Path:
    """Return the checkpoint's name, after every check that needs no data."""
    from napari_dip.models.model import SUFFIX

    check_device(options.device)
    check_axes(options.axes)
    if not options.checkpoint_every >= 0:  # no number (nan) is not either
        raise UsageError(
            f"--checkpoint-every is {options.checkpoint_every:g}; give seconds, 0 or more."
        )
    out, replace = options.out, options.overwrite or options.resume
    if out.suffix.lower() != SUFFIX:
        raise UsageError(f"OUT is {out}, but a model is written as {SUFFIX}: give it that ending.")
    if out.is_dir():
        raise UsageError(f"OUT is the folder {out}: give the name of a file in it.")
    checkpoint = out.with_name(f"{out.stem}.checkpoint{SUFFIX}")
    if options.resume and not checkpoint.exists():
        raise UsageError(
            f"There is no checkpoint {checkpoint} to resume from: leave out --resume to start anew."
        )
    if checkpoint.exists() and not replace:
        raise UsageError(
            f"{checkpoint} is left of a training that was stopped: say --resume, or --overwrite to "
            "start anew."
        )
    if out.exists() and not replace:
        raise UsageError(f"{out} exists", "other output", "overwrite")
    check_writable(out.parent)
    return checkpoint


def _train(
    data: Sequence[Path],
    settings: Trained,
    options: TrainOptions,
    output: Output,
    checkpoint: Path,
    group: ProcessGroup | None = None,
) -> int:
    """Train, alone or as one of several processes; only the first of them writes files."""
    started, out = time.monotonic(), options.out

    def stop(ctrl_c: threading.Event) -> bool:
        return ctrl_c.is_set() if group is None else group.any(ctrl_c.is_set())

    final, _, stopped = consume_with_progress(
        _snapshots(data, settings, options, checkpoint),
        out.name,
        output,
        stop=stop,
        keep_on_interrupt=False,
    )
    stopped = stopped and final.step < final.total
    if group is None or group.is_first:
        final.model.save(out, overwrite=options.overwrite or options.resume)
        if not stopped:
            checkpoint.unlink(missing_ok=True)
    status = "stopped" if stopped else "done"
    more = f"; go on with --resume ({checkpoint.name})" if stopped else ""
    seconds = time.monotonic() - started
    output.print(
        f"{status}, step {final.step} of {final.total}, {format_duration(seconds)} -> {out}{more}"
    )
    output.print_json(
        {
            "output": str(out),
            "status": status,
            "steps": final.step,
            "seconds": seconds,
            "loss": final.loss,
            "validation": final.criterion,
            "checkpoint": str(checkpoint) if stopped else None,
            **final.model.to_json(),
        }
    )
    return FAILED if stopped else DONE


def _snapshots(
    data: Sequence[Path], settings: Trained, options: TrainOptions, checkpoint: Path
) -> Iterator[Snapshot]:
    """Yield the snapshots of the training; bad input is wrong usage."""
    from napari_dip.training.train import iter_train

    try:
        stream = iter_train(
            list(data),
            settings,
            targets=options.targets or None,
            preview=options.preview,
            device=options.device,
            axes=options.axes,
            **options.part_options.part.given(),
            samples=options.samples or None,
            checkpoint=checkpoint,
            checkpoint_every=options.checkpoint_every,
            resume=options.resume,
            description=options.description,
            licence=options.licence,
        )
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    options.out.parent.mkdir(parents=True, exist_ok=True)
    yield from stream
