"""A residual network without down- and upsampling.

A 3x3 convolution, blocks of two 3x3 convolutions with batch norm whose input is added to their
output, another convolution with batch norm, and a last 3x3 convolution to the image: 1,665,411
weights for 32 channels in, 3 out, 5 blocks of 128 channels. Since it never changes scale it fits
noise as soon as the picture: the comparison that shows what the scales of the other networks are
good for.

References: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016,
arXiv:1512.03385; used as a prior by Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018,
arXiv:1711.10925.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_dip.nets.base import NetSettings, PriorNet, convolution


class ResNet(PriorNet):
    """Fit an image at one scale."""

    def __init__(
        self, inputs: int = 32, outputs: int = 1, channels: int = 128, blocks: int = 5
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.first = nn.Sequential(convolution(inputs, channels, 3), nn.LeakyReLU(0.2))
        self.blocks = nn.ModuleList(_block(channels) for _ in range(blocks))
        self.join = nn.Sequential(convolution(channels, channels, 3), nn.BatchNorm2d(channels))
        self.last = convolution(channels, outputs, 3)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (B, inputs, Y, X) to an image (B, outputs, Y, X) in (0, 1)."""
        h = self.first(z)
        for block in self.blocks:
            h = h + block(h)
        return torch.sigmoid(self.last(self.join(h)))


def _block(channels: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(channels, channels, 3, bias=False),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.2),
        convolution(channels, channels, 3, bias=False),
        nn.BatchNorm2d(channels),
    )


def build(s: NetSettings, inputs: int, outputs: int) -> ResNet:
    """Build it from settings."""
    return ResNet(inputs, outputs, s.channels)
