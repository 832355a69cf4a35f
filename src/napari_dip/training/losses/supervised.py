"""Supervised: pairs of a noisy and a clean image, the bar that the others are measured against.

loss = || F(y) - x ||^2
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import Supervised
from napari_dip.training.crops import Batch


def loss(
    net: BlurredUNet, batch: Batch, s: Supervised, generator: torch.Generator, done: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss on a batch; see `napari_dip.training.losses.iddp.loss` for the parameters."""
    assert batch.target is not None
    return (net(batch.noisy) - batch.target).square().mean(), {}
