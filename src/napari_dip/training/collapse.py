"""Watch a training for collapse, go back to the last good state, give up with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_dip.errors import DenoiseError
from napari_dip.training.processes import ALONE, ProcessGroup

MEMORY = 0.95  # of the running means
WARM_UP = 100  # steps before which nothing is alarming
PASSED_ALARM = 0.5  # share of the redrawn noise let through; healthy runs have 0.03 to 0.11
CONTRAST_ALARM = 0.2  # contrast of the answer by that of the blurred image, once it was above
HIGHEST_CONTRAST = 4.0  # where the answer runs away: 60 was seen in one of three full trainings
SAVE_EVERY = 50  # steps between good states
MOST_RETURNS = 3  # how often a training may go back
RATE_FACTOR = 0.5  # factor on the learning rate at each return


@torch.no_grad()
def measure(seen: Mapping[str, Tensor], group: ProcessGroup = ALONE) -> dict[str, Tensor]:
    """Measure, without ground truth, whether the network collapses to the identity or a constant.

    `seen` holds images (B, C, Y, X), or nothing where nothing is watched: ``redrawn``, the noise r
    that was added to an answer, and ``returned``, what of it the network F gave back; ``answer``,
    F(y), and ``smooth``, the blurred y.

    Returns ``passed``, the share ``q = sum r (F(eta + r) - eta) / sum r^2`` that F lets through,
    and ``contrast``, the standard deviation of F(y) by that of the blurred image.
    """
    if not seen:
        return {}
    redrawn, returned = seen["redrawn"], seen["returned"]
    sums = torch.stack([(redrawn * returned).sum(), redrawn.square().sum()])
    through, energy = group.mean(sums)
    contrast = group.std(seen["answer"]) / group.std(seen["smooth"]).clamp_min(1e-12)
    return {"passed": through / energy.clamp_min(1e-12), "contrast": contrast}


@dataclass
class CollapseWatch:
    """Running means of `measure`, NaN where the method has no such measure.

    `grown` is whether the answer had contrast before: a network that starts at zero has none yet.
    """

    passed: float = math.nan
    contrast: float = math.nan
    grown: bool = False
    returns: int = 0

    def update(self, index: int, loss: float, measures: Mapping[str, float]) -> str:
        """Take in a step's figures; return what is wrong, mostly nothing."""
        for name, value in measures.items():
            old = getattr(self, name)
            setattr(self, name, value if math.isnan(old) else MEMORY * old + (1 - MEMORY) * value)
        self.grown = self.grown or self.contrast > 2 * CONTRAST_ALARM
        if not math.isfinite(loss):
            return "the loss is no number any more"
        if index <= WARM_UP:
            return ""
        if self.passed > PASSED_ALARM:
            return f"the network lets {self.passed:.0%} of the noise through"
        if self.grown and self.contrast < CONTRAST_ALARM:
            return "the network's answer has lost its contrast"
        if self.contrast > HIGHEST_CONTRAST:
            return f"the network's answer has {self.contrast:.1f} times the contrast of the image"
        return ""

    def is_healthy(self) -> bool:
        """Return whether this state is worth going back to."""
        flat = self.grown and self.contrast < 2 * CONTRAST_ALARM
        return not (self.passed > PASSED_ALARM / 2 or flat or self.contrast > HIGHEST_CONTRAST / 2)

    def go_back(self, what: str, index: int) -> str:
        """Count a return to the last good state and return a note; fail after too many."""
        self.returns += 1
        if self.returns > MOST_RETURNS:
            raise DenoiseError(
                f"Training failed at step {index}: {what}, and going back {MOST_RETURNS} times "
                "did not help. Take a larger alpha (above 0.125), a smaller learning rate, or the "
                "start 'blur'."
            )
        self.passed = self.contrast = math.nan
        return (
            f"At step {index} {what}; training went back to its last good state and goes on at "
            f"{RATE_FACTOR**self.returns:g} of the learning rate."
        )

    def check_end(self, steps: int) -> None:
        """Raise a DenoiseError for a network that has collapsed or never learned."""
        if steps > WARM_UP and (self.passed > PASSED_ALARM or self.contrast < CONTRAST_ALARM):
            raise DenoiseError(
                f"Training ended without a denoiser: {self.passed:.0%} of the noise is let through "
                f"and the contrast is {self.contrast:.0%} of the blurred image's. Take more steps, "
                "or the preset 'fast'."
            )
