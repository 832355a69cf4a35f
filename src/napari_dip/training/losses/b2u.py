"""Blind2Unblind: pixels are hidden from the network, and made visible again in the loss.

    loss = || h - y + beta (F^(y) - y) ||^2 + eta || h - y ||^2,      h = sum over k of M_k F(y_k)

M_k, k = 1 ... w^2, are the masks of every w-th pixel along both axes: each pixel is hidden in just
one of them. y_k is y with those of M_k replaced by a mean of their eight neighbours, and h gathers
from each F(y_k) the pixels that it did not see: the mask mapper. F^(y) is the answer to the image
itself, without a gradient; its weight beta grows from the first to the last of `visibility`, after
two fifths of the steps, so that what the blind spot loses comes back.

Reference: Wang, Liu, Li and Han, Blind2Unblind: Self-Supervised Image Denoising With Visible Blind
Spots, CVPR 2022, arXiv:2203.06967.

What differs from the paper: the network, crops and schedule are those of the other trained methods,
borders are mirrored, and the model's answer is F(y) alone, where the paper also weighs h in, by one
part in beta + 1. Preset `paper` lets the rate fall evenly in the second half, where the paper
halves it four times, and counts a hundred epochs of the paper's photographs as steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from napari_dip.methods.method import TrainedMethod
from napari_dip.settings import Trained, knob
from napari_dip.settings.base import Presets

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dip.nets.filter_unet import BlurredUNet

RISES_FROM = 0.4  # share of the steps after which beta grows


class Blind2Unblind(Trained):
    """Blind2Unblind: hidden pixels, all of them in turn, which the loss makes visible again.

    A step takes `mask` x `mask` + 1 passes through the network for each crop, so that the default
    has fewer crops and steps than the other methods.

    References
    ----------
    Wang, Liu, Li and Han, Blind2Unblind, CVPR 2022, arXiv:2203.06967.
    """

    method: ClassVar[str] = "b2u"
    title: ClassVar[str] = "Blind2Unblind"
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "steps": 1_100_000,
            "batch": 4,
            "crop": 128,
            "learning_rate": 3e-4,
            "beta2": 0.999,
            "channels": 48,
            "depth": 4,
            "unshuffle": 1,
            "stabilise": False,
            "averaging": 0.0,
        },
    }

    steps: int = knob(2000, "Steps of Adam.", unit="steps", ge=1, le=100_000_000, basic=True)
    batch: int = knob(1, "Crops a step.", ge=1, le=4096)
    mask: int = knob(
        4, "One pixel in squares of this side is hidden at a time.", unit="pixels", ge=2, le=16
    )
    first_visibility: float = knob(
        2.0, "Weight of the answer to the image itself, at first (beta).", ge=0, le=1000
    )
    last_visibility: float = knob(20.0, "That weight at the end.", ge=0, le=1000)
    regulariser: float = knob(1.0, "Weight of the blind term alone (eta).", ge=0, le=1000)


def loss(
    net: BlurredUNet,
    noisy: Tensor,
    target: Tensor | None,
    s: Blind2Unblind,
    generator: Any,
    progress: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch of crops, see `napari_dip.training.losses.iddp.loss`."""
    import torch

    y = net.middle(noisy)
    around = neighbour_mean(y)
    hidden = masks(y, s.mask)
    seen = [net.with_middle(noisy, torch.lerp(y, around, mask)) for mask in hidden]
    answers = net(torch.cat(seen)).chunk(len(hidden))
    blind = torch.stack([m * of for m, of in zip(hidden, answers, strict=True)]).sum(0)
    with torch.no_grad():
        visible = net(noisy) - y
    risen = max(0.0, (progress - RISES_FROM) / (1 - RISES_FROM))
    beta = s.first_visibility + risen * (s.last_visibility - s.first_visibility)
    error = blind - y
    return (error + beta * visible).square().mean() + s.regulariser * error.square().mean(), {}


def masks(like: Tensor, side: int) -> list[Tensor]:
    """Return side^2 masks (1, 1, Y, X), 1 at one pixel of every square; they sum up to 1."""
    import torch

    rows, columns = (
        torch.arange(n, device=like.device) % side for n in (like.shape[-2], like.shape[-1])
    )
    number = rows[:, None] * side + columns
    return [(number == k).to(like.dtype)[None, None] for k in range(side * side)]


def neighbour_mean(y: Tensor) -> Tensor:
    """Return the mean of each pixel's eight neighbours, the nearest counting twice."""
    import torch
    from torch.nn import functional

    from napari_dip.nets.gaussian import mirror

    from_middle = torch.arange(-1, 2, device=y.device).abs()
    far = (from_middle[:, None] + from_middle).to(y.dtype)  # a list would wait for the device
    kernel = ((1.5 - far / 2) * (far > 0) / 6)[None, None]
    flat = mirror(y, 1).flatten(0, 1)[:, None]
    return functional.conv2d(flat, kernel).reshape(y.shape)


METHOD = TrainedMethod(Blind2Unblind, "napari_dip.training.losses.b2u:loss")
