"""A network that fills missing pixels: it corrects a smooth first fill.

Residual blocks of two 3x3 convolutions, the first one dilated, as wide as the image everywhere:
nothing is sampled down, so that fine structure stays. The last layer starts at zero, so that the
fit starts at the smooth fill.

References
----------
He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385
(residual blocks). Gortler, Grzeszczuk, Szeliski and Cohen, The Lumigraph, SIGGRAPH 1996,
doi:10.1145/237170.237200 (the smooth fill).
"""

from __future__ import annotations

from itertools import cycle, islice

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.base import zero
from napari_dip.nets.gaussian import blur

DILATIONS = (1, 2, 4, 2, 1, 1)
# Times the unit range: what the convolutions see has a standard deviation of about 1.
CONTRAST = 4.0
WIDTHS = (1.5, 0.7)  # standard deviations in pixels of the blurs that refine the smooth fill
ENOUGH = 0.02  # share of known pixels under a blur from which it is believed


class GapNet(nn.Module):
    """Fill the unknown pixels of an image; the correction depends on pixels up to `reach` away."""

    def __init__(self, colours: int = 1, channels: int = 32, blocks: int = 6) -> None:
        super().__init__()
        self.first = _conv(2 * colours + 1, channels)
        dilations = list(islice(cycle(DILATIONS), blocks))
        self.reach = 2 + sum(dilation + 1 for dilation in dilations)
        self.wide = nn.ModuleList(_conv(channels, channels, d) for d in dilations)
        self.narrow = nn.ModuleList(_conv(channels, channels) for _ in dilations)
        self.last = _conv(channels, colours)
        zero(self.last)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        """Fill (B, C, Y, X) where `known`, (B, 1, Y, X) of 0 and 1, is 0."""
        fill, seen = self.views(image, known)
        return fill + self.correction(seen)

    def views(self, image: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smooth fill (B, C, Y, X) and the convolutions' input (B, 2 C + 1, Y, X)."""
        fill = smooth_fill(image, known)
        middle = fill.mean((-2, -1), keepdim=True)
        image, known = (image - middle) * known * CONTRAST, known - 0.5
        return fill, torch.cat([(fill - middle) * CONTRAST, image, known], dim=1)

    def correction(self, seen: Tensor) -> Tensor:
        """Return what is added to the smooth fill; it depends on `seen` `reach` pixels far."""
        act = functional.leaky_relu
        h = self.first(seen)
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            h = h + narrow(act(wide(act(h, 0.1)), 0.1))
        correction: Tensor = self.last(act(h, 0.1)) / CONTRAST
        return correction


def _conv(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, 3, padding=dilation, dilation=dilation, padding_mode="replicate"
    )


def smooth_fill(image: Tensor, known: Tensor) -> Tensor:
    """Fill the unknown pixels of (B, C, Y, X) by weighted means of the nearest known ones.

    `known` is (B, 1, Y, X), 0 or 1. Known pixels stay; where nothing is known at all it is 0.
    """
    image = image * known
    fill = _pyramid_fill(image, known)
    for width in WIDTHS:
        radius = int(3 * width) + 1
        weight = blur(known, width, radius)
        trust = weight / (weight + ENOUGH)
        fill = torch.lerp(fill, blur(image, width, radius) / (weight + 1e-6), trust)
    return torch.where(known > 0, image, fill)


def _pyramid_fill(image: Tensor, weight: Tensor) -> Tensor:
    """Fill from ever coarser versions: means of 2 x 2 pixels weighted by what is known."""
    height, width = image.shape[-2:]
    if max(height, width) <= 1:
        return image
    pad = (0, width % 2, 0, height % 2)
    total = functional.avg_pool2d(functional.pad(image * weight, pad), 2)
    share = functional.avg_pool2d(functional.pad(weight, pad), 2)
    coarse = _pyramid_fill(total / share.clamp(min=1e-6), (4 * share).clamp(max=1))
    up = functional.interpolate(coarse, scale_factor=2, mode="bilinear")[..., :height, :width]
    return torch.lerp(up, image, weight)
