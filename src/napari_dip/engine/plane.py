"""What a fit is given: one plane of an image, and what comes with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from napari_dip.engine.out_of_memory import MemoryPlan


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane on the device, in the unit range.

    Attributes
    ----------
    y : Tensor
        Shape (C, Y, X), noisy intensities in [0, 1].
    noise : float
        Standard deviation of the noise in `y`; 0 where none was measured.
    variance : Tensor, optional
        Shape (C, Y, X), variance of the noise over that of `noise`, where it is not even.
    hole : (int, int)
        How far, in y and x, neighbouring pixels share their noise; (0, 0) where it is independent.
    correlation : Tensor, optional
        Shape (2 R + 1, 2 R + 1), of the noise of a pixel with that of those up to R away, 1 in the
        middle; only where it is not independent.
    known : Tensor of bool, optional
        Shape (1, Y, X), False where a pixel is missing.
    guide : Tensor, optional
        Shape (G, Y, X), another image of the same place, in [0, 1].
    others : Tensor, optional
        Shape (N, Y, X), other images of the same place that help to predict this one, of its
        brightness and independent noise: planes of the stack near it, or its guide.
    previous : dict of dict of Tensor, optional
        The weights that fits of planes before ended with, by the number of channels of other images
        that their networks saw, empty for the first plane of a stack: the fit may start from them,
        and puts its own in their place.
    warm_steps : int
        Steps of a fit that starts from them.
    plan : MemoryPlan, optional
        How the run copes with little memory.
    """

    y: Tensor
    noise: float
    hole: tuple[int, int] = (0, 0)
    correlation: Tensor | None = None
    variance: Tensor | None = None
    known: Tensor | None = None
    guide: Tensor | None = None
    others: Tensor | None = None
    previous: dict[int, dict[str, Tensor]] | None = None
    warm_steps: int = 0
    plan: MemoryPlan | None = None

    def cut(self, rows: slice, columns: slice) -> Plane:
        """Return a part of the plane, with the same part of all that comes with it."""
        parts = {
            name: image[:, rows, columns]
            for name in ("y", "known", "guide", "others", "variance")
            if (image := getattr(self, name)) is not None
        }
        return replace(self, **parts)
