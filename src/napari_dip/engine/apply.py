"""Apply a trained network to a plane of any size: in tiles that overlap, in several orientations, averaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from napari_dip.engine.crops import turn, turn_back
from napari_dip.engine.loop import Step
from napari_dip.engine.patches import UNIT

TILE = 512  # pixels; the side of the tiles of a larger plane


class Denoiser(Protocol):
    """What is asked of a trained network."""

    reach: int
    multiple: int

    def __call__(self, y: Tensor) -> Tensor:
        """Map (B, C, Y, X) to its denoised self."""


def apply(
    net: Denoiser, y: Tensor, noise: float, orientations: int, *, apart: bool = False, tile: int = TILE
) -> Iterator[Step]:
    """Denoise a plane, one orientation a step.

    Parameters
    ----------
    net : Module
        With the attributes `reach` and `multiple`.
    y : Tensor
        Shape (C, Y, X).
    noise : float
        Standard deviation of the noise in `y`, positive.
    orientations : int
        How many of the eight are averaged.
    apart : bool
        Whether the network takes the channels one by one.

    Yields
    ------
    Step
        Its answer is the mean over the orientations so far; its loss is the mean square of what was removed, in
        units of the noise's variance: near 1 where all noise and nothing else goes.
    """
    centre, unit = y.mean(dim=(-2, -1), keepdim=True) if apart else y.mean(), UNIT * noise
    x = ((y - centre) / unit)[:, None] if apart else ((y - centre) / unit)[None]  # (B, C, Y, X)
    mean = torch.zeros_like(x)
    for number in range(orientations):
        with torch.no_grad():
            answer = turn_back(tiled(net, turn(x, number), tile), number)
            mean = mean + (answer - mean) / (number + 1)
            removed = (mean - x).square().mean() * UNIT**2
        image = mean.reshape(y.shape) * unit + centre
        yield Step(number + 1, removed, image, image, number + 1)


def tiled(net: Denoiser, x: Tensor, tile: int = TILE) -> Tensor:
    """Denoise (B, C, Y, X) tile by tile; the tiles overlap by the network's reach, so that no seam can be.

    Each tile starts at a multiple of what the network halves by: a pixel gets the same answer in any tile.
    """
    margin = -(-net.reach // net.multiple) * net.multiple
    tile = -(-tile // net.multiple) * net.multiple
    height, width = x.shape[-2:]
    if height <= tile + 2 * margin and width <= tile + 2 * margin:
        return net(x)
    out = torch.empty_like(x)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            up, far_left = max(0, top - margin), max(0, left - margin)
            part = net(x[..., up : top + tile + margin, far_left : left + tile + margin])
            inner = part[..., top - up : top - up + tile, left - far_left : left - far_left + tile]
            out[..., top : top + tile, left : left + tile] = inner
    return out
