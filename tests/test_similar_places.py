"""Means over the places that look alike in a first answer."""

from __future__ import annotations

import pytest
import torch

from napari_dip.nets.similar_places import mix_similar, std_of_mixture

SIZE = 64


def noise(seed: int, std: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return std * torch.randn((1, SIZE, SIZE), generator=generator)


def error(image: torch.Tensor, clean: torch.Tensor) -> float:
    return float((image - clean).square().mean().sqrt())


@pytest.mark.parametrize("period", [6, 11])
def test_what_repeats_is_averaged(period: int) -> None:
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    clean = (2 * torch.sin(2 * torch.pi * (x + y / 3) / period))[None]
    answer = clean + noise(1, 0.5)
    mixed = mix_similar(clean + noise(0), answer, torch.ones_like(clean))
    assert error(mixed, clean) < 0.75 * error(answer, clean)


@pytest.mark.parametrize(("sigma", "least"), [(0.7, 0.9), (1.5, 0.9)])
def test_spots_without_any_like_them_stay(sigma: float, least: float) -> None:
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    spot = 5 * torch.exp(-((y - 30) ** 2 + (x - 33) ** 2) / (2 * sigma**2))[None]
    mixed = mix_similar(spot, spot + noise(1, 0.2), torch.ones_like(spot))
    assert float(mixed[0, 30, 33]) > 5 * least


def test_a_lone_spot_takes_little_of_its_own_noise() -> None:
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    spot = 15 * torch.exp(-((y - 30) ** 2 + (x - 33) ** 2) / (2 * 1.5**2))[None]
    mixed = mix_similar(spot + noise(0), spot + noise(1, 0.2), torch.ones_like(spot))
    assert error(mixed[spot > 2], spot[spot > 2]) < 0.4


def test_units_and_uneven_noise() -> None:
    clean = torch.zeros(1, SIZE, SIZE)
    std = torch.linspace(1, 3, SIZE).expand(1, SIZE, SIZE)
    noisy, answer = std * noise(0), std * noise(1, 0.3)
    mixed = mix_similar(noisy, answer, std)
    assert error(mixed / std, clean) < 0.7 * error(answer / std, clean)
    scaled = mix_similar(100 * noisy, 100 * answer, 100 * std)
    assert torch.allclose(scaled, 100 * mixed, rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_error_of_a_mixture_is_known_from_how_far_the_two_are_apart(shared: float) -> None:
    both = shared * noise(0, 0.3)
    rest = 0.3 * (1 - shared**2) ** 0.5
    answer, means = both + noise(1, rest), both + noise(2, rest)
    mixed = (answer + means) / 2
    std = std_of_mixture(torch.full_like(answer, 0.3), answer, mixed)
    assert float(std.square().mean().sqrt()) == pytest.approx(error(mixed, 0 * mixed), rel=0.05)


def test_brightness_stays_at_each_true_level() -> None:
    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    clean = torch.zeros(2, 128, 128)
    for _ in range(40):  # the brighter, the rarer
        row, column = 128 * torch.rand(2, generator=generator)
        spot = torch.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 2.5**2))
        clean += 6 * torch.rand(2, generator=generator)[:, None, None] ** 2 * spot
    noisy = clean + torch.randn(clean.shape, generator=generator)
    answer = clean + 0.3 * torch.randn(clean.shape, generator=generator)
    mixed = mix_similar(noisy, answer, torch.ones_like(clean))
    for change, truth in zip(mixed - answer, clean, strict=True):
        levels = [change.flatten()[level] for level in truth.flatten().argsort().chunk(16)]
        assert max(abs(float(level.mean())) for level in levels) < 0.085
        assert abs(float(levels[-1].mean())) < 0.03
    assert error(mixed, clean) < 0.75 * error(answer, clean)


def test_a_flat_answer_keeps_its_mean() -> None:
    answer = torch.full((1, SIZE, SIZE), 5.0)
    mixed = mix_similar(answer + noise(0) + 1, answer, torch.ones_like(answer))
    assert float(mixed.mean()) == pytest.approx(5, abs=1e-4)


def test_colours_and_images_smaller_than_the_reach() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn((3, 5, 6), generator=generator)
    assert mix_similar(y, 0 * y, torch.ones_like(y)).shape == y.shape


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    y, answer = noise(0), noise(1, 0.3)
    whole = mix_similar(y, answer, torch.ones_like(y))
    monkeypatch.setattr("napari_dip.nets.similar_places.STRIP_PIXELS", {"cpu": 5 * SIZE})
    torch.testing.assert_close(mix_similar(y, answer, torch.ones_like(y)), whole)
