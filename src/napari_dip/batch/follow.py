"""Follow the work on one file to its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image
    from napari_dip.snapshot import Snapshot


def followed(
    image: Image,
    task: Task,
    notes: list[str],
    moved: Callable[[Snapshot], None],
    every: float,
    stopping: Callable[[], bool] = lambda: False,
) -> tuple[Snapshot, bool]:
    """Work on an image, and return the last Snapshot and whether the work was stopped.

    Parameters
    ----------
    notes : list of str
        Remarks on the way are added, each once.
    moved : callable
        Is told how far the work is, at most each `every` seconds.
    stopping : callable
        Says whether to stop; asked after each step.

    Raises
    ------
    ValueError
        If the method gave no answer.
    """
    from napari_dip.api import iter_denoise

    final, due = None, 0.0
    for final in (task.begin or iter_denoise)(image, how=task.settings, device=task.device):
        if final.note and final.note not in notes:
            notes.append(final.note)
        if time.monotonic() >= due:
            moved(final)
            due = time.monotonic() + every
        if stopping():
            break
    if final is None:
        raise ValueError("the method gave no answer.")
    return final, stopping()
