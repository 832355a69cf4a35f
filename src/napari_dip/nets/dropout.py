"""Dropout that draws from a generator of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Drop a share of the values while fitting; torch's own dropout draws from the global state."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.seed = int(torch.randint(2**31, ()))  # the network is built in a seeded context
        self._generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of x and scale the others up by as much, while fitting; else give x back."""
        if not self.training or self.share == 0:
            return x
        survives = torch.empty_like(x).uniform_(generator=self.generator(x.device)) >= self.share
        return x * survives / (1 - self.share)

    def generator(self, device: torch.device | None = None) -> torch.Generator:
        """Return the generator of the draws, which stays on the device of the first."""
        if self._generator is None:
            self._generator = torch.Generator(device or torch.device("cpu")).manual_seed(self.seed)
        return self._generator


@contextmanager
def dropout_active(net: nn.Module) -> Iterator[None]:
    """Let a network in evaluation mode drop values, without a change to the draws of the fit."""
    drops = [module for module in net.modules() if isinstance(module, Dropout)]
    states = [drop.generator().get_state() for drop in drops]
    for drop in drops:
        drop.train()
    try:
        yield
    finally:
        for drop, state in zip(drops, states, strict=True):
            drop.eval()
            drop.generator().set_state(state)
