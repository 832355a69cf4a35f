"""A classic U-Net: two 3x3 convolutions a level, twice the width at half the size.

Down by the maximum of 2x2 pixels, up bilinearly, each level joined with the one of its size on the
way down.

Reference: Ronneberger, Fischer and Brox, U-Net, MICCAI 2015, arXiv:1505.04597. What differs: padded
convolutions, so that an image comes back in its own size, and bilinear upsampling instead of
transposed convolutions, whose checkerboards a fit to one image would show.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.base import NetSettings, PriorNet

WIDEST = 8  # of a fit's U-Net, in units of its width at full size


class UNet(PriorNet):
    """Map an image (or a random z) to an image of the same size, halved `depth` times within.

    Each halving doubles the width up to `widest`; depth 0 is a plain stack of convolutions. With
    `norm` a batch norm follows every convolution but the last; with `sigmoid` the output lies in
    (0, 1). Sides that are no multiples of `multiple` are padded by their edge and cut again.
    """

    def __init__(
        self,
        inputs: int = 1,
        outputs: int = 1,
        channels: int = 32,
        depth: int = 4,
        *,
        norm: bool = True,
        sigmoid: bool = False,
        widest: int | None = None,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        widths = [min(channels * 2**level, widest or 2**30) for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _level(narrow, wide, norm)
            for narrow, wide in zip([inputs, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _level(wide + narrow, narrow, norm) for narrow, wide in pairwise(widths)
        )
        self.last = nn.Conv2d(channels, outputs, 1)
        self.sigmoid = sigmoid
        self.multiple = 2**depth

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, Y, X) to (B, outputs, Y, X), for any Y and X from 1."""
        height, width = x.shape[-2:]
        h = functional.pad(
            x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate"
        )
        levels: list[Tensor] = []
        for number, level in enumerate(self.down):
            h = functional.max_pool2d(h, 2) if number else h
            h = level(h)  # (B, channels * 2^n, Y / 2^n, X / 2^n)
            levels.append(h)
        levels.pop()
        for level in reversed(self.up):
            h = functional.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
            h = level(torch.cat([levels.pop(), h], dim=1))
        h = self.last(h)[..., :height, :width]
        return torch.sigmoid(h) if self.sigmoid else h


def _level(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    return nn.Sequential(
        *_convolution(inputs, outputs, norm), *_convolution(outputs, outputs, norm)
    )


def _convolution(inputs: int, outputs: int, norm: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate", bias=not norm)
    return [
        convolution,
        *([nn.BatchNorm2d(outputs)] if norm else []),
        nn.LeakyReLU(0.1, inplace=True),
    ]


def build(s: NetSettings, inputs: int, outputs: int) -> UNet:
    """Build it from settings."""
    return UNet(inputs, outputs, s.channels, s.scales, sigmoid=True, widest=WIDEST * s.channels)
