"""Noise2Void: hide pixels from the network and let it predict them from the others.

    loss = mean over hidden pixels of ( F(y with hidden pixels replaced) - y )^2

A hidden pixel takes the value of another one near it, so that the network can't tell which are
hidden. Where the noise of neighbouring pixels is independent, the best prediction of the noisy
value is the clean one.

Reference: Krull, Buchholz and Jug, Noise2Void, CVPR 2019, arXiv:1811.10980.

What differs from the paper: the network, crops and schedule are those of the other trained methods.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.engine.device import put
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.nets.gaussian import mirror
from napari_dip.settings import N2V


def loss(
    net: BlurredUNet,
    noisy: Tensor,
    target: Tensor | None,
    s: N2V,
    generator: torch.Generator,
    progress: float,
) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
    """Return the loss of a batch of crops, see `napari_dip.training.losses.iddp.loss`."""
    y = net.middle(noisy)
    hidden, filled = hide(y, s.hidden_share, s.radius, generator)
    error = (net(net.with_middle(noisy, filled)) - y).square() * hidden
    return (error.sum(), hidden.sum() * y.shape[1]), {}


def hide(y: Tensor, share: float, radius: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Replace a random share of the pixels, each by a random other one at most `radius` away.

    Return the mask (B, 1, Y, X), 1 where hidden, and the filled image (B, C, Y, X).
    """
    crops, _, height, width = y.shape
    size = (crops, 1, height, width)
    drawn = torch.rand(size, generator=generator)
    hidden = put((drawn < share).to(y.dtype), y.device)
    side = 2 * radius + 1
    middle = side * side // 2  # never the pixel itself
    place = torch.randint(side * side - 1, size, generator=generator)
    place = put(torch.where(place >= middle, place + 1, place), y.device)
    windows = mirror(y, radius).unfold(2, side, 1).unfold(3, side, 1).flatten(4)
    other = windows.gather(4, place[..., None].expand(*y.shape, 1))[..., 0]  # (B, C, Y, X)
    return hidden, torch.where(hidden > 0, other, y)
