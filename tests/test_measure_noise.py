"""The noise that is found is the noise that was added, with and without structure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_dip.noise.measure import measure_noise

SEEDS = (11, 12, 13)
WIDE_FIELD = (1.0, 0.6, 0.2, 0.1)


def blobs(rng: np.random.Generator, size: int = 160) -> np.ndarray:
    """Soft cells, from 0.2 to about 1."""
    seeds = rng.random((size, size)) < 0.003
    image = ndimage.gaussian_filter(seeds.astype(float), 5)
    return 0.2 + 0.8 * np.minimum(image / np.quantile(image, 0.99), 1.5)


def spots(rng: np.random.Generator, size: int = 160) -> np.ndarray:
    """Beads of sigma 1, 50 times the background."""
    image = ndimage.gaussian_filter((rng.random((size, size)) < 0.0007).astype(float), 1.0)
    return 0.02 + image / image.max()


def correlated(shape: tuple[int, int], rng: np.random.Generator, profile: tuple[float, ...]):
    """Gaussian noise of variance 1 with an autocorrelation in y and in x."""
    noise = np.fft.fft2(rng.normal(size=shape))
    for axis in (0, 1):
        angle = 2 * np.pi * np.fft.fftfreq(shape[axis])
        power = 1 + 2 * sum(p * np.cos(k * angle) for k, p in enumerate(profile) if k)
        noise *= np.sqrt(np.maximum(power, 0)).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.fft.ifft2(noise).real


@pytest.mark.parametrize("content", [blobs, spots])
@pytest.mark.parametrize("photons", [0.1, 3, 300])
def test_poisson_noise_at_all_counts(content, photons):
    ratios = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        clean = content(rng)
        clean *= photons / clean.mean()
        found = measure_noise([5.0 * rng.poisson(clean) + 100])
        assert found.hole == (0, 0) and not found.is_correlated
        typical = np.quantile(clean, [0.1, 0.5])
        ratios.append(found.std(5 * typical + 100) / (5 * np.sqrt(typical)))
    assert np.abs(np.mean(ratios, axis=0) - 1).max() < (0.1 if photons < 1 else 0.05)


def test_correlated_noise():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        clean = 1000 * blobs(rng, 256)
        found = measure_noise([clean + 50 * correlated(clean.shape, rng, WIDE_FIELD)])
        assert min(found.hole) >= 2 and max(found.hole) <= 4
        table = np.array(found.correlation)
        for line in (table[8, 8:12], table[8:12, 8]):
            np.testing.assert_allclose(line, WIDE_FIELD, atol=0.1)
        assert found.std(300.0) == pytest.approx(50, rel=0.1)


def test_units_and_offset_change_nothing_else():
    rng = np.random.default_rng(5)
    y = rng.poisson(20 * blobs(rng, 128)).astype(float)
    one = measure_noise([y])
    for scale in (1e-9, 1e30):
        other = measure_noise([y * scale])
        np.testing.assert_allclose(other.variances, np.multiply(one.variances, scale**2), rtol=0.01)
        assert other.hole == one.hole
    np.testing.assert_allclose(measure_noise([y + 500]).variances, one.variances, rtol=0.01)


def test_no_noise():
    labels = np.kron(np.arange(16.0).reshape(4, 4), np.ones((40, 40)))
    for image in (labels, np.full((64, 64), 3.0), np.zeros((5, 5))):
        found = measure_noise([image])
        assert found.std(1.0) == 0 and found.hole == (0, 0) and found.line.std(1.0) == 0
    assert measure_noise([]).std(0.0) == 0


def test_padding_is_no_measurement():
    rng = np.random.default_rng(3)
    y = 1000 * blobs(rng) + 30 * rng.normal(size=(160, 160))
    y[:, 100:] = 0
    assert measure_noise([y]).std(np.median(y[:, :90])) == pytest.approx(30, rel=0.1)
