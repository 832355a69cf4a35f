"""Implicit Deep Denoiser Prior: train a denoiser on noisy images alone, by its own answers.

    loss = alpha || F(y) - blur(y) ||^2 + || F(eta + m (y - eta)) - eta ||^2,    eta = stopgrad F(y)        (Eq. 11)

What F removes, y - eta, is taken for the noise; its signs are drawn anew (m is +1 or -1, each with probability 1/2, a
fresh draw for each pixel and step), added to the answer, and F must remove it again. The blur keeps the answer near the
image.

Reference: Lin et al., Self-Supervised Image Denoising Using Implicit Deep Denoiser Prior.

What differs from the paper in the default preset: noise is made even first, so that its level is known; the averaging
filter is learned through a blind spot instead of fixed (see `napari_dip.nets.blind_spot_filter`); F starts as that filter, which
the U-Net corrects; the redrawn noise is brought up to the known level where F removed less than that; and alpha is 0.15
instead of 0.001.

Why alpha: let c be the share of the noise that F passes. One step on the loss leads from c to about
c^2 / (c^2 + (1 - c)^2 + alpha). Without alpha, c below 1/2 runs to 0 (a denoiser) and above to 1 (the identity); above
alpha = 1/8 the identity is no fixed point any more. The same map holds for the signal: detail that starts under 1/2
dies. From a mild filter both start on the right side.

The share q of the redrawn residual that F lets through is known without ground truth, and tells a fall to the identity:

    q = sum m r (F(y2) - eta) / sum (m r)^2,    r = y - eta
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.engine.device import put
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.noise.units import UNIT
from napari_dip.settings import IDDP
from napari_dip.training.crops import Batch
from napari_dip.training.processes import ALONE, Ranks

Measures = dict[str, Tensor]
MOST_SCALED = 1.4


def loss(
    net: BlurredUNet, batch: Batch, s: IDDP, generator: torch.Generator, done: float
) -> tuple[Tensor, Measures]:
    """Return the loss on a batch, and what tells a collapse.

    Parameters
    ----------
    net : BlurredUNet
        F, with its blur.
    batch : Batch
        Noisy crops, (B, C, Y, X).
    s : IDDP
        Settings.
    generator : Generator
        For the signs.
    done : float
        Share of the steps done; not needed here.

    Returns
    -------
    loss : Tensor
        Scalar.
    measures : dict of Tensor
        ``passed`` is q, ``contrast`` the standard deviation of F(y) by that of the blurred image.
    """
    y = batch.noisy
    smooth = net.smooth(y)
    answer = net(y, smooth)
    eta = answer.detach() if s.stop_gradient else answer
    removed = y - eta
    flipped = (
        s.gain
        * signs(y, s.block, generator, batch.ranks)
        * (up_to_level(removed) if s.known_level else removed)
    )
    again = net(eta + flipped)
    anchor = smooth if s.target == "blur" else y
    total = s.alpha * (answer - anchor).square().mean() + (again - eta).square().mean()
    with torch.no_grad():
        back = torch.stack([(flipped * (again - eta)).sum(), flipped.square().sum()])
        through, energy = batch.ranks.mean(back)
        passed = through / energy.clamp_min(1e-12)
        contrast = batch.ranks.std(answer) / batch.ranks.std(smooth).clamp_min(1e-12)
    return total, {"passed": passed, "contrast": contrast}


def up_to_level(removed: Tensor) -> Tensor:
    """Scale what was removed from each crop up to the standard deviation of its noise, by at most `MOST_SCALED`.

    What F passes of the noise is missing in what it removed; redrawn as it is, the noise would be weaker than any that
    F is to meet.
    """
    level = removed.detach().square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
    return removed * (1 / UNIT / level).clamp(1, MOST_SCALED)


def signs(like: Tensor, block: int, generator: torch.Generator, ranks: Ranks = ALONE) -> Tensor:
    """Draw +1 or -1 for each square of `block` pixels, in the shape of `like`."""
    shape = like.shape[1], *(-(-n // block) for n in like.shape[-2:])
    drawn = ranks.drawn(
        len(like), lambda crops: torch.randint(0, 2, (crops, *shape), generator=generator)
    )
    drawn = put(drawn.to(like.dtype), like.device) * 2 - 1
    if block > 1:
        drawn = drawn.repeat_interleave(block, -2).repeat_interleave(block, -1)[
            ..., : like.shape[-2], : like.shape[-1]
        ]
    return drawn
