"""Apply a trained network in bfloat16 where that changes its answer too little to matter.

Let r be the root mean square of the answer's error, and e that of what bfloat16 changes. By the
triangle inequality the new error is at most r + e, so that the PSNR falls by at most

    20 log10(1 + e / r)  dB,

however the change and the error go together. r is not known without ground truth; it is taken for a
fifth of the noise's standard deviation, as after a gain of 14 dB. A denoiser that gains less has a
larger r, and loses less; those measured on microscopy images gained 6 to 10 dB.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from napari_dip.models.tiled_apply import Denoiser
from napari_dip.noise.units import UNIT

MOST_LOST = 0.02  # dB
ERROR = 0.2 / UNIT  # what r is taken for; the noise of the input has the deviation 1 / UNIT


class Network(Denoiser, Protocol):
    """A denoiser that can be moved."""

    def to(self, device: torch.device) -> object:
        """Move it."""


class Bfloat16WherePrecise:
    """A float32 network that is tried in bfloat16 on the first tile and on each of wider range.

    `allowed` is whether bfloat16 may be used at all; by default where the device computes in it:
    NVIDIA GPUs since Ampere. `lost` is the most that it may have cost in dB on any tile that was
    tried; NaN before.
    """

    def __init__(self, net: Network, allowed: bool | None = None) -> None:
        self.net, self.allowed = net, allowed
        self.reach, self.multiple, self.bytes_a_pixel = net.reach, net.multiple, net.bytes_a_pixel
        self.lost = math.nan
        self.furthest = 0.0  # of the tiles tried; bfloat16 rounds to a share of the value
        self.refused = self.used = False

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.net.to(device)

    def __call__(self, y: Tensor) -> Tensor:
        """Map (B, C, Y, X) to its denoised self, float32."""
        if self.refused or not (
            computes_in_bfloat16(y.device) if self.allowed is None else self.allowed
        ):
            return self.net(y)
        furthest = float(y.abs().max())
        if furthest <= self.furthest:
            self.used = True
            return self._in_bfloat16(y)
        self.furthest = furthest
        exact = self.net(y)
        change = float((self._in_bfloat16(y) - exact).square().mean().sqrt())
        lost = 20 * math.log10(1 + change / ERROR) if math.isfinite(change) else math.inf
        self.lost = lost if math.isnan(self.lost) else max(lost, self.lost)
        self.refused = not lost < MOST_LOST
        return exact

    def _in_bfloat16(self, y: Tensor) -> Tensor:
        with torch.autocast(y.device.type, dtype=torch.bfloat16):
            return self.net(y).float()

    def to_json(self) -> dict[str, object]:
        """Return whether it computed in bfloat16, and what was found, ready for JSON."""
        tried = {} if math.isnan(self.lost) else {"bfloat16_costs_at_most_dB": round(self.lost, 4)}
        quick = "bfloat16, then float32" if self.refused else "bfloat16"
        return tried | ({"precision": quick} if self.used else {})


def computes_in_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes in bfloat16; most CPUs are slower in it."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
