"""The default fit on the noise of microscopes: correlated, striped, few photons, by colour."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import BlindSpot, Image, denoise
from napari_dip.planes.image_statistics import measure_image

SEEDS = (0, 1, 2)


def cells(size: int, seed: int) -> np.ndarray:
    """Soft discs, filaments and puncta, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    image = np.zeros((size, size))
    for _ in range(6):
        cy, cx, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(8, 18)
        image += rng.uniform(0.2, 0.6) / (1 + np.exp((np.hypot(y - cy, x - cx) - r) / 1.2))
    for _ in range(8):
        cy, cx, a = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0, np.pi)
        across = (x - cx) * np.sin(a) + (y - cy) * np.cos(a) + 4 * np.sin((x + y) / 17 + a)
        image += 0.5 * np.exp(-(across**2) / 2.4)
    return image / image.max()


def correlated(shape: tuple[int, int], along: str, seed: int) -> np.ndarray:
    """Noise of deviation 1 whose neighbours share 0.6, 0.2 and 0.1 at 1, 2 and 3 pixels."""
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in shape)
    apart = np.hypot(y[:, None], x) if along == "both" else np.where(y[:, None] > 0, 9, x[None])
    table = np.interp(apart, [0, 1, 2, 3, 4], [1, 0.6, 0.2, 0.1, 0])
    power = np.maximum(np.fft.fft2(table).real, 0)
    white = np.random.default_rng(seed).normal(size=shape)
    noise = np.fft.ifft2(np.sqrt(power) * np.fft.fft2(white)).real
    return np.asarray(noise / noise.std())


def fit(noisy: np.ndarray, **how: object) -> tuple[np.ndarray, str]:
    """Return the answer of the default method and what it said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = denoise(noisy, BlindSpot(**how), device="cpu")
    return np.asarray(answer, dtype=float), " ".join(str(one.message) for one in caught)


def rms(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(image))))


def best_gaussian(noisy: np.ndarray, clean: np.ndarray) -> float:
    """Return the error of the Gaussian blur that is best when the truth is known."""
    return min(rms(ndimage.gaussian_filter(noisy, s) - clean) for s in np.arange(0.4, 8, 0.2))


@pytest.mark.parametrize("along", ["both", "x"])
def test_noise_that_neighbours_share_is_taken_away(along: str) -> None:
    ratios = []
    for seed in SEEDS:
        clean = 100 + 100 * cells(128, seed)
        noisy = clean + 20 * correlated(clean.shape, along, seed)
        answer, said = fit(noisy, steps=50)
        assert "taken into account" in said
        ratios.append(rms(answer - clean) / best_gaussian(noisy, clean))
    assert np.mean(ratios) < 1.08 and max(ratios) < 1.2  # so short a fit; a point gives 1.5 to 3


@pytest.mark.parametrize("axis", [0, 1])
def test_offsets_of_lines_are_taken_off(axis: int) -> None:
    left = []
    for seed in SEEDS:
        clean = 100 + 100 * cells(128, seed)
        rng = np.random.default_rng(seed)
        offsets = rng.normal(0, 10, (128, 1) if axis == 0 else (1, 128))
        answer, said = fit(clean + rng.normal(0, 10, clean.shape) + offsets, steps=20)
        assert "Offsets of whole rows or columns" in said
        left.append((answer - clean).mean(1 - axis).std() / offsets.std())
    assert np.mean(left) < 0.4


def test_a_tenth_of_a_photon_a_pixel_keeps_its_brightness() -> None:
    for seed in SEEDS:
        shape = cells(96, seed)
        clean = shape / shape.mean() * 0.1
        noisy = np.random.default_rng(seed).poisson(clean).astype(np.uint8)
        answer, _ = fit(noisy, steps=120)
        assert answer.mean() == pytest.approx(noisy.mean(), rel=0.08)
        assert rms(answer - clean) < 1.25 * best_gaussian(noisy.astype(float), clean)


def test_the_mean_of_an_image_stays() -> None:
    for seed in SEEDS:
        noisy = 100 + 100 * cells(96, seed) + np.random.default_rng(seed).normal(0, 30, (96, 96))
        answer, _ = fit(noisy, steps=60, stabilise=False)
        assert answer.mean() == pytest.approx(noisy.mean(), abs=0.001 * 30)


@pytest.mark.parametrize("seed", [0, 1])
def test_hot_pixels_that_are_kept_stay_and_do_not_change_the_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean = 100 + 100 * cells(96, seed)
    noisy, hot = clean + rng.normal(0, 10, clean.shape), rng.random(clean.shape) < 0.005
    noisy[hot] += 3000
    answer, _ = fit(noisy, steps=60, hot_pixels="keep")
    assert abs(np.median((answer - clean)[~hot])) < 0.15 * 10
    assert (answer - clean)[hot].mean() > 0.9 * 3000
    found = measure_image(Image(noisy, "YX"), stabilise=True, keep_hot_pixels=True)
    assert found.noises[0][0].std(clean).mean() == pytest.approx(10, rel=0.1)


def test_each_colour_has_a_noise_of_its_own() -> None:
    rng = np.random.default_rng(0)
    red, green = 15 * cells(96, 0), 40 * cells(96, 1)
    clean = np.stack([red + 100, 40 * green + 100, np.full_like(red, 100)], -1)
    noisy = np.stack([rng.poisson(red) + 100, 40 * rng.poisson(green) + 100, clean[..., 2]], -1)
    noisy = np.rint(noisy + rng.normal(0, 1.5, noisy.shape)).astype(np.uint16)
    answer, said = fit(noisy, steps=200)
    assert "correlated" not in said
    for colour in range(3):
        raw = noisy[..., colour].astype(float)
        error = rms(answer[..., colour] - clean[..., colour])
        assert error < 1.15 * best_gaussian(raw, clean[..., colour]) or error < 0.15 * rms(
            raw - clean[..., colour]
        )
