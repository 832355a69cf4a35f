"""A residual U-Net with dropout between its blocks.

Five scales as in the skip network, but each step down and up is a residual block (a 3x3 and a 1x1 convolution, and
a 1x1 convolution past them), and between the blocks a share of the values is dropped. Dropout keeps a fit to one image
from leaning on single weights, so that noise is learnt later; the answer is taken in evaluation mode, nothing
dropped. Fits with other drops also say how sure the network is (Gal and Ghahramani).

1,712,703 weights for 32 channels in, 3 out, 128 channels: 6,372 (0.4 per cent) more than the 1,706,331 that are
published for a network of this kind, whose exact wiring is not; no wiring of such blocks that was tried has that
number.

References: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925; Gal and Ghahramani, Dropout
as a Bayesian Approximation, ICML 2016, arXiv:1506.02142.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.base import NetSettings, PriorNet, convolution


class ResUNet(PriorNet):
    """Fit an image through scales, residually.

    Parameters
    ----------
    inputs, outputs : int
        Channels of z and of the image.
    channels : int
        Width of every scale.
    scales : int
        How many times the image is halved.
    skips : int
        Channels of each connection from the way down to the way up.
    dropout : float
        Share of the values dropped after each block while fitting, in [0, 1).
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


class Dropout(nn.Module):
    """Drop a share of the values while fitting, with draws of its own: torch's dropout draws from the global state."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.seed = int(torch.randint(2**31, ()))  # the network is built in a seeded context
        self._generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of x and scale the others up by as much, while fitting; else give x back."""
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(x.shape, generator=self.draws(x.device), device=x.device) >= self.share
        return x * kept / (1 - self.share)

    def draws(self, device: torch.device | None = None) -> torch.Generator:
        """Return the generator of the draws, which stays on the device of the first."""
        if self._generator is None:
            self._generator = torch.Generator(device or torch.device("cpu")).manual_seed(self.seed)
        return self._generator


@contextmanager
def masks_of(net: nn.Module) -> Iterator[None]:
    """Let a network in evaluation mode drop values inside, by draws that the fit does not miss afterwards."""
    drops = [module for module in net.modules() if isinstance(module, Dropout)]
    states = [drop.draws().get_state() for drop in drops]
    for drop in drops:
        drop.train()
    try:
        yield
    finally:
        for drop, state in zip(drops, states, strict=True):
            drop.eval()
            drop.draws().set_state(state)


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
    """Build it as settings say."""
    return ResUNet(inputs, outputs, s.channels, s.scales, s.skip_channels, s.dropout)
