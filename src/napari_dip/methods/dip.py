"""Deep Image Prior: fit a network to one noisy image and stop before it learns the noise.

    theta* = argmin || A f_theta(z) - y ||^2,    answer = f_theta*(z)

A is what the measurement saw of the image: all of it (denoising), some pixels (inpainting), a
coarse version (super-resolution), the features of a network. The input z is uniform noise, or a
guide image, drawn once and shaken by fresh Gaussian noise in every step. An untrained convolutional
network learns what looks like an image before it learns noise, so the answer is right some way
along the fit. Which network is a setting; of two that drop values while they are fitted, resunet
gives its answer in evaluation mode, nothing dropped, and pyramid the average of dropped outputs.

Reference: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925.

What differs from the paper, each by a setting of its own: a share of the pixels can be hidden from
the loss to know when to stop, the image can be variance-stabilised first, networks can drop values,
fits from several random weights are averaged, and the measured image can be weighed in afterwards,
so that a share of the noisy image is in the answer. Images of any size are fitted on a padded z
whose margin is cut off the output, so that no pixel of the image is cropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from napari_dip.engine.device import seeded
from napari_dip.engine.filters import backtracked, choose_step
from napari_dip.engine.loop import Step, optimize
from napari_dip.engine.operators import Identity, Operator
from napari_dip.engine.plane import Plane
from napari_dip.nets.base import AMPLITUDE, PriorNet, build_net
from napari_dip.nets.dropout import dropout_active
from napari_dip.settings import DIP, NetworkOfZ

MOST_OFF = 0.02  # of the range, by which an answer may be too bright without a word
SPREAD_WEIGHT = 0.99  # of the past in the spread of iterates: about the last hundred
MASKS = 8  # dropout masks that the answer's spread is taken over
EVALUATE_EVERY = 10  # steps between outputs in evaluation mode, each a forward pass more
CHECK_EVERY = 10  # outputs between checks of the held-out error on a GPU, which wait for it


def fit(plane: Plane, s: DIP) -> Iterator[Step]:
    """Fit a network of random z to a noisy plane.

    Yields
    ------
    Step
        One a gradient step.
    """
    generator = torch.Generator().manual_seed(s.seed)
    noise = plane.noise if s.weigh else 0.0
    return fit_measurement(plane.y, s, generator, s.input_channels, noise=noise)


def fit_measurement(
    y: Tensor,
    s: NetworkOfZ,
    generator: torch.Generator,
    z: Tensor | int,
    operator: Operator | None = None,
    noise: float = 0.0,
) -> Iterator[Step]:
    """Fit a network of z to what was measured of an image; yield one Step a gradient step.

    Parameters
    ----------
    y : Tensor
        Shape (C, Y, X), intensities in [0, 1]; or whatever `operator` measures.
    generator : Generator
        Seeded; on the CPU, so that every device draws the same numbers.
    z : Tensor or int
        The input, shape (channels, Y, X), in [0, 1]; or how many channels of noise it is to have.
    operator : Operator, optional
        What `y` is of the image; all of it by default.
    noise : float
        Standard deviation of the noise in `y`, an image, where `y` is to be weighed in; else 0.
    """
    device, operator = y.device, operator or Identity()
    colours, height, width = operator.canvas(y)
    with seeded(s.seed):
        net = build_net(s, colours, z if isinstance(z, int) else len(z)).to(device)
    size = net.input_size(height, width)
    z = (_noise(net.inputs, size, generator) if isinstance(z, int) else _pad(z, size)).to(device)
    counted = operator.valid_mask(y)
    drawn = torch.rand(counted.shape, generator=generator).to(device) < s.held_out_share
    hidden = drawn & counted
    fitted = (counted & ~hidden).float()
    weight = 1 / (fitted.sum() * (y.numel() // fitted.numel())).clamp(min=1)
    jitter = torch.Generator(device).manual_seed(s.seed)
    every = EVALUATE_EVERY if s.evaluation_mode else 1

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        moved = z
        if not net.fixed_z:
            moved = z + s.jitter * torch.randn(z.shape, generator=jitter, device=device)
        output = net.image(moved, height, width)[0]  # (C, Y, X)
        loss = ((operator(output) - y).square() * fitted).sum() * weight
        if every == 1:
            return loss, (output, output)
        if index % every and index not in (1, s.steps):
            return loss, None
        output = evaluate(net, z, height, width)[0]
        if s.std_from == "dropout":
            return loss, (output, output, _dropout_std(net, z, height, width))
        return loss, (output, output)

    first = torch.zeros(colours, height, width, device=device)  # never shown: all have an output
    steps = optimize(
        objective,
        net.parameters(),
        s.steps,
        s.learning_rate,
        first,
        schedule=s.schedule,
        values=height * width * s.channels,
    )
    if s.backtrack:
        steps = backtracked(steps, net)
    steps = choose_step(
        steps,
        s,
        y,
        hidden,
        image=lambda step: _measure(operator, step),
        averaging=s.averaging**every,
        spreading=SPREAD_WEIGHT**every,
        every=1 if device.type == "cpu" else CHECK_EVERY,
    )
    weighed = noise > 0 and bool(hidden.any())
    for step in steps:
        if weighed:
            step = replace(step, answer=weigh_in_measured(step.answer, y, hidden, noise))
        if step.index == s.steps and not step.note:
            step = replace(step, note=_brightness_note(_measure(operator, step), y, counted))
        yield step


def weigh_in_measured(answer: Tensor, y: Tensor, hidden: Tensor, noise: float) -> Tensor:
    """Mix the measured image into the answer of a fit, by how much of it the fit has left out.

    The share s of y that makes the expected square error least is (V - C) / (V + noise^2 - 2 C),
    where V is the mean square error of the answer and C its correlation with the noise that the
    fit has seen. The mean square of answer - y is V + noise^2 on hidden pixels, whose noise the
    answer can't know, and V + noise^2 - 2 C on the others, with V about the same: that gives both.

    Parameters
    ----------
    answer, y : Tensor
        Shape (C, Y, X).
    hidden : Tensor of bool
        Shape (1, Y, X), True where the loss did not look.
    noise : float
        Standard deviation of the noise in `y`.
    """
    square = (answer - y).square().mean(0, keepdim=True)
    blind = (square * hidden).sum() / hidden.sum()
    seen = (square * ~hidden).sum() / (~hidden).sum().clamp(min=1)
    share = ((blind + seen) / 2 - noise**2) / seen.clamp(min=1e-12)
    return torch.lerp(answer, y, share.clamp(0, 1))


def _brightness_note(measured: Tensor, y: Tensor, counted: Tensor) -> str:
    """Return a note where a fit, which starts at a middle grey, has not reached the brightness."""
    count = (counted.sum() * (y.numel() // counted.numel())).clamp(min=1)
    off = float(((measured - y) * counted).sum() / count)
    if abs(off) <= MOST_OFF:
        return ""
    which = "bright" if off > 0 else "dark"
    return f"The answer is too {which}, by {abs(off):.0%} of the range: give it more steps."


def _noise(channels: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    return AMPLITUDE * torch.rand((1, channels, *size), generator=generator)


def _pad(guide: Tensor, size: tuple[int, int]) -> Tensor:
    """Continue a guide (C, Y, X) to the size that the network takes, (1, C, Y', X')."""
    height, width = guide.shape[-2:]
    return functional.pad(guide[None], (0, size[1] - width, 0, size[0] - height), mode="replicate")


@torch.no_grad()
def _measure(operator: Operator, step: Step) -> Tensor:
    return operator(step.answer)


@torch.no_grad()
def evaluate(net: PriorNet, z: Tensor, height: int, width: int) -> Tensor:
    """Return the image (B, C, Y, X) of a network in evaluation mode."""
    net.eval()
    image = net.image(z, height, width)
    net.train()
    return image


@torch.no_grad()
def _dropout_std(net: PriorNet, z: Tensor, height: int, width: int) -> Tensor:
    """Return the standard deviation over images (C, Y, X) with different values dropped."""
    net.eval()
    with dropout_active(net):
        images = torch.cat([net.image(z, height, width) for _ in range(MASKS)])
    net.train()
    return images.std(0)
