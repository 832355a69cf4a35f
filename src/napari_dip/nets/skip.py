"""The published network of Deep Image Prior: a U-Net whose skips are narrow.

Five scales, 128 channels down and up, 4 in each skip, reflection padding, strided convolution down,
bilinear up, batch norm and LeakyReLU 0.2 after every convolution, a 1x1 convolution after each
scale, a sigmoid at the end: 2,217,831 weights for 32 channels in and 3 out.

Reference: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925
(supplement).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.base import NetSettings, PriorNet, convolution


class SkipNet(PriorNet):
    """Fit an image with a fixed random input, halved `scales` times.

    `channels` is the width of every scale, or of each, the largest image first.
    """

    def __init__(
        self,
        inputs: int = 32,
        outputs: int = 1,
        channels: int | Sequence[int] = 128,
        scales: int = 5,
        skips: int = 4,
    ) -> None:
        super().__init__()
        widths = [channels] * scales if isinstance(channels, int) else channels
        self.inputs = inputs
        self.multiple = 2**scales
        self.down = nn.ModuleList()
        self.skip = nn.ModuleList()
        self.up = nn.ModuleList()
        for scale, width in enumerate(widths):
            above = widths[scale - 1] if scale else inputs
            out = widths[max(scale - 1, 0)]
            self.down.append(
                nn.Sequential(_block(above, width, 3, stride=2), _block(width, width, 3))
            )
            self.skip.append(_block(above, skips, 1))
            joined = width + skips
            self.up.append(
                nn.Sequential(nn.BatchNorm2d(joined), _block(joined, out, 3), _block(out, out, 1))
            )
        self.last = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (B, inputs, Y, X) to an image (B, outputs, Y, X) in (0, 1)."""
        return torch.sigmoid(self.last(self._scale(z, 0)))

    def _scale(self, x: Tensor, scale: int) -> Tensor:
        deep = self.down[scale](x)  # (B, channels, Y/2, X/2)
        if scale + 1 < len(self.down):
            deep = self._scale(deep, scale + 1)
        deep = functional.interpolate(deep, size=x.shape[-2:], mode="bilinear")
        image: Tensor = self.up[scale](self.join(deep, self.skip[scale](x)))
        return image

    def join(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Stack what comes up from the scale below and what was skipped."""
        return torch.cat([deep, skip], dim=1)


def _block(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        convolution(inputs, outputs, size, stride=stride),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )


def build(s: NetSettings, inputs: int, outputs: int) -> SkipNet:
    """Build it from settings."""
    return SkipNet(inputs, outputs, s.channels, s.scales, s.skip_channels)
