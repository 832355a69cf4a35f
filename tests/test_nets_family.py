"""The networks of the Deep Image Prior family: any size, any number of colours."""

from __future__ import annotations

import pytest
import torch

from napari_dip.engine.device import seeded
from napari_dip.nets.unet import UNet

SIZES = [(1, 1), (1, 9), (7, 2), (16, 16), (33, 20)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colours", [1, 3, 4])
def test_the_u_net_keeps_any_size(size: tuple[int, int], colours: int) -> None:
    with seeded(0):
        net = UNet(colours, colours, channels=4, depth=3, sigmoid=True).eval()
    out = net(torch.rand(2, colours, *size))
    assert out.shape == (2, colours, *size)
    assert 0 < out.min() <= out.max() < 1


def test_the_u_net_learns_with_and_without_norm_and_sees_far() -> None:
    for norm in (True, False):
        with seeded(0):
            net = UNet(1, 1, channels=4, depth=2, norm=norm).eval()
            x = torch.rand(1, 1, 32, 32, requires_grad=True)
        (gradient,) = torch.autograd.grad(net(x)[0, 0, 16, 16], x)
        assert gradient[0, 0, 16, 25] != 0  # through the deepest level
        assert all(p.requires_grad for p in net.parameters())
