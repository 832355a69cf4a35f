"""Apply a trained network to a plane of any size, in tiles and averaged orientations.

A network of convolutions sees only so far. Tiles that overlap by as much give each pixel the very
answer it has in the whole plane, so nothing is blended and no seam can be. The price is the
overlap: a tile is at least 15 times as wide as what the network sees, which is at most (1 + 2/15)^2
= 1.29 times the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Protocol

import torch
from torch import Tensor

from napari_dip.engine.free_memory import side_that_fits
from napari_dip.engine.loop import Step
from napari_dip.engine.orientations import turn, turn_back
from napari_dip.engine.out_of_memory import LEAST, MemoryPlan
from napari_dip.models.offset import NOISE_REACHES, is_noisy, remove_offset
from napari_dip.nets.correlated_noise import blurs_if_better, blurs_of, draw_probe
from napari_dip.noise.units import UNIT

TILE = 768  # pixels; the side of the tiles of a larger plane, on a CPU: larger ones are no faster
TILE_ON_GPU = 2048
LEAST_MARGINS = 15  # a tile is wider than so many margins, where memory allows


class Denoiser(Protocol):
    """What `apply` needs of a trained network."""

    reach: int
    multiple: int
    bytes_a_pixel: float

    def __call__(self, y: Tensor) -> Tensor:
        """Map (B, C, Y, X) to its denoised self."""


def apply(
    net: Denoiser,
    y: Tensor,
    noise: float,
    orientations: int,
    *,
    apart: bool = False,
    plan: MemoryPlan | None = None,
    correlation: Tensor | None = None,
    others: Tensor | None = None,
) -> Iterator[Step]:
    """Denoise a plane (C, Y, X), one orientation a step, of eight at most.

    `noise` is the standard deviation of the noise in `y`, positive; with `apart` the network takes
    the channels one by one; the plan may ask for smaller tiles and half precision. Where the noise
    has a `correlation` (2 R + 1, 2 R + 1), blurs may take the answer's place (`blurs_if_better`).
    `others` (N, C, Y, X) are the neighbouring planes that the network sees.

    Yields
    ------
    Step
        Its answer is the mean over the orientations so far, with no offset left (see
        `remove_offset`); its loss is the mean square of what was removed, in units of the noise's
        variance: near 1 where all noise and nothing else goes.
    """
    centre, unit = y.mean(dim=(-2, -1), keepdim=True) if apart else y.mean(), UNIT * noise
    x = ((y - centre) / unit)[:, None] if apart else ((y - centre) / unit)[None]  # (B, C, Y, X)
    plan = plan or MemoryPlan(y.device)
    mean, noisy, seen = x.new_zeros(()), is_noisy(x), x
    beside = [] if others is None else [_channels((others - centre) / unit, apart)]
    if correlation is not None:
        probe, blurs = draw_probe(correlation, x), blurs_of(x, correlation)
        seen, beside = torch.cat([x, x + probe]), [torch.cat([part, part]) for part in beside]
    seen = torch.cat([seen, *beside], dim=1)
    tile = plan.side(tile_side(net, y.device, len(seen), max(y.shape[-2:])))
    for number in range(orientations):
        with torch.no_grad():
            answer = turn_back(
                apply_in_tiles(net, turn(seen, number), tile, reduced=plan.reduced), number
            )
            mean = mean + (answer - mean) / (number + 1)
            best = mean
            if correlation is not None:
                best = blurs_if_better(blurs, mean, probe)
            level = remove_offset(best, x, noisy, NOISE_REACHES / UNIT)
            removed = (level - x).square().mean() * UNIT**2
        image = level.reshape(y.shape) * unit + centre
        yield Step(number + 1, removed, image, image, number + 1)


def tile_side(net: Denoiser, device: torch.device, count: int, longest: int) -> int:
    """Choose the side of the tiles for `count` images at once, as memory allows and is of use."""
    margin = _margin(net)
    most = max(TILE_ON_GPU if device.type == "cuda" else TILE, LEAST_MARGINS * margin)
    fits = side_that_fits(device, net.bytes_a_pixel * count) - 2 * margin
    return min(max(isqrt(LEAST), min(most, fits)), longest)


def apply_in_tiles(net: Denoiser, x: Tensor, tile: int = TILE, *, reduced: bool = False) -> Tensor:
    """Denoise (B, C, Y, X) in tiles that overlap by the network's reach: without a seam.

    Each tile starts at a multiple of what the network halves by: a pixel gets the same answer in
    any tile.
    """
    margin = _margin(net)
    height, width = x.shape[-2:]
    tall, wide = (_even_side(n, tile, margin, net.multiple) for n in (height, width))
    if tall >= height and wide >= width:
        return _call(net, x, reduced)
    out: Tensor | None = None
    for top in range(0, height, tall):
        for left in range(0, width, wide):
            up, far_left = max(0, top - margin), max(0, left - margin)
            part = x[..., up : top + tall + margin, far_left : left + wide + margin]
            inner = slice(top - up, top - up + tall), slice(left - far_left, left - far_left + wide)
            answer = _call(net, part, reduced)
            out = answer.new_empty((*answer.shape[:2], height, width)) if out is None else out
            out[..., top : top + tall, left : left + wide] = answer[..., *inner]
    assert out is not None
    return out


def _channels(planes: Tensor, apart: bool) -> Tensor:
    """Turn (N, C, Y, X) into channels (B, N * C, Y, X), or (C, N, Y, X) where colours are apart."""
    return planes.transpose(0, 1) if apart else planes.flatten(0, 1)[None]


def _margin(net: Denoiser) -> int:
    return -(-net.reach // net.multiple) * net.multiple


def _even_side(length: int, tile: int, margin: int, multiple: int) -> int:
    """Return the side of tiles as equal as can be: a narrow last one would be mostly overlap."""
    count = 1 if length <= tile + 2 * margin else -(-length // tile)
    return -(-length // (count * multiple)) * multiple


def _call(net: Denoiser, x: Tensor, reduced: bool) -> Tensor:
    """Compute, where `reduced` in half precision: 10 bits are finer than the noise left."""
    if not reduced:
        return net(x)
    with torch.autocast(x.device.type, torch.float16):
        return net(x).float()
