"""Run the verb ``train``, alone or as one of several processes that ``torchrun`` has started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_dip.cli.output import MISUSED, Talk
from napari_dip.cli.train import Training, checked, train
from napari_dip.errors import DenoiseError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def run(task: Training, out: Path, talk: Talk, *, overwrite: bool = False) -> int:
    """Train, write the model, and return the exit code.

    Started by ``torchrun``, all processes train together, and the first one speaks and writes the files.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    if started_by_torchrun():
        return _train_together(task, out, talk, overwrite)
    return train(task, out, talk, checked(task, out, overwrite), overwrite)


def started_by_torchrun() -> bool:
    """Return whether ``torchrun``, or what sets the same variables, has started several processes; loads no torch."""
    known = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))
    return known and os.environ["WORLD_SIZE"].isdecimal() and int(os.environ["WORLD_SIZE"]) > 1


def _train_together(task: Training, out: Path, talk: Talk, overwrite: bool) -> int:
    """Train together with the other processes, and return the exit code.

    Raises
    ------
    UsageError
        In the first process, when the call is wrong, in any of them.
    DenoiseError
        In each process in which the work breaks, such as when another one has ended.
    """
    from napari_dip.training.processes import joined_group

    first = os.environ["RANK"] == "0"
    talk = talk if first else Talk(quiet=True, silent=True)
    try:
        with joined_group(task.device) as group:
            with group.fail_together():
                checkpoint = checked(task, out, overwrite)
            return train(task, out, talk, checkpoint, overwrite, group)
    except (UsageError, ValueError) as error:
        if not first:
            return MISUSED
        if isinstance(error, UsageError):
            raise
        raise UsageError(str(error)) from error
    except DenoiseError as error:
        if first:
            raise
        raise DenoiseError(f"process {os.environ['RANK']}: {error}") from error
