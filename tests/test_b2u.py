"""Blind2Unblind: its masks, its loss by hand, and what it learns."""

from __future__ import annotations

import pytest
import torch
from test_train import repeats, rmse, scene
from torch import Tensor

from napari_dip import Blind2Unblind, denoise, train
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.training.losses.b2u import loss, masks, neighbour_mean


@pytest.mark.parametrize(("side", "shape"), [(4, (16, 20)), (2, (7, 9)), (3, (8, 8))])
def test_every_pixel_is_hidden_in_just_one_mask(side: int, shape: tuple[int, int]) -> None:
    all_masks = masks(torch.zeros(2, 3, *shape), side)
    assert len(all_masks) == side**2
    assert torch.equal(sum(all_masks), torch.ones(1, 1, *shape))
    for mask in all_masks:
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        # No two hidden pixels are neighbours, so that the mean of eight is one of seen pixels.
        around = torch.nn.functional.max_pool2d(neighbours(mask), 1)
        assert not (around * mask).any()


def neighbours(mask: Tensor) -> Tensor:
    kernel = torch.ones(1, 1, 3, 3)
    kernel[..., 1, 1] = 0
    return torch.nn.functional.conv2d(mask, kernel, padding=1)


def test_the_mean_is_that_of_the_eight_neighbours_without_the_pixel() -> None:
    y = torch.arange(25.0).reshape(1, 1, 5, 5).repeat(2, 3, 1, 1)
    mean = neighbour_mean(y)
    assert mean.shape == y.shape and torch.allclose(mean[..., 1:-1, 1:-1], y[..., 1:-1, 1:-1])
    changed = y.clone()
    changed[..., 2, 2] += 60
    difference = neighbour_mean(changed) - mean
    assert difference[0, 0, 2, 2] == 0
    assert torch.allclose(difference[0, 0, 1:4, 1], torch.tensor([5.0, 10.0, 5.0]))


class Filter(BlurredUNet):
    """F(y) = 0.6 y + 0.3 blurred(y), with a weight that learns."""

    def __init__(self) -> None:
        super().__init__(1, 4, 1, "zero")
        self.weight = torch.nn.Parameter(torch.tensor(0.6))

    def forward(self, y: Tensor, smooth: Tensor | None = None) -> Tensor:
        return self.weight * y + 0.3 * torch.nn.functional.avg_pool2d(y, 3, 1, 1)


@pytest.mark.parametrize(("progress", "beta"), [(0.1, 2.0), (0.4, 2.0), (0.7, 11.0), (1.0, 20.0)])
def test_the_loss_is_that_of_the_paper(progress: float, beta: float) -> None:
    net, s = Filter(), Blind2Unblind(mask=2, regulariser=0.5)
    y = torch.rand((2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    found, seen = loss(net, y, None, s, torch.Generator(), progress)
    mean, h = neighbour_mean(y), torch.zeros_like(y)
    for row in range(2):
        for column in range(2):
            hidden = y.clone()
            hidden[..., row::2, column::2] = mean[..., row::2, column::2]
            h[..., row::2, column::2] = net(hidden)[..., row::2, column::2]
    visible = net(y).detach()  # the weight of F(y) gets no gradient
    wanted = (h + beta * visible - (1 + beta) * y).square().mean() + 0.5 * (h - y).square().mean()
    assert not seen and torch.isclose(found, wanted)
    gradients = [torch.autograd.grad(value, net.weight)[0] for value in (found, wanted)]
    assert torch.isclose(*gradients)


def test_it_learns_to_denoise() -> None:
    how = Blind2Unblind(
        steps=60, mask=2, batch=2, crop=32, channels=12, depth=1, learning_rate=0.01, averaging=0.9
    )
    model = train(repeats(), how, device="cpu")
    noisy = torch.poisson(
        torch.tensor(scene(), dtype=torch.float32), generator=torch.Generator().manual_seed(9)
    ).numpy()
    assert rmse(denoise(noisy, model, device="cpu"), scene()) < 0.6 * rmse(noisy, scene())
