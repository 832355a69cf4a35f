"""Inpainting through a blind spot: the network learns to fill gaps by filling gaps that are none.

    theta* = argmin  E_H rho(M H (f_theta(y, M (1 - H)) - y)),    answer = f_theta*(y, M)

M marks the known pixels of the one image y. In every step a random part H of them is hidden too,
and the network f is asked for it; what it learns there it does at the pixels that nobody knows. rho
is the square of small errors and the size of large ones. The network corrects a smooth fill, so the
answer is right from the first step on where the image is smooth. Hidden are single pixels, and
where the gaps of the image are larger than that, also copies of these gaps moved elsewhere.

The fit draws random crops with flips and quarter turns; the answer averages the eight orientations.

References
----------
Batson and Royer, Noise2Self, ICML 2019, arXiv:1901.11365.
Quan, Chen, Pang and Ji, Self2Self with Dropout, CVPR 2020, doi:10.1109/CVPR42600.2020.00196.

What differs from these papers: missing pixels instead of noise, a small dilated network that
corrects a smooth fill, crops instead of the image, no dropout of features.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional

from napari_dip.engine.average_weights import blend_weights
from napari_dip.engine.device import seeded
from napari_dip.engine.loop import Step, optimize
from napari_dip.engine.orientations import random_crops, turn, turn_back
from napari_dip.engine.out_of_memory import MemoryPlan, add_gradients, in_strips
from napari_dip.engine.plane import Plane
from napari_dip.nets.inpaint import GapNet
from napari_dip.settings import Inpaint

PREDICTIONS = 12  # how often the whole image is filled during a fit
KNEE = 0.01  # of the unit range: smaller errors count squared, larger ones, at edges, by their size
HIDDEN = 0.2  # share of the known pixels that is hidden in a step
SINGLE = 2  # pixels deep: larger holes are imitated by moved copies of themselves
STRIP_PIXELS = 1 << 18  # the whole image goes through the network in strips of about so many pixels
ORIENTATIONS = 8


def fit(plane: Plane, s: Inpaint, *, blind: bool = False) -> Iterator[Step]:
    """Fit the network to the known pixels of a plane.

    Parameters
    ----------
    plane : Plane
        With `known`; values of unknown pixels do not matter.
    blind : bool
        Whether known pixels, too, are predicted from their neighbours: noisy ones are denoised.

    Yields
    ------
    Step
        One a gradient step; every few steps with an output.
    """
    assert plane.known is not None
    y, known, generator = plane.y, plane.known, torch.Generator().manual_seed(s.seed)
    plan = plane.plan or MemoryPlan(y.device)
    with seeded(s.seed):
        net = GapNet(len(y), s.channels, s.layers).to(y.device)
    mean_net = deepcopy(net)
    views = torch.cat([torch.where(known, y, 0), known.float()])[None]  # (1, C + 1, Y, X)
    large = _has_large_holes(known)
    every = max(1, s.steps // PREDICTIONS)
    parameters = list(net.parameters())

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        if index > 1:
            blend_weights(mean_net, net, 1 - s.averaging if index > 2 else 1.0)
        crops = random_crops(views, s.crop, s.batch, generator)
        image, mask = crops[:, :-1], crops[:, -1:]
        hidden = mask * _draw_hidden(mask, views, generator, large)
        pixels = (hidden.sum() * len(y)).clamp(min=1)

        def losses(parts: int) -> Iterator[Tensor]:
            chunks = (images.chunk(parts) for images in (image, mask, hidden))
            return (_sum_errors(net, *part) / pixels for part in zip(*chunks, strict=True))

        loss = add_gradients(losses, s.batch, parameters, plan)
        if index % every and index not in (1, s.steps):
            return loss, None
        turns = range(ORIENTATIONS) if index == s.steps else [index // every % ORIENTATIONS]
        filled = _fill_image(mean_net, views, list(turns), generator if blind else None, plan)
        return loss, (filled, filled)

    yield from optimize(
        objective,
        parameters,
        s.steps,
        s.learning_rate,
        y,
        schedule=s.schedule,
        clip=1.0,
        values=s.batch * s.crop**2 * s.channels,
    )


def _sum_errors(net: GapNet, image: Tensor, known: Tensor, hidden: Tensor) -> Tensor:
    """Return the sum of the errors at the hidden pixels of crops."""
    error = net(image, known - hidden) - image
    return ((torch.hypot(error, torch.full_like(image, KNEE)) - KNEE) * hidden).sum()


def _draw_hidden(known: Tensor, views: Tensor, generator: torch.Generator, large: bool) -> Tensor:
    """Draw the hidden pixels of crops, (B, 1, Y, X) as 0 and 1: single ones, or moved holes."""
    hidden = (torch.rand(known.shape, generator=generator) < HIDDEN).to(known)
    if large:
        for number in range(len(hidden)):
            if torch.rand(1, generator=generator).item() < 0.5:
                moved = random_crops(views[:, -1:], known.shape[-1], 1, generator)[0]
                hidden[number] = 1 - moved
    return hidden


@torch.no_grad()
def _fill_image(
    net: GapNet,
    views: Tensor,
    turns: list[int],
    generator: torch.Generator | None,
    plan: MemoryPlan | None = None,
) -> Tensor:
    """Fill the whole image, (C, Y, X), with the network as it is.

    Parameters
    ----------
    views : Tensor
        Shape (1, C + 1, Y, X): the image and where it is known.
    turns : list of int
        The orientations that the network gets to see; their answers are averaged.
    generator : Generator, optional
        Where given, every known pixel is hidden once too, and predicted from the others.
    """
    known = views[:, -1:]
    if generator is None:
        groups = [torch.zeros_like(known)]
    else:
        group = (torch.rand(known.shape, generator=generator) / HIDDEN).floor().to(known.device)
        groups = [known * (group == g) for g in range(round(1 / HIDDEN))]
    answer, plan = torch.zeros_like(views[0, :-1]), plan or MemoryPlan(views.device)
    for orientation in turns:
        at_known, at_missing = torch.zeros_like(answer), torch.zeros_like(answer)
        for hidden in groups:
            seen = torch.cat([views[:, :-1], known - hidden], dim=1)
            filled = turn_back(_fill(net, turn(seen, orientation), plan), orientation)[0]
            at_known += filled * (hidden[0] if generator else known[0])
            at_missing += filled * (1 - known[0]) / len(groups)
        answer += (at_known + at_missing) / len(turns)
    return answer


def _fill(net: GapNet, views: Tensor, plan: MemoryPlan) -> Tensor:
    """Fill (1, C + 1, Y, X) as the network does, the convolutions in strips of rows: memory.

    The smooth fill is that of the whole image, and strips overlap by as much as the convolutions
    see, so that there can be no seam.
    """
    height, width = views.shape[-2:]
    fill, seen = net.views(views[:, :-1], views[:, -1:])

    def strip(top: int, bottom: int) -> Tensor:
        start = max(0, top - net.reach)
        corrected = net.correction(seen[..., start : bottom + net.reach, :])
        return corrected[..., top - start : bottom - start, :]

    strips = in_strips(strip, height, max(16, STRIP_PIXELS // width), plan)
    return fill + torch.cat(list(strips), dim=-2)


def _has_large_holes(known: Tensor) -> bool:
    """Return whether some unknown pixel has no known one within `SINGLE` pixels."""
    near = functional.max_pool2d(known.float(), 2 * SINGLE + 1, 1, SINGLE)
    return bool((near == 0).any())
