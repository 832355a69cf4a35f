"""PatchDIP: one network fitted to all overlapping patches of the image, each from its own random z.

    theta* = argmin sum_n || g(f_theta(z_n)) - P_n y ||^2,    answer = sum_n P_n^T w_n
    g(f_theta*(z_n))

P_n cuts patch n out of the noisy image y, w_n are blending weights that sum up to 1 at every pixel.
One set of weights has to serve every patch: what repeats over the image is learnt together, noise
does not repeat. Every step fits a few patches at random.

As published (``start="random"``) g is nothing: the network's output is the patch. By default the
network says at points a few pixels apart how the patch is to be averaged there, and g averages
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
from collections.abc import Iterable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from napari_dip.engine.average_weights import AverageWeights
from napari_dip.engine.device import seeded
from napari_dip.engine.filters import choose_step
from napari_dip.engine.loop import Step, optimize
from napari_dip.engine.out_of_memory import MemoryPlan, add_gradients, in_strips
from napari_dip.engine.plane import Plane
from napari_dip.engine.tiles import Tiles
from napari_dip.methods.patchdip.patches import FilteredPatches, Patches, cut_patches
from napari_dip.nets.base import PriorNet, build_net
from napari_dip.nets.gaussian import blur
from napari_dip.settings import PatchDIP

PREDICTIONS = 24  # how often at most the whole image is made during a fit
PREDICTION_WEIGHT = 0.7  # of the past in their average
SPREAD_WEIGHT = 0.9  # of the past in their spread: about the last ten
WINDOW = 4.0  # standard deviation in pixels of the window over which local errors are averaged
NORM_BATCHES = 4  # batches from which the norms of an averaged network take their statistics


def fit(plane: Plane, s: PatchDIP) -> Iterator[Step]:
    """Fit one network to the patches of a noisy plane.

    Yields
    ------
    Step
        One a gradient step; the answer changes each time that the whole image is made.
    """
    y, noise, plan = plane.y, plane.noise, plane.plan or MemoryPlan(plane.y.device)
    generator = torch.Generator().manual_seed(s.seed)
    height, width = y.shape[-2:]
    tiles = Tiles(height, width, s.patch, s.stride)
    filtered = s.start == "blur"
    given = (y, tiles, s.seed)
    patches = FilteredPatches(*given, noise, s.spacing) if filtered else Patches(*given)
    with seeded(s.seed):
        net = build_net(s, patches.outputs, s.input_channels).to(y.device)
    patches.initialise(net)
    hidden = (torch.rand((1, *y.shape[-2:]), generator=generator) < s.held_out_share).to(y.device)
    counted = (~hidden).float()
    mean_net = AverageWeights(net, s.averaging)
    jitter = torch.Generator(y.device).manual_seed(s.seed)
    order = shuffled(len(tiles.places), generator)
    batch, parameters = min(s.batch, len(tiles.places)), list(net.parameters())
    every = max(1, s.steps // PREDICTIONS, len(tiles.places) // batch)  # an epoch at least

    def draw() -> list[int]:
        return [next(order) for _ in range(batch)]

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        numbers = draw()
        if index > 1:  # the weights of the step before: the average never runs ahead
            mean_net.update(net)
        z = patches.inputs(net, numbers)
        if not net.fixed_z:
            z = z + s.jitter * torch.randn(z.shape, generator=jitter, device=y.device)
        target, weight = (cut_patches(image, tiles, numbers) for image in (y, counted))
        given = net, patches, z, numbers, target, weight
        loss = add_gradients(partial(_losses, *given), batch, parameters, plan)
        if index % every and index not in (1, s.steps):
            return loss, None
        batches = [draw() for _ in range(NORM_BATCHES)]
        with torch.no_grad():  # then each patch is treated alike, whichever others are beside it
            take_statistics(mean_net.net, (patches.inputs(mean_net.net, some) for some in batches))
        image = assemble_image(mean_net.net.eval(), patches, batch, plan)
        if filtered and bool(hidden.any()):
            return loss, (image, weigh_in_measured(image, y, hidden, noise))
        return loss, (image, image)

    first = y.mean((1, 2), keepdim=True).expand_as(y)
    steps = optimize(
        objective,
        parameters,
        s.steps,
        s.learning_rate,
        first,
        schedule=s.schedule,
        values=batch * s.patch**2 * s.channels,
    )
    weight = PREDICTION_WEIGHT if s.averaging else 0.0
    yield from choose_step(steps, s, y, hidden, averaging=weight, spreading=SPREAD_WEIGHT)


def _losses(
    net: PriorNet,
    patches: Patches,
    z: Tensor,
    numbers: list[int],
    target: Tensor,
    weight: Tensor,
    parts: int,
) -> Iterator[Tensor]:
    """Yield the losses of the parts of a batch, for `napari_dip.engine.out_of_memory`.

    Through the network the batch goes at once: its norms take the statistics of all patches.
    """
    pixels, some = weight.sum() * target.shape[1] + 1e-12, len(numbers) // parts
    output = net.image(z, *patches.shape)
    given = [output]
    if parts > 1:
        given = [part.detach().requires_grad_() for part in output.chunk(parts)]
    for number, part in enumerate(given):
        now = slice(number * some, (number + 1) * some)
        error = (patches.average(part, numbers[now]) - target[now]) / patches.unit
        yield (error.square() * weight[now]).sum() / pixels
    if parts > 1:
        gradient = torch.cat([part.grad for part in given if part.grad is not None])
        along = (output * gradient).sum()
        yield along - along.detach()  # of value 0


def take_statistics(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give batch norms the mean statistics of some inputs; the network is left in training mode.

    `torch.optim.swa_utils.update_bn` reads a counter from the device for every one.
    """
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    net.train()
    for count, batch in enumerate(batches, 1):
        for norm in norms:
            norm.momentum = 1 / count
        net(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def shuffled(count: int, generator: torch.Generator) -> Iterator[int]:
    """Yield the numbers below `count` in random order, epoch after epoch, without end."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


@torch.no_grad()
def assemble_image(
    net: PriorNet, patches: Patches, batch: int, plan: MemoryPlan | None = None
) -> Tensor:
    """Blend all patches to the image (C, Y, X), a few at a time."""
    image, tiles = torch.zeros_like(patches.y), patches.tiles

    def predict(start: int, stop: int) -> list[tuple[int, Tensor]]:
        numbers = range(start, stop)
        predicted = patches.predict(net, patches.inputs(net, numbers), numbers)
        return list(zip(numbers, predicted, strict=True))

    plan = plan or MemoryPlan(image.device)
    for some in in_strips(predict, len(tiles.places), batch, plan, least=1):
        for number, patch in some:
            weight = torch.as_tensor(tiles.weight(number)).to(patches.y)
            image[(slice(None), *tiles.places[number])] += weight * patch
    return image


def weigh_in_measured(image: Tensor, y: Tensor, hidden: Tensor, noise: float) -> Tensor:
    """Average the filtered image and the measured one, each by the inverse of its variance.

    The variance of the filtered image is that at hidden pixels, changed around each pixel by how
    much its surroundings differ from the rest, as far as by more than chance (a shrunken local
    variance, as in [1]_).

    Parameters
    ----------
    image, y : Tensor
        Shape (C, Y, X): averages that do not hold the pixel itself, and the noisy image.
    hidden : Tensor of bool
        Shape (1, Y, X): where the mean squared difference is the error of `image` plus the noise.
    noise : float
        Standard deviation of the noise.

    References
    ----------
    .. [1] Lee, Digital Image Enhancement and Noise Filtering by Use of Local Statistics, IEEE PAMI
       1980, doi:10.1109/TPAMI.1980.4766994.
    """
    squares = (image - y).square()
    local = blur(squares[None], WINDOW)[0]
    mean = local.mean()
    # 2 sigma^4 / n, with n = 4 pi WINDOW^2 pixels under the window
    by_chance = mean.square() / (2 * math.pi * WINDOW**2)
    real = (1 - by_chance / (local.var(correction=0) + 1e-20)).clamp(min=0)
    error = squares[hidden.expand_as(y)].mean()
    variance = (error - noise**2 + real * (local - mean)).clamp(min=0)
    return torch.lerp(image, y, variance / (variance + noise**2))
