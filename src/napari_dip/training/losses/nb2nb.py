"""Neighbor2Neighbor: make two images out of neighbouring pixels and let them predict each other.

    loss = || F(g1(y)) - g2(y) ||^2 + gamma || F(g1(y)) - g2(y) - ( g1(F(y)) - g2(F(y)) ) ||^2

g1 and g2 take two neighbours out of every square of 2x2 pixels, drawn at random: two images at half
the size with nearly the same content and independent noise. The second term, whose F(y) gets no
gradient, makes up for what the neighbours truly differ by; its weight grows from 0 to gamma.

Reference: Huang, Li, Jia, Lu and Liu, Neighbor2Neighbor, CVPR 2021, arXiv:2101.02824.

What differs from the paper: the network, crops and schedule are those of the other trained methods.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_dip.engine.device import put
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import Nb2Nb

# The ordered pairs of neighbours in a square of 2x2 pixels: 0 1 above 2 3.
PAIRS = ((0, 1), (0, 2), (1, 3), (2, 3), (1, 0), (2, 0), (3, 1), (3, 2))


def loss(
    net: BlurredUNet,
    noisy: Tensor,
    target: Tensor | None,
    s: Nb2Nb,
    generator: torch.Generator,
    progress: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch of crops, see `napari_dip.training.losses.iddp.loss`."""
    y = noisy[..., : noisy.shape[-2] // 2 * 2, : noisy.shape[-1] // 2 * 2]
    size = (len(y), 1, y.shape[-2] // 2, y.shape[-1] // 2)
    pairs = put(torch.tensor(PAIRS)[torch.randint(8, size, generator=generator)], y.device)
    with torch.no_grad():
        answer = net(y)
    first, second = (sample_pixels(y, pairs[..., k]) for k in (0, 1))  # all planes alike
    error = net(first) - net.middle(second)
    differ = sample_pixels(answer, pairs[..., 0]) - sample_pixels(answer, pairs[..., 1])
    return error.square().mean() + s.gamma * progress * (error - differ).square().mean(), {}


def sample_pixels(image: Tensor, places: Tensor) -> Tensor:
    """Take one pixel out of every square of 2x2: (B, C, Y, X) to (B, C, Y/2, X/2).

    Parameters
    ----------
    places : Tensor of int
        Shape (B, 1, Y/2, X/2); which of the four, counted along rows.
    """
    batch, colours, height, width = image.shape
    squares = functional.pixel_unshuffle(image, 2).reshape(
        batch, colours, 4, height // 2, width // 2
    )
    return squares.gather(2, places[:, :, None].expand(-1, colours, -1, -1, -1))[:, :, 0]
