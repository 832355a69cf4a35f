"""Implicit Deep Denoiser Prior: train a denoiser on noisy images alone, by its own answers.

    loss = alpha || F(y) - blur(y) ||^2 + || F(eta + m (y - eta)) - eta ||^2,    eta = stopgrad F(y)
    (Eq. 11)

Other losses of the paper: with ``target="image"`` the answer is drawn to y instead of its blur
(Eq. 9), and with ``"image-alone"`` the loss is || F(y) - y ||^2 (Eq. 4), which learns the noise.

What F removes, y - eta, is taken for the noise; its signs are drawn anew (m is +1 or -1, each with
probability 1/2, a fresh draw for each pixel and step), added to the answer, and F must remove it
again. The blur keeps the answer near the image.

Reference: Lin et al., Self-Supervised Image Denoising Using Implicit Deep Denoiser Prior.

What differs from the paper in the default preset: noise is made even first, so that its level is
known; the averaging filter is learned through a blind spot instead of fixed (see
`napari_dip.nets.blind_spot_filter`); F starts as that filter, which the U-Net corrects; the redrawn
noise is brought up to the known level where F removed less than that; and alpha is 0.15 instead of
0.001.

Why alpha: let c be the share of the noise that F passes. One step on the loss leads from c to about
c^2 / (c^2 + (1 - c)^2 + alpha). Without alpha, c below 1/2 runs to 0 (a denoiser) and above to 1
(the identity); above alpha = 1/8 the identity is no fixed point any more. The same map holds for
the signal: detail that starts under 1/2 dies. From a mild filter both start on the right side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.engine.device import put
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.noise.units import UNIT
from napari_dip.settings import IDDP

MOST_SCALED = 1.4


def loss(
    net: BlurredUNet,
    noisy: Tensor,
    target: Tensor | None,
    s: IDDP,
    generator: torch.Generator,
    progress: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch of crops; the losses of all trained methods have this form.

    Parameters
    ----------
    net : BlurredUNet
        F, with its blur.
    noisy : Tensor
        Shape (B, C, Y, X), the crops in units of three times their noise. Where the network sees
        neighbouring planes they are further channels, see `BlurredUNet.middle`; nothing is learnt
        from their pixels as a target, and nothing in them is hidden or redrawn.
    target : Tensor, optional
        Shape (B, C, Y, X): the second capture or the clean image of the same places, for methods
        that need it.
    generator : Generator
        Of all random numbers, on the CPU. Sizes of draws are tuples that start with B.
    progress : float
        Share of the steps done, in (0, 1].

    Returns
    -------
    loss : Tensor or tuple of two Tensors
        Scalar; or a sum over the batch and the number that it is divided by.
    seen : dict of Tensor
        For `napari_dip.training.collapse.measure`; empty where nothing is watched.
    """
    if s.target == "image-alone":
        return (net(noisy) - net.middle(noisy)).square().mean(), {}
    smooth = net.smooth(noisy)
    answer = net(noisy, smooth)
    y, eta = net.middle(noisy), answer.detach() if s.stop_gradient else answer
    removed = y - eta
    level = up_to_level(removed) if s.known_level else removed
    redrawn = s.gain * signs(y, generator) * level
    returned = net(net.with_middle(noisy, eta + redrawn)) - eta
    anchor = smooth if s.target == "blur" else y
    total = s.alpha * (answer - anchor).square().mean() + returned.square().mean()
    return total, {"redrawn": redrawn, "returned": returned, "answer": answer, "smooth": smooth}


def up_to_level(removed: Tensor) -> Tensor:
    """Scale what was removed from each crop up to the noise's level, by at most `MOST_SCALED`.

    What F passes of the noise is missing in what it removed; redrawn as it is, the noise would be
    weaker than any that F is to meet.
    """
    level = removed.detach().square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
    return removed * (1 / UNIT / level).clamp(1, MOST_SCALED)


def signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw +1 or -1 for each pixel, in the shape of `like`."""
    drawn = torch.randint(0, 2, tuple(like.shape), generator=generator)
    return put(drawn.to(like.dtype), like.device) * 2 - 1
