"""Self2Self: its partial convolutions, what hidden pixels can tell, and what a fit gains."""

from __future__ import annotations

import pytest
import torch
from test_denoise import noisy_scene

from napari_dip import Self2Self, denoise, psnr
from napari_dip.nets.partial_unet import PartialConv, PartialUNet


def test_a_partial_convolution_is_a_plain_one_where_all_is_known() -> None:
    torch.manual_seed(0)
    conv, x = PartialConv(2, 5), torch.rand(1, 2, 9, 8)
    out, seen = conv(x, torch.ones_like(x))
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    plain = torch.nn.functional.leaky_relu(conv.weight(padded) + conv.bias, 0.1)
    assert torch.allclose(out, plain, atol=1e-6) and seen.min() == 1


@pytest.mark.parametrize("channels", [1, 2])  # of the mask
def test_what_is_hidden_is_left_out_and_made_up_for(channels: int) -> None:
    torch.manual_seed(0)
    conv, x = PartialConv(2, 5), torch.full((1, 2, 12, 12), 3.0)
    with torch.no_grad():
        conv.weight.weight.fill_(1.0)
    known = (torch.rand(1, channels, 12, 12) < 0.6).float()
    known[..., 4:9, 4:9] = 0  # all is hidden around the middle
    out, seen = conv(x, known)
    changed, _ = conv(torch.where(known.expand_as(x) > 0, x, 77.0), known)
    assert torch.equal(out, changed)
    assert torch.allclose(out[seen.expand_as(out) > 0], torch.tensor(9 * 2 * 3.0))
    assert not seen[..., 5:8, 5:8].any() and not out[..., 5:8, 5:8].any()


@pytest.mark.parametrize("scales", [1, 3])
def test_the_network_does_not_see_hidden_pixels(scales: int) -> None:
    torch.manual_seed(0)
    net, x = PartialUNet(2, 3, scales, 0.0), torch.rand(2, 2, 13, 18)
    known = (torch.rand(x.shape) < 0.7).float()
    answer = net(x, known)
    assert answer.shape == x.shape
    assert torch.equal(answer, net(torch.where(known > 0, x, -5.0), known))
    assert not torch.equal(answer, net(x + 0.1, known))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_fit_gains_four_decibels(seed: int) -> None:
    noisy, clean = noisy_scene(seed, 48)
    how = Self2Self(steps=200, crop=32, channels=8, predictions=12, seed=seed)
    answer = denoise(noisy, how, device="cpu")
    assert psnr(clean, answer, data_range=200) > psnr(clean, noisy, data_range=200) + 4


def test_the_published_fit_gains_three_decibels_in_few_steps() -> None:
    noisy, clean = noisy_scene(0, 48)
    few = {"steps": 150, "channels": 8, "scales": 3, "learning_rate": 0.004, "predictions": 20}
    answer = denoise(noisy, Self2Self.preset("paper", **few), device="cpu")
    assert psnr(clean, answer, data_range=200) > psnr(clean, noisy, data_range=200) + 3


def test_more_predictions_are_nearer_to_the_clean_image() -> None:
    noisy, clean = noisy_scene(1, 48)
    scores = [
        psnr(
            clean,
            denoise(noisy, Self2Self(steps=60, crop=32, channels=8, predictions=n)),
            data_range=200,
        )
        for n in (1, 30)
    ]
    assert scores[1] > scores[0] + 0.3
