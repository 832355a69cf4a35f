"""PatchDIP: one network fitted to all overlapping patches of the image, each from a random z of its own.

    theta* = argmin sum_n || g(f_theta(z_n)) - P_n y ||^2,    answer = sum_n P_n^T w_n
    g(f_theta*(z_n))

P_n cuts patch n out of the noisy image y, w_n are blending weights that sum up to 1 at every pixel.
One set of weights has to serve every patch: what repeats over the image is learnt together, noise
does not repeat. Every step fits a few patches at random.

As published (``start="random"``) g is nothing: the network's output is the patch. By default the
network says at places a few pixels apart how the patch is to be averaged there, and g averages
(`napari_dip.methods.patchdip.bands`): wider or narrower, along a direction, always without the
pixel itself. An output of 0 is a calibrated blur; there the fit starts. Pixels between such places
share their weights, so hidden pixels tell when noise is learnt. The measured pixel is then weighed
in by how far off the averages are.

References: Asim, Shamshad and Ahmed, Patch DIP: Exploiting Patch Redundancy in Deep Image Prior for
Denoising, 2019; Bako et al., Kernel-Predicting Convolutional Networks for Denoising Monte Carlo
Renderings, ACM TOG 2017, doi:10.1145/3072959.3073708 (a network that says how to average).

What differs from the first also with a random start: blending weights instead of a plain mean, a
stop by hidden pixels, and the average of the weights over the steps, from which the whole image is
made now and then. z_n is drawn afresh from a seed of its own whenever patch n is needed, so that
memory does not grow with the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from napari_dip.engine.average_weights import AverageWeights
from napari_dip.engine.device import seeded
from napari_dip.engine.filters import averaged, early_stopped, held_out_error, running_mean, spread
from napari_dip.engine.loop import Step, optimize
from napari_dip.engine.plane import Plane
from napari_dip.engine.tiles import Tiles
from napari_dip.methods.patchdip.patches import Averages, Patchwork, cut
from napari_dip.nets.base import PriorNet, build_net
from napari_dip.nets.filter_unet import blurred
from napari_dip.settings import PatchDIP

LOOKS = 24  # how often at most the whole image is looked at during a fit
LOOK_WEIGHT = 0.7  # of the past in the average of looks
SPREAD_WEIGHT = 0.9  # of the past in the spread of looks: about the last ten
WINDOW = (
    4.0  # standard deviation in pixels of the surroundings over which local errors are averaged
)
SETTLING = 4  # batches from which an averaged network learns what its norms see


def fit(plane: Plane, s: PatchDIP) -> Iterator[Step]:
    """Fit one network to the patches of a noisy plane.

    Yields
    ------
    Step
        One a gradient step; the answer changes at each look at the whole image.
    """
    y, noise = plane.y, plane.noise
    generator = torch.Generator().manual_seed(s.seed)
    height, width = y.shape[-2:]
    tiles = Tiles(height, width, s.patch, s.stride)
    averages = s.start == "blur"
    work = Averages(y, tiles, s.seed, noise, s.spacing) if averages else Patchwork(y, tiles, s.seed)
    with seeded(s.seed):
        net = build_net(s, work.outputs, s.input_channels).to(y.device)
    work.prepare(net)
    hidden = (torch.rand((1, *y.shape[-2:]), generator=generator) < s.held_out_share).to(y.device)
    seen = (~hidden).float()
    mean_net = AverageWeights(net, s.averaging)
    shake = torch.Generator(y.device).manual_seed(s.seed)
    order = shuffled(len(tiles.places), generator)
    batch = min(s.batch, len(tiles.places))
    look_every = max(1, s.steps // LOOKS, len(tiles.places) // batch)  # an epoch at least
    weighed = averages and bool(hidden.any())

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        numbers = [next(order) for _ in range(batch)]
        if (
            index > 1
        ):  # the weights of the step before, so that the average never runs ahead of the optimiser
            mean_net.update(net)
        z = work.inputs(net, numbers)
        if not net.still:
            z = z + s.jitter * torch.randn(z.shape, generator=shake, device=y.device)
        target, weight = (cut(image, tiles, numbers) for image in (y, seen))
        error = (work.patches(net, z, numbers) - target) / work.unit
        loss = (error.square() * weight).sum() / (weight.sum() * len(y) + 1e-12)
        if index % look_every and index not in (1, s.steps):
            return loss, None
        settle(mean_net.net, work, [[next(order) for _ in range(batch)] for _ in range(SETTLING)])
        image = look(mean_net.net, work, batch)
        return loss, (image, measured_in(image, y, hidden, noise) if weighed else image)

    first = y.mean((1, 2), keepdim=True).expand_as(y)
    steps = optimize(
        objective, net.parameters(), s.steps, s.learning_rate, first, schedule=s.schedule
    )
    steps = averaged(steps, LOOK_WEIGHT)
    if s.stop == "held-out" and bool(hidden.any()):
        steps = early_stopped(
            steps, held_out_error(y, hidden, running_mean(LOOK_WEIGHT)), s.patience
        )
    if s.std_from == "iterates":
        steps = spread(steps, SPREAD_WEIGHT)
    yield from steps


def shuffled(count: int, generator: torch.Generator) -> Iterator[int]:
    """Yield the numbers below `count` in random order, all of them before any comes again, without end."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


@torch.no_grad()
def settle(net: PriorNet, work: Patchwork, batches: Sequence[Sequence[int]]) -> None:
    """Let the batch norms of an averaged network see a few batches, and leave it in evaluation mode.

    They then treat each patch alike, whichever others it is looked at with.
    """
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
    net.train()
    for numbers in batches:
        net.image(work.inputs(net, numbers), *work.shape)
    net.eval()


@torch.no_grad()
def look(net: PriorNet, work: Patchwork, batch: int) -> Tensor:
    """Make the whole image, a few patches at a time; (C, Y, X)."""
    image, tiles = torch.zeros_like(work.y), work.tiles
    for start in range(0, len(tiles.places), batch):
        numbers = range(start, min(start + batch, len(tiles.places)))
        patches = work.patches(net, work.inputs(net, numbers), numbers)
        for number, patch in zip(numbers, patches, strict=True):
            weight = torch.as_tensor(tiles.weight(number)).to(work.y)
            image[(slice(None), *tiles.places[number])] += weight * patch
    return image


def measured_in(image: Tensor, y: Tensor, hidden: Tensor, noise: float) -> Tensor:
    """Weigh the measured pixels into averages that do not hold them, each by the inverse of its variance.

    How far off the averages are is told by hidden pixels for the whole image, and around each pixel
    by how its surroundings differ from the rest, as far as they do by more than chance (a shrunken
    local variance, as in [1]_).

    Parameters
    ----------
    image, y : Tensor
        Shape (C, Y, X): the averages, and the noisy image.
    hidden : Tensor of bool
        Shape (1, Y, X): where the mean squared error is that of the averages plus that of the
        noise.
    noise : float
        Standard deviation of the noise.

    References
    ----------
    .. [1] Lee, Digital Image Enhancement and Noise Filtering by Use of Local Statistics, IEEE PAMI
    1980,
       doi:10.1109/TPAMI.1980.4766994.
    """
    squares = (image - y).square()
    around = blurred(squares[None], WINDOW)[0]
    usual = around.mean()
    chance = usual.square() / (
        2 * math.pi * WINDOW**2
    )  # 2 sigma^4 / n, n = 4 pi WINDOW^2 pixels under the window
    real = (1 - chance / (around.var(correction=0) + 1e-20)).clamp(min=0)
    error = squares[hidden.expand_as(y)].mean()
    own = (error - noise**2 + real * (around - usual)).clamp(min=0)
    return torch.lerp(image, y, own / (own + noise**2))
