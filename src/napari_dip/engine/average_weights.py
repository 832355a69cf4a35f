"""Exponential averages of a network's weights, without waiting for the device in any step."""

from __future__ import annotations

from copy import deepcopy
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


class AverageWeights(Generic[Net]):
    """The exponential average of a network's weights over the steps of its fit, in a copy `net`.

    `weight` is that of the past, in [0, 1); the first ``1 / (1 - weight)`` updates are averaged
    plainly. Buffers stay as they are now. `torch.optim.swa_utils.AveragedModel` keeps its counter
    in a tensor, which an `avg_fn` waits for at every weight.
    """

    def __init__(self, net: Net, weight: float) -> None:
        self.net, self.weight = deepcopy(net), np.float32(weight)
        self.updates = 0

    @torch.no_grad()
    def update(self, net: Net) -> None:
        """Take in the weights that the fitted network has now."""
        self.updates += 1
        past = float(min(self.weight, 1 - 1 / np.float32(self.updates)))  # float32 as the weights
        blend_weights(self.net, net, 1 - past)


@torch.no_grad()
def blend_weights(mean: nn.Module, net: nn.Module, share: float) -> None:
    """Move the weights of `mean` towards those of `net` by a share in [0, 1]."""
    torch._foreach_lerp_(_weights(mean), _weights(net), share)


def _weights(net: nn.Module) -> list[Tensor]:
    return list(net.parameters())
