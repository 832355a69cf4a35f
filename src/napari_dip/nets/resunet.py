"""A residual U-Net with dropout between its blocks.

Five scales as in the skip network, but each step down and up is a residual block (a 3x3 and a 1x1
convolution, and a 1x1 convolution past them), and between the blocks a share of the values is
dropped. Dropout keeps a fit to one image from leaning on single weights, so that noise is learnt
later; the answer is taken in evaluation mode, nothing dropped. Fits with other drops also say how
sure the network is (Gal and Ghahramani).

1,712,703 weights for 32 channels in, 3 out, 128 channels: 6,372 (0.4 per cent) more than the
1,706,331 that are published for a network of this kind, whose exact wiring is not; no wiring of
such blocks that was tried has that number.

References: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925; Gal and
Ghahramani, Dropout as a Bayesian Approximation, ICML 2016, arXiv:1506.02142.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.base import NetSettings, PriorNet, convolution
from napari_dip.nets.dropout import Dropout


class ResUNet(PriorNet):
    """Fit an image through scales, residually.

    `dropout` is the share of the values dropped after each block while fitting, in [0, 1).
    """

    def __init__(
        self,
        inputs: int = 32,
        outputs: int = 1,
        channels: int = 128,
        scales: int = 5,
        skips: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.multiple = 2**scales
        widths = [inputs] + [channels] * (scales - 1)
        self.down = nn.ModuleList(_Block(width, channels, stride=2) for width in widths)
        self.skip = nn.ModuleList(
            nn.Sequential(convolution(width, skips, 1), nn.BatchNorm2d(skips), nn.LeakyReLU(0.2))
            for width in widths
        )
        self.up = nn.ModuleList(_Block(channels + skips, channels) for _ in widths)
        self.drop = Dropout(dropout)
        self.last = nn.Conv2d(channels, outputs, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (B, inputs, Y, X) to an image (B, outputs, Y, X) in (0, 1)."""
        h, sides = z, []
        for down, skip in zip(self.down, self.skip, strict=True):
            sides.append(skip(h))  # (B, skips, Y / 2^n, X / 2^n)
            h = self.drop(down(h))
        for number, up in enumerate(reversed(self.up), start=1):
            h = functional.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
            h = up(torch.cat([h, sides.pop()], dim=1))
            if number < len(self.up):
                h = self.drop(h)
        return torch.sigmoid(self.last(h))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.through = nn.Sequential(
            convolution(inputs, outputs, 3, stride=stride, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.2),
            convolution(outputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.past = convolution(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.through(x) + self.past(x), 0.2)


def build(s: NetSettings, inputs: int, outputs: int) -> ResUNet:
    """Build it from settings."""
    return ResUNet(inputs, outputs, s.channels, s.scales, s.skip_channels, s.dropout)
