"""Noise2Void: hide pixels from the network and let it predict them from the others.

    loss = mean over hidden pixels of ( F(y with hidden pixels replaced) - y )^2

A hidden pixel takes the value of another one near it, so that the network can't tell which are hidden. Where the noise
of neighbouring pixels is independent, the best prediction of the noisy value is the clean one.

Reference: Krull, Buchholz and Jug, Noise2Void, CVPR 2019, arXiv:1811.10980.

What differs from the paper: the network, crops and schedule are those of the other trained methods.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.engine.device import put
from napari_dip.nets.blind_spot import mirror
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import N2V
from napari_dip.training.crops import Batch
from napari_dip.training.processes import ALONE, Ranks


def loss(
    net: BlurredUNet, batch: Batch, s: N2V, generator: torch.Generator, done: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss on a batch; see `napari_dip.training.losses.iddp.loss` for the parameters."""
    y = batch.noisy
    hidden, filled = hide(y, s.hidden_share, s.radius, generator, batch.ranks)
    error = (net(filled) - y).square() * hidden
    pixels = (
        batch.ranks.mean(hidden.sum()) * y.shape[1]
    )  # those of all processes count, not each one's for itself
    return error.sum() / pixels.clamp_min(1 / batch.ranks.count), {}


def hide(
    y: Tensor, share: float, radius: int, generator: torch.Generator, ranks: Ranks = ALONE
) -> tuple[Tensor, Tensor]:
    """Replace a random share of the pixels, each by a random other one at most `radius` away.

    Returns
    -------
    hidden, filled : Tensor
        Shape (B, 1, Y, X), 1 where hidden, and (B, C, Y, X).
    """
    batch, _, *size = y.shape
    drawn = ranks.drawn(batch, lambda crops: torch.rand((crops, 1, *size), generator=generator))
    hidden = put((drawn < share).to(y.dtype), y.device)
    side = 2 * radius + 1
    others = side * side - 1
    place = ranks.drawn(
        batch, lambda crops: torch.randint(others, (crops, 1, *size), generator=generator)
    )
    place = put(
        torch.where(place >= side * side // 2, place + 1, place), y.device
    )  # never the pixel itself
    windows = (
        mirror(y, radius).unfold(2, side, 1).unfold(3, side, 1).flatten(4)
    )  # (B, C, Y, X, side^2)
    other = windows.gather(4, place[..., None].expand(*y.shape, 1))[..., 0]
    return hidden, torch.where(hidden > 0, other, y)
