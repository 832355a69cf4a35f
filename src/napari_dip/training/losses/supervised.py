"""Supervised: pairs of a noisy and a clean image, the bar that the others are measured against.

loss = || F(y) - x ||^2
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import Supervised


def loss(
    net: BlurredUNet,
    noisy: Tensor,
    target: Tensor | None,
    s: Supervised,
    generator: torch.Generator,
    progress: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch of crops, see `napari_dip.training.losses.iddp.loss`."""
    assert target is not None
    return (net(noisy) - target).square().mean(), {}
