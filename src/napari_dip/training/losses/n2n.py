"""Noise2Noise: two captures of one scene predict each other.

    loss = || F(y1) - y2 ||^2

The noise of the second capture is independent of the first, so the best prediction of it is the
clean image.

Reference: Lehtinen, Munkberg, Hasselgren, Laine, Karras, Aittala and Aila, Noise2Noise, ICML 2018,
arXiv:1803.04189.

What differs from the paper: the network, crops and schedule are those of the other trained methods.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import N2N


def loss(
    net: BlurredUNet,
    noisy: Tensor,
    target: Tensor | None,
    s: N2N,
    generator: torch.Generator,
    progress: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch of crops, see `napari_dip.training.losses.iddp.loss`."""
    assert target is not None
    return (net(noisy) - target).square().mean(), {}
