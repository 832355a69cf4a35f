"""What the restorations share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_dip.images.image import ArrayLike, Image
from napari_dip.settings import PriorSettings
from napari_dip.snapshot import Snapshot, finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

Chosen = TypeVar("Chosen", bound=PriorSettings)


def checked(how: Chosen | None, task: type[Chosen]) -> Chosen:
    """Return the settings, the task's own defaults where none are given.

    Raises
    ------
    ValueError
        For anything but settings of that task.
    """
    if how is None:
        return task.preset("fast")
    if not isinstance(how, task):
        name = task.__name__
        raise ValueError(
            f"how is {how!r}; give settings of {task.title}, such as {name}() or {name}(steps=400)."
        )
    return how


def answered(
    image: Image | ArrayLike, snapshots: Iterator[Snapshot]
) -> Image | NDArray[np.float32]:
    """Run a stream to its end and return its answer as what was given: an Image or an array."""
    answer = finished(snapshots, stacklevel=4).image
    return answer if isinstance(image, Image) else np.asarray(answer.pixels, dtype=np.float32)
