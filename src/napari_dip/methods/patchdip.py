"""PatchDIP: one network fitted to all overlapping patches of the image, each from a random z of its own.

    theta* = argmin sum_n || f_theta(z_n) - P_n y ||^2,    answer = sum_n P_n^T w_n f_theta*(z_n)

P_n cuts patch n out of the noisy image y, w_n are blending weights that sum up to 1 at every pixel. One set of weights
has to serve every patch: what repeats over the image is learnt together, noise does not repeat. Every step fits a few
patches at random.

Reference: Asim, Shamshad and Ahmed, Patch DIP: Exploiting Patch Redundancy in Deep Image Prior for Denoising, 2019.

What differs from the paper: blending weights instead of a plain mean, a stop by hidden pixels, and the average of the
weights over the steps, from which the whole image is made now and then. z_n is drawn afresh from a seed of its own
whenever patch n is needed, so that memory does not grow with the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from napari_dip.engine.device import seeded
from napari_dip.engine.filters import averaged, early_stopped, held_out_error, running_mean, spread
from napari_dip.engine.loop import Step, optimize
from napari_dip.images.tiles import Tiles
from napari_dip.nets.build import build_net
from napari_dip.nets.prior import PriorNet
from napari_dip.settings import PatchDIP

AMPLITUDE = 0.1  # z is uniform in [0, AMPLITUDE]
LOOKS = 24  # how often at most the whole image is looked at during a fit
LOOK_WEIGHT = 0.7  # of the past in the average of looks
SPREAD_WEIGHT = 0.9  # of the past in the spread of looks: about the last ten
SETTLING = 4  # batches from which an averaged network learns what its norms see


def fit(y: Tensor, s: PatchDIP, generator: torch.Generator) -> Iterator[Step]:
    """Fit one network to the patches of a noisy plane.

    Parameters
    ----------
    y : Tensor
        Shape (C, Y, X), intensities in [0, 1].
    s : PatchDIP
        Settings.
    generator : Generator
        Seeded, on the CPU.

    Yields
    ------
    Step
        One a gradient step; the answer changes at each look at the whole image.
    """
    device = y.device
    height, width = y.shape[-2:]
    tiles = Tiles(height, width, s.patch, s.stride)
    with seeded(s.seed):
        net = build_net(s, len(y), s.input_channels).to(device)
    hidden = (torch.rand((1, *y.shape[-2:]), generator=generator) < s.held_out_share).to(device)
    seen = (~hidden).float()
    mean_net = AveragedModel(
        net, avg_fn=lambda old, new, n: torch.lerp(new, old, min(s.averaging, 1 - 1 / (n + 1))), use_buffers=False
    )
    shown = cast("PriorNet", mean_net.module)
    shake = torch.Generator(device).manual_seed(s.seed)
    order = shuffled(len(tiles.places), generator)
    batch = min(s.batch, len(tiles.places))
    look_every = max(1, s.steps // LOOKS, len(tiles.places) // batch)  # an epoch at least

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        numbers = [next(order) for _ in range(batch)]
        if index > 1:  # the weights of the step before, so that the average never runs ahead of the optimiser
            mean_net.update_parameters(net)
        z = inputs(net, tiles, numbers, s.seed).to(device)
        if not net.still:
            z = z + s.jitter * torch.randn(z.shape, generator=shake, device=device)
        target, weight = (cut(image, tiles, numbers) for image in (y, seen))
        loss = ((net.image(z, *tiles.shape) - target).square() * weight).sum() / (weight.sum() * len(y) + 1e-12)
        if index % look_every and index not in (1, s.steps):
            return loss, None
        settle(shown, tiles, s.seed, [[next(order) for _ in range(batch)] for _ in range(SETTLING)], y.device)
        image = look(shown, tiles, s.seed, batch, y)
        return loss, (image, image)

    first = y.mean((1, 2), keepdim=True).expand_as(y)
    steps = optimize(objective, net.parameters(), s.steps, s.learning_rate, first, schedule=s.schedule)
    steps = averaged(steps, LOOK_WEIGHT)
    if s.stop == "held-out" and bool(hidden.any()):
        steps = early_stopped(steps, held_out_error(y, hidden, running_mean(LOOK_WEIGHT)), s.patience)
    if s.std_from == "iterates":
        steps = spread(steps, SPREAD_WEIGHT)
    yield from steps


def shuffled(count: int, generator: torch.Generator) -> Iterator[int]:
    """Yield the numbers below `count` in random order, all of them before any comes again, without end."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


def inputs(net: PriorNet, tiles: Tiles, numbers: Sequence[int], seed: int) -> Tensor:
    """Draw the fixed z of some patches, each from a seed of its own; (B, inputs, ...), on the CPU."""
    size = net.input_size(*tiles.shape)
    draws = (torch.Generator().manual_seed(seed * 1_000_003 + number) for number in numbers)
    return AMPLITUDE * torch.stack([torch.rand((net.inputs, *size), generator=draw) for draw in draws])


def cut(image: Tensor, tiles: Tiles, numbers: Sequence[int]) -> Tensor:
    """Cut patches out of (C, Y, X), as (B, C, Y', X')."""
    return torch.stack([image[(slice(None), *tiles.places[number])] for number in numbers])


@torch.no_grad()
def settle(net: PriorNet, tiles: Tiles, seed: int, batches: Sequence[Sequence[int]], device: torch.device) -> None:
    """Let the batch norms of an averaged network see a few batches, and leave it in evaluation mode.

    They then treat each patch alike, whichever others it is looked at with.
    """
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
    net.train()
    for numbers in batches:
        net.image(inputs(net, tiles, numbers, seed).to(device), *tiles.shape)
    net.eval()


@torch.no_grad()
def look(net: PriorNet, tiles: Tiles, seed: int, batch: int, like: Tensor) -> Tensor:
    """Make the whole image, a few patches at a time; of the shape and on the device of `like`."""
    image = torch.zeros_like(like)
    for start in range(0, len(tiles.places), batch):
        numbers = range(start, min(start + batch, len(tiles.places)))
        patches = net.image(inputs(net, tiles, numbers, seed).to(like.device), *tiles.shape)
        for number, patch in zip(numbers, patches, strict=True):
            weight = torch.as_tensor(tiles.weight(number)).to(like)
            image[(slice(None), *tiles.places[number])] += weight * patch
    return image
