"""A U-Net of partial convolutions, which leave missing pixels out, and of a decoder with dropout.

Reference: Quan, Chen, Pang and Ji, Self2Self With Dropout, CVPR 2020,
doi:10.1109/CVPR42600.2020.00196 (the network); Liu et al., Image Inpainting for Irregular Holes
Using Partial Convolutions, ECCV 2018, arXiv:1804.07723 (its convolutions). What differs: borders
are continued by their last pixel, and sides that are no multiples of 2^scales are padded likewise
and cut again.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.dropout import Dropout

SLOPE = 0.1  # of the leaky ReLUs below 0


class PartialConv(nn.Module):
    """A 3x3 convolution over the known pixels alone, scaled up by the share of them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Conv2d(inputs, outputs, 3, bias=False)
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve (B, C, Y, X), of which `known`, (B, 1 or C, Y, X), is 1 where it is known.

        Return what comes out, and (B, 1, Y, X), 1 where any pixel under the kernel was known.
        """
        padded = functional.pad(x * known, (1, 1, 1, 1), mode="replicate")
        count = functional.pad(known.sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        count = 9 * functional.avg_pool2d(count, 3, 1)
        seen = (count > 0.5).to(x.dtype)
        scale = seen * 9 * known.shape[1] / count.clamp_min(1)
        out = self.weight(padded) * scale + self.bias
        return functional.leaky_relu(out, SLOPE) * seen, seen


class PartialUNet(nn.Module):
    """Make an image of all pixels from an image of some of them.

    Parameters
    ----------
    colours : int
        Channels of the image.
    channels : int
        Width of the encoder; the decoder is twice as wide.
    scales : int
        How often the encoder halves the image.
    dropout : float
        Share of the values dropped before each convolution of the decoder, while in training mode.
    """

    def __init__(self, colours: int, channels: int, scales: int, dropout: float) -> None:
        super().__init__()
        self.multiple = 2**scales
        self.first = PartialConv(colours, channels)
        self.down = nn.ModuleList(PartialConv(channels, channels) for _ in range(scales + 1))
        wide = 2 * channels
        self.up = nn.ModuleList(
            nn.Sequential(
                *_dropped(channels + (wide if number else channels), wide, dropout),
                *_dropped(wide, wide, dropout),
            )
            for number in range(scales - 1)
        )
        inputs = colours + (wide if scales > 1 else channels)
        widths = inputs, max(1, 4 * channels // 3), max(1, 2 * channels // 3)
        self.last = nn.Sequential(
            *_dropped(*widths[:2], dropout),
            *_dropped(*widths[1:], dropout),
            *_dropped(widths[2], colours, dropout)[:-1],
        )

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Map (B, colours, Y, X), and what of it is known, to an image of all its pixels."""
        height, width = x.shape[-2:]
        margin = (0, -width % self.multiple, 0, -height % self.multiple)
        x, known = (functional.pad(part, margin, mode="replicate") for part in (x * known, known))
        h, seen = self.first(x, known)
        levels: list[Tensor] = []
        for number, level in enumerate(self.down):
            h, seen = level(h, seen)
            if number < len(self.down) - 1:
                h, seen = (functional.max_pool2d(part, 2) for part in (h, seen))
                levels.append(h)
        levels.pop()  # the coarsest, which the bottom convolution has seen
        for level in self.up:
            h = functional.interpolate(h, scale_factor=2, mode="nearest")
            h = level(torch.cat([h, levels.pop()], dim=1))
        h = functional.interpolate(h, scale_factor=2, mode="nearest")
        image: Tensor = self.last(torch.cat([h, x], dim=1))
        return image[..., :height, :width]


def _dropped(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
    return [Dropout(dropout), convolution, nn.LeakyReLU(SLOPE, inplace=True)]
