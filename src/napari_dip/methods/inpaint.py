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
from napari_dip.engine.plane import Plane
from napari_dip.nets.inpaint import GapNet
from napari_dip.settings import Inpaint

LOOKS = 12  # how often the whole image is looked at during a fit
KNEE = 0.01  # of the unit range: smaller errors count squared, larger ones, at edges, by their size
HIDDEN = 0.2  # share of the known pixels that is hidden in a step
SINGLE = 2  # pixels deep: larger gaps are imitated by moved copies of themselves
MARGIN = 32  # rows beside a strip that the network sees too
STRIP_PIXELS = (
    1 << 18
)  # the whole image goes through the network in strips of about this many pixels
ORIENTATIONS = 8


def fit(plane: Plane, s: Inpaint, *, blind: bool = False) -> Iterator[Step]:
    """Fit the network to the known pixels of a plane.

    Parameters
    ----------
    plane : Plane
        With `known`; values of unknown pixels do not matter.
    s : Inpaint
        Steps, learning rate, schedule, averaging, channels, layers (residual blocks), crop, batch.
    blind : bool
        Whether the answer at known pixels, too, is what their neighbours say of them: noisy pixels are denoised.

    Yields
    ------
    Step
        One a gradient step; every few steps with an output.
    """
    assert plane.known is not None
    y, known, generator = plane.y, plane.known, torch.Generator().manual_seed(s.seed)
    with seeded(s.seed):
        net = GapNet(len(y), s.channels, s.layers).to(y.device)
    mean_net = deepcopy(net)
    views = torch.cat([torch.where(known, y, 0), known.float()])[None]  # (1, C + 1, Y, X)
    large = _has_large_gaps(known)
    every = max(1, s.steps // LOOKS)

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        if index > 1:
            blend_weights(mean_net, net, 1 - s.averaging if index > 2 else 1.0)
        crops = random_crops(views, s.crop, s.batch, generator)
        image, there = crops[:, :-1], crops[:, -1:]
        hidden = there * random_gaps(there, views, generator, large)
        output = net(image, there - hidden)
        error = torch.hypot(output - image, torch.full_like(image, KNEE)) - KNEE
        loss = (error * hidden).sum() / (hidden.sum() * len(y)).clamp(min=1)
        if index % every and index not in (1, s.steps):
            return loss, None
        turns = range(ORIENTATIONS) if index == s.steps else [index // every % ORIENTATIONS]
        image = look(mean_net, views, list(turns), generator if blind else None)
        return loss, (image, image)

    yield from optimize(
        objective, net.parameters(), s.steps, s.learning_rate, y, schedule=s.schedule, clip=1.0
    )


def random_gaps(there: Tensor, plane: Tensor, generator: torch.Generator, large: bool) -> Tensor:
    """Draw what is hidden of some crops, (B, 1, Y, X) as 0 and 1: single pixels, or gaps of the image moved."""
    gaps = (torch.rand(there.shape, generator=generator) < HIDDEN).to(there)
    if not large:
        return gaps
    size = there.shape[-1]
    for crop in range(len(gaps)):
        if torch.rand(1, generator=generator).item() < 0.5:
            gaps[crop] = 1 - random_crops(plane[:, -1:], size, 1, generator)[0]
    return gaps


@torch.no_grad()
def look(
    net: torch.nn.Module, plane: Tensor, turns: list[int], generator: torch.Generator | None
) -> Tensor:
    """Fill the whole image with the network as it is.

    Parameters
    ----------
    plane : Tensor
        Shape (1, C + 1, Y, X): the image and where it is known.
    turns : list of int
        The orientations that the network gets to see; their answers are averaged.
    generator : Generator, optional
        Where given, every known pixel is hidden once too, and the answer there is what the others say of it.

    Returns
    -------
    Tensor
        Shape (C, Y, X).
    """
    there = plane[:, -1:]
    if generator is None:
        hidden = [torch.zeros_like(there)]
    else:
        group = (torch.rand(there.shape, generator=generator) / HIDDEN).floor().to(there.device)
        hidden = [there * (group == g) for g in range(round(1 / HIDDEN))]
    answers = torch.zeros_like(plane[0, :-1])
    for orientation in turns:
        known = torch.zeros_like(answers)
        unknown = torch.zeros_like(answers)
        for part in hidden:
            seen = torch.cat([plane[:, :-1], there - part], dim=1)
            filled = turn_back(_in_strips(net, turn(seen, orientation)), orientation)[0]
            known += filled * (part[0] if generator else there[0])
            unknown += filled * (1 - there[0]) / len(hidden)
        answers += (known + unknown) / len(turns)
    return answers


def _in_strips(net: torch.nn.Module, plane: Tensor) -> Tensor:
    """Let the network see (1, C + 1, Y, X) in overlapping strips of rows, to spare memory."""
    height, width = plane.shape[-2:]
    rows, margin = max(16, STRIP_PIXELS // width), MARGIN
    strips = []
    for top in range(0, height, rows):
        start, stop = max(0, top - margin), min(height, top + rows + margin)
        part = plane[..., start:stop, :]
        strips.append(
            net(part[:, :-1], part[:, -1:])[
                ..., top - start : top - start + min(rows, height - top), :
            ]
        )
    return torch.cat(strips, dim=-2)


def _has_large_gaps(known: Tensor) -> bool:
    """Say whether some unknown pixel has no known one within `SINGLE` pixels."""
    near = functional.max_pool2d(known.float(), 2 * SINGLE + 1, 1, SINGLE)
    return bool((near == 0).any())
