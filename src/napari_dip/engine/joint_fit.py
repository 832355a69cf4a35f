"""Fit a plane together with other images of the same place, as the channels of one image.

What they share is cheaper to learn than what each has alone, and noise is not shared: an untrained
network reaches the structure of all before the noise of any. Only the plane's own answer is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from napari_dip.engine.loop import Step
from napari_dip.engine.plane import Plane

Fit = Callable[[Plane, Any], Iterator[Step]]


def jointly(fit: Fit) -> Fit:
    """Return a fit that takes the plane's `others` as more channels of the plane."""

    def fit_all(plane: Plane, settings: Any) -> Iterator[Step]:
        if plane.others is None:
            yield from fit(plane, settings)
            return
        colours = len(plane.y)
        joint = replace(plane, y=torch.cat([plane.y, plane.others]), others=None, variance=None)
        for step in fit(joint, settings):
            parts = (step.output, step.std)
            output, std = (None if part is None else part[:colours] for part in parts)
            yield replace(step, output=output, answer=step.answer[:colours], std=std)

    return fit_all
