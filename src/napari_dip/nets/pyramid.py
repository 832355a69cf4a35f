"""A skip network that is narrow at full size and drops values: an image in little time.

It is the published skip network with three changes. Nearly all time goes into the scales of full
and half size, so the width starts small and doubles with each halving, up to four times. Where a
scale is joined with its skip, a share of the values is dropped in every step, and the answer is the
average of such outputs: what rests on single values, as noise does, is learnt late and averaged
out. On a CPU channels come last in memory, where its convolutions are fastest.

References: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925; averages
of outputs with values dropped: Quan, Chen, Pang and Ji, Self2Self With Dropout, CVPR 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.nets.base import NetSettings
from napari_dip.nets.dropout import Dropout
from napari_dip.nets.skip import SkipNet

WIDEST = 4  # of the deep scales, in units of the width at full size


class PyramidNet(SkipNet):
    """Fit an image with a fixed random input, in little time.

    `dropout` is the share of the values dropped at each join while fitting, in [0, 1).
    """

    def __init__(
        self,
        inputs: int = 16,
        outputs: int = 1,
        channels: int = 16,
        scales: int = 5,
        skips: int = 4,
        dropout: float = 0.3,
    ) -> None:
        widths = [channels * min(2**scale, WIDEST) for scale in range(scales)]
        super().__init__(inputs, outputs, widths, scales, skips)
        self.drop = Dropout(dropout)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (B, inputs, Y, X) to an image (B, outputs, Y, X) in (0, 1)."""
        on_cpu = z.device.type == "cpu"
        return super().forward(z.contiguous(memory_format=torch.channels_last) if on_cpu else z)

    def join(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Put what came up and what was skipped together, and drop values of it."""
        return self.drop(super().join(deep, skip))  # type: ignore[no-any-return]


def build(s: NetSettings, inputs: int, outputs: int) -> PyramidNet:
    """Build it from settings."""
    return PyramidNet(inputs, outputs, s.channels, s.scales, s.skip_channels, s.dropout)
