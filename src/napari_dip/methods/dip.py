"""Deep Image Prior: fit a network to one noisy image and stop before it learns the noise.

    theta* = argmin || f_theta(z) - y ||^2,    answer = f_theta*(z)

The input z is uniform noise, drawn once and shaken by fresh Gaussian noise in every step. An untrained convolutional
network learns what looks like an image before it learns noise, so the answer is right some way along the fit.

Reference: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925.

What differs from the paper, each by a setting of its own: a share of the pixels can be hidden from the loss to know
when to stop, and the image can be variance-stabilised first. Images of any size are fitted on a padded z whose margin
is cut off the output, so that no pixel of the image is cropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

import torch
from torch import Tensor

from napari_dip.engine.device import seeded
from napari_dip.engine.filters import averaged, backtracked, early_stopped, held_out_error, moving_variance
from napari_dip.engine.loop import Step, optimize
from napari_dip.nets.skip import SkipNet
from napari_dip.settings import DIP

AMPLITUDE = 0.1  # z is uniform in [0, AMPLITUDE]


def fit(y: Tensor, s: DIP, generator: torch.Generator) -> Iterator[Step]:
    """Fit the skip network to a noisy plane.

    Parameters
    ----------
    y : Tensor
        Shape (C, Y, X), intensities in [0, 1].
    s : DIP
        With ``net="skip"``.
    generator : Generator
        Seeded; on the CPU, so that every device draws the same numbers.

    Yields
    ------
    Step
        One a gradient step.
    """
    device = y.device
    with seeded(s.seed):
        net = SkipNet(s.input_channels, len(y), s.channels, s.scales, s.skip_channels).to(device)
    height, width = y.shape[-2:]
    padded = [max(2, -(-n // net.multiple)) * net.multiple for n in (height, width)]  # 2 pixels at the deepest scale
    z = AMPLITUDE * torch.rand((1, s.input_channels, *padded), generator=generator).to(device)
    hidden = torch.rand((1, height, width), generator=generator).to(device) < s.held_out_share
    seen = (~hidden).float()
    shake = torch.Generator(device).manual_seed(s.seed)

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        jitter = s.jitter * torch.randn(z.shape, generator=shake, device=device)
        output = net(z + jitter)[0, :, :height, :width]  # (C, Y, X)
        return ((output - y).square() * seen).sum() / (seen.sum() * len(y)), (output, output)

    steps = optimize(objective, net.parameters(), s.steps, s.learning_rate, y, schedule=s.schedule)
    if s.backtrack:
        steps = backtracked(steps, net)
    steps = averaged(steps, s.averaging)
    every = 1 if device.type == "cpu" else 10
    if s.stop == "held-out" and bool(hidden.any()):
        steps = early_stopped(steps, held_out_error(y, hidden, attrgetter("answer")), s.patience, every=every)
    elif s.stop == "variance":
        steps = early_stopped(steps, moving_variance(), s.patience)
    yield from steps
