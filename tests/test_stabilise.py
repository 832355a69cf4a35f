"""The noise model and the map to the unit range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import read
from napari_dip.noise.anscombe import LEAST_Z, PoissonGaussian
from napari_dip.noise.measure import estimate_noise, measure_noise
from napari_dip.noise.unit_range import UnitRange


def scene(seed: int, size: int = 192) -> np.ndarray:
    """Smooth structure between 20 and 220."""
    rough = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 12)
    return 20 + 200 * (rough - rough.min()) / np.ptp(rough)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("gain", "read"), [(2.0, 5.0), (0.5, 2.0), (20.0, 3.0)])
def test_the_noise_is_found_again(gain: float, read: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean = scene(seed)
    noisy = gain * rng.poisson(clean / gain) + rng.normal(0, read, clean.shape)
    found = estimate_noise([noisy[None]])
    for level in (50, 150):
        assert found.std(level) == pytest.approx(np.sqrt(gain * level + read**2), rel=0.15)


def test_additive_noise_has_no_gain() -> None:
    noisy = scene(0) + np.random.default_rng(0).normal(0, 10, (192, 192))
    found = estimate_noise([noisy[None]])
    assert found.gain == 0
    assert found.std(0) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 50), (1, 4, 4), (3, 9, 9)])
def test_tiny_and_constant_planes_have_no_noise(shape: tuple[int, ...]) -> None:
    assert estimate_noise([np.full(shape, 7.0)]).std(7.0) == 0


def test_the_inverse_is_unbiased() -> None:
    model = PoissonGaussian(gain=3.0, variance=4.0)
    rng = np.random.default_rng(0)
    for mean in (9.0, 30.0, 200.0):
        y = 3.0 * rng.poisson(mean / 3.0, 400_000) + rng.normal(0, 2.0, 400_000)
        back = float(model.restore(np.array([model.stabilise(y).mean()]))[0])
        assert back == pytest.approx(mean, rel=0.02)


def test_the_inverse_never_falls() -> None:
    photons = PoissonGaussian(gain=1.0, variance=0.0).restore(np.linspace(0, 3, 30_001))
    assert np.all(np.diff(photons) >= 0) and photons[0] == pytest.approx(-0.2413, abs=1e-4)
    root = np.sqrt(1.5)
    slope = np.polyval([4, 0, 0, -2 * root, 22, -15 * root], LEAST_Z)
    assert slope == pytest.approx(0, abs=1e-12), "the exact minimum of the closed form"


def test_stabilised_noise_is_even() -> None:
    model = PoissonGaussian(gain=3.0, variance=4.0)
    rng = np.random.default_rng(1)
    for mean in (10.0, 60.0, 250.0):
        y = 3.0 * rng.poisson(mean / 3.0, 200_000) + rng.normal(0, 2.0, 200_000)
        assert model.stabilise(y).std() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 65535.0), (-3.5, 1e-3), (1e6, 1e6 + 1), (5.0, 5.0)]
)
def test_the_plain_map_is_undone_exactly(low: float, high: float) -> None:
    unit = UnitRange.of(low, high, (low + high) / 2, PoissonGaussian(0.0, 0.0), stabilise=True)
    y = np.linspace(low, high, 1001)
    inside = unit.to_unit(y)
    assert inside.min() >= 0
    assert inside.max() <= 1
    np.testing.assert_allclose(
        unit.from_unit(inside), y, rtol=1e-12, atol=1e-12 * max(1, abs(high))
    )


def test_uint16_comes_back_to_the_integer() -> None:
    y = np.arange(65536, dtype=np.float64)
    unit = UnitRange.of(0, 65535, 3e4, PoissonGaussian(0.0, 1.0), stabilise=False)
    assert np.array_equal(np.rint(unit.from_unit(unit.to_unit(y))), y)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_smooth_noise_is_told_from_white(seed: int) -> None:
    white = np.random.default_rng(seed).normal(0, 10, (192, 192))
    smooth = ndimage.gaussian_filter(white, 0.8)
    assert not measure_noise([scene(seed) + white]).is_correlated
    assert measure_noise([scene(seed) + 2.5 * smooth]).is_correlated


def test_real_wide_field_noise_is_smooth_and_confocal_noise_is_not(data_dir: Path) -> None:
    def planes(path: str) -> list[np.ndarray]:
        return [np.asarray(read(data_dir / path).pixels, dtype=np.float64)]

    for capture in (1, 2, 3, 4):
        found = measure_noise(planes(f"fmd_test_mix/WideField_BPAE_R_{capture}_raw.png"))
        assert min(found.hole) >= 3
    for sample in ("BPAE_B", "BPAE_G", "BPAE_R", "fish", "mice"):
        assert not measure_noise(planes(f"fmd_confocal_fov01/{sample}_raw.tif")).is_correlated
    assert not measure_noise(planes("fmd_test_mix/TwoPhoton_BPAE_G_1_raw.png")).is_correlated
