"""What the restorations share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import ArrayLike, Image
from napari_dip.settings import DIP
from napari_dip.snapshot import Snapshot, last

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked(how: DIP | None, default: type[DIP]) -> DIP:
    """Return the settings, the task's own where none are given.

    Raises
    ------
    ValueError
        For anything but DIP settings, or a network that the task has no use for.
    """
    if how is None:
        return default()
    if not isinstance(how, DIP):
        raise ValueError(f"how is {how!r}; give settings such as {default.__name__}() or DIP(net='skip').")
    if how.restarts > 1 or how.uncertainty != "none":
        raise ValueError(
            "Restarts and uncertainty are for denoising; leave restarts at 1 and uncertainty at 'none' here."
        )
    nets = getattr(default.model_fields["net"].annotation, "__args__", ())
    if how.net not in nets:
        raise ValueError(f"The network {how.net!r} only fills pixel by pixel; take one of {', '.join(nets)}.")
    return how


def answered(image: Image | ArrayLike, snapshots: Iterator[Snapshot]) -> Image | NDArray[np.float32]:
    """Run a stream to its end and return its answer as what was given: an Image or an array."""
    answer = last(snapshots).image
    return answer if isinstance(image, Image) else np.asarray(answer.pixels, dtype=np.float32)
