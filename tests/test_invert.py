"""Inversion: an image with the same features, found without the pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from napari_dip import (
    IDDP,
    DenoiseError,
    Invert,
    invert_features,
    iter_invert_features,
    psnr,
    train,
)
from napari_dip.restore.network_layer import load_network_layer

QUICK = Invert(steps=2, channels=4, scales=2)


def encoder(colours: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(colours, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.LeakyReLU()
    )


def test_grey_images_and_colour_fit_networks_of_one_and_three_colours() -> None:
    image = np.random.default_rng(0).random((20, 24, 3)).astype(np.float32)
    assert invert_features(image[..., 0], encoder(1), "2", QUICK, device="cpu").shape == (20, 24)
    assert invert_features(image[..., 0], encoder(3), "2", QUICK, device="cpu").shape == (20, 24)
    assert invert_features(image, encoder(3), "", QUICK, axes="YXC", device="cpu").shape == (
        20,
        24,
        3,
    )


def test_the_module_is_left_as_it_was() -> None:
    net = encoder().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    invert_features(np.random.default_rng(0).random((20, 24)), net, "2", QUICK, device="cpu")
    assert net.training
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("net", "layer", "words"),
    [
        (encoder(), "conv", "no layer 'conv'; there are 0, 1, 2, 3"),
        (encoder(2), "2", "cannot take an image of 1 x 16 x 16"),
        ("vgg", "2", "module is a str"),
    ],
)
def test_what_cannot_be_inverted_is_refused_at_the_call(
    net: nn.Module, layer: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        iter_invert_features(np.zeros((16, 16)), net, layer)


def test_features_that_are_no_numbers_are_no_answer() -> None:
    net = nn.Sequential(encoder(), nn.Threshold(float("inf"), float("nan")))
    with pytest.raises(DenoiseError, match="layer '1' gives NaN or infinite"):
        invert_features(np.random.default_rng(0).random((16, 16)), net, "1", QUICK, device="cpu")


def test_features_of_an_early_layer_bring_the_image_back() -> None:
    clean = 50 + 900 * ndimage.gaussian_filter(np.random.default_rng(0).random((32, 32)), 2)
    answer = invert_features(
        clean, encoder(), "2", Invert(steps=200, channels=8, scales=2), device="cpu"
    )
    flat = np.full_like(clean, clean.mean())
    assert (
        psnr(clean, answer, data_range=np.ptp(clean))
        > psnr(clean, flat, data_range=np.ptp(clean)) + 8
    )


def test_a_model_trained_here_can_be_inverted(tmp_path):
    noisy = np.random.default_rng(0).poisson(20, (40, 40))
    tiny = {
        "steps": 2,
        "channels": 4,
        "depth": 1,
        "crop": 16,
        "filter_channels": 4,
        "filter_layers": 1,
    }
    train(noisy, IDDP(**tiny)).save(tmp_path / "model.safetensors")
    module, layer = load_network_layer(tmp_path / "model.safetensors", "")
    answer = invert_features(noisy, module, layer, QUICK)
    assert answer.shape == noisy.shape and np.isfinite(answer).all()
    with pytest.raises(ValueError, match="no layer 'nonsense'; there are"):
        load_network_layer(tmp_path / "model.safetensors", "nonsense")
