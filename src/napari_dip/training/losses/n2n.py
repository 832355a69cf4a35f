"""Noise2Noise: two captures of one scene predict each other.

    loss = || F(y1) - y2 ||^2

The noise of the second capture is independent of the first, so the best prediction of it is the clean image.

Reference: Lehtinen, Munkberg, Hasselgren, Laine, Karras, Aittala and Aila, Noise2Noise, ICML 2018, arXiv:1803.04189.

What differs from the paper: the network, crops and schedule are those of the other trained methods.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import N2N
from napari_dip.training.crops import Batch


def loss(
    net: BlurredUNet, batch: Batch, s: N2N, generator: torch.Generator, done: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss on a batch; see `napari_dip.training.losses.iddp.loss` for the parameters."""
    assert batch.target is not None
    return (net(batch.noisy) - batch.target).square().mean(), {}
