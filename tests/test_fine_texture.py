"""The linear prediction of fine texture: where it is taken, and that no pixel predicts itself."""

from __future__ import annotations

import math

import pytest
import torch

from napari_dip.nets.blind_spot import best_mixture, ring_means
from napari_dip.nets.fine_texture import fine_texture_filter, predict_texture
from napari_dip.nets.gaussian import blur

SIDE = 96


def noise(seed: int, colours: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, colours, SIDE, SIDE), generator=generator)


def mixture(image: torch.Tensor) -> torch.Tensor:
    return best_mixture(image, ring_means(image))


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, 2.5])
def test_a_grating_is_predicted_from_a_period_away(angle: float) -> None:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    wave = (2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / 2.7).sin()
    clean = torch.stack([wave, wave.flip(0)])[None]  # each colour has weights of its own
    noisy = clean + noise(0, 2)
    weights = fine_texture_filter(noisy, mixture(noisy))
    assert weights is not None
    assert weights[..., 5, 5].abs().max() == 0
    error = (predict_texture(noisy, weights) - clean).square().mean()
    assert error < 0.3 * (mixture(noisy) - clean).square().mean()


@pytest.mark.parametrize("seed", range(3))
def test_it_is_not_taken_for_noise_blurs_or_a_little_correlation(seed: int) -> None:
    white = noise(seed)
    along_x = (white + 0.1 * white.roll(1, -1)) / 1.01**0.5
    smooth = 20 * blur(noise(seed + 10), 3.0)
    for image in (white, along_x, smooth + white, smooth + along_x):
        assert fine_texture_filter(image, mixture(image)) is None
