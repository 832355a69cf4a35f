"""Zero-Shot Noise2Noise: the halves of an image, their loss, and what a fit gains."""

from __future__ import annotations

import pytest
import torch
from test_denoise import noisy_scene

from napari_dip import ZSN2N, denoise, psnr
from napari_dip.methods.zs_n2n import halves, loss


def test_the_halves_are_the_diagonals_of_every_square() -> None:
    y = torch.arange(24.0).reshape(1, 1, 4, 6)
    rising, falling = halves(y)
    assert rising.shape == falling.shape == (1, 1, 2, 3)
    assert rising[0, 0, 0, 0] == (1 + 6) / 2 and falling[0, 0, 0, 0] == (0 + 7) / 2
    assert rising[0, 0, 1, 2] == (17 + 22) / 2 and falling[0, 0, 1, 2] == (16 + 23) / 2
    assert torch.equal((rising + falling) / 2, torch.nn.functional.avg_pool2d(y, 2))


def test_the_halves_share_no_pixel_and_leave_an_odd_border_out() -> None:
    weights = [torch.zeros(2, 1, 5, 7, requires_grad=True) for _ in range(2)]
    for number, weight in enumerate(weights):
        halves(weight)[number].sum().backward()
    first, second = (weight.grad for weight in weights)
    assert first is not None and second is not None
    assert torch.equal((first + second)[..., :4, :6], torch.full((2, 1, 4, 6), 0.5))
    assert not (first * second).any() and not (first + second)[..., 4, :].any()


def test_the_loss_is_that_of_the_paper_for_a_known_network() -> None:
    y = torch.rand((1, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    first, second = halves(y)
    # f = 0: the halves differ, and the answer at full size is y, whose halves they are.
    assert torch.isclose(loss(torch.zeros_like, y), (first - second).square().mean())
    # f = y: all answers are 0, and each half is predicted as 0.
    power = (first.square().mean() + second.square().mean()) / 2
    assert torch.isclose(loss(lambda x: x, y), power)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_a_fit_gains_four_decibels(preset: str, seed: int) -> None:
    noisy, clean = noisy_scene(seed, 64)
    how = ZSN2N.preset(preset, steps=250, channels=16, seed=seed)
    answer = denoise(noisy, how, device="cpu")
    assert psnr(clean, answer, data_range=200) > psnr(clean, noisy, data_range=200) + 4
