"""The noise that is found is the noise that was added, with and without structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import read
from napari_dip.noise.correlation import REACH, WIDE_SIGMA, is_everywhere
from napari_dip.noise.measure import measure_noise
from napari_dip.noise.uneven import enlarge
from napari_dip.noise.unit_range import UnitRange

SEEDS = (11, 12, 13)
WIDE_FIELD = (1.0, 0.6, 0.2, 0.1)


def cells(rng: np.random.Generator, size: int = 160) -> np.ndarray:
    """Cells with an edge, up to 10 times the background."""
    seeds = rng.random((size, size)) < 0.001
    image = ndimage.gaussian_filter(1.0 * ndimage.binary_dilation(seeds, iterations=9), 1.5)
    return 0.1 + 0.9 * image * rng.uniform(0.5, 1)


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


@pytest.mark.parametrize("content", [cells, spots])
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


@pytest.mark.parametrize("content", [cells, spots])
def test_correlated_noise(content):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        clean = 1000 * content(rng, 256)
        found = measure_noise([clean + 50 * correlated(clean.shape, rng, WIDE_FIELD)])
        assert found.is_correlated and min(found.hole) >= 2 and max(found.hole) <= 4
        table = np.array(found.correlation)
        for line in (table[8, 8:12], table[8:12, 8]):
            np.testing.assert_allclose(line, WIDE_FIELD, atol=0.07)
        assert found.std(np.median(clean)) == pytest.approx(50, rel=0.07)


def test_correlation_along_one_axis():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=(200, 200))
        noise = noise + 0.4 * np.roll(noise, 1, axis=1)  # correlated by 0.4 / 1.16
        found = measure_noise([500 * cells(rng, 200) + 20 * noise])
        assert found.hole == (0, 1)
        assert found.correlation[8][9] == pytest.approx(0.345, abs=0.05)
        assert found.correlation[9][8] == pytest.approx(0, abs=0.07)


def test_fine_texture_is_not_taken_for_correlated_noise():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        fine, coarse = (ndimage.gaussian_filter(rng.normal(size=(160, 160)), s) for s in (1.5, 5))
        clean = 1000 + 100 * fine / fine.std() + 100 * coarse / coarse.std()
        found = measure_noise([clean + 25 * rng.normal(size=clean.shape)])
        assert found.hole == (0, 0)
        assert found.std(1000.0) == pytest.approx(25, rel=0.07)


def test_noise_that_grows_with_the_signal_squared():
    rng = np.random.default_rng(2)
    clean = 100 * cells(rng, 256)
    found = measure_noise([clean * (1 + 0.2 * rng.normal(size=clean.shape))])
    bright = np.quantile(clean, 0.9)
    assert found.std(10.0) == pytest.approx(2, rel=0.1)
    assert found.std(bright) == pytest.approx(0.2 * bright, rel=0.2)


def illumination(kind: str, size: int) -> np.ndarray:
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    return {
        "lamp": 1 / (1 + 19 * (y**2 + x**2)),
        "ramp": (1.1 + 0.8 * x) ** -2,
        "tiles": np.where((y > 0) ^ (x > 0), 1.0, 0.35),
    }[kind]


def slope(found, std: np.ndarray) -> float:
    """Return by how much the logarithm of what was found grows with that of the truth."""
    places = (np.arange(len(std)) + 0.5) / len(std)
    local = enlarge(np.array(found.local), places, places)
    return float(np.polyfit(np.log(std).ravel(), np.log(local).ravel(), 1)[0])


@pytest.mark.parametrize(("kind", "least"), [("lamp", 0.5), ("ramp", 0.6), ("tiles", 0.3)])
@pytest.mark.parametrize("photons", [False, True])
def test_noise_that_varies_over_a_small_field(kind, least, photons):
    slopes = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        std = illumination(kind, 96) ** -0.5
        clean = 100 * spots(rng, 96)
        noise = rng.poisson(clean / std**2) * std**2 - clean if photons else rng.normal(0, 10 * std)
        found = measure_noise([clean + noise])
        slopes.append(0 if found.local is None else slope(found, std))
    assert np.mean(slopes) > least and max(slopes) < 1.1  # 1: as strong as it is


@pytest.mark.parametrize("content", [cells, spots])
@pytest.mark.parametrize("size", [96, 128])
def test_even_noise_is_not_called_uneven(content, size):
    for seed in SEEDS:
        for photons in (0.3, 3, 300):
            rng = np.random.default_rng(seed)
            clean = content(rng, size)
            clean *= photons / clean.mean()
            assert measure_noise([rng.poisson(clean).astype(float)]).local is None


def test_noise_grows_on_in_spots_too_few_to_be_measured():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        spots = np.zeros((256, 256))
        spots[tuple(rng.integers(8, 248, (2, 60)))] = 80 * 2 * np.pi * 1.2**2
        found = measure_noise([rng.poisson(2 + ndimage.gaussian_filter(spots, 1.2)).astype(float)])
        assert found.levels[-1] < 40
        assert found.std([20, 60]) == pytest.approx(np.sqrt([20, 60]), rel=0.2)


def test_saturation():
    rng = np.random.default_rng(6)
    y = rng.poisson(200 * cells(rng)).astype(float)
    assert measure_noise([y]).saturation is None
    level, share = measure_noise([np.minimum(y, 100)]).saturation
    assert level == 100 and share == pytest.approx(np.mean(y >= 100))


def test_few_pixels_give_a_large_error():
    rng = np.random.default_rng(8)
    small, large = (
        measure_noise([rng.poisson(100.0, (side, side)).astype(float)]) for side in (32, 256)
    )
    assert small.std(100.0) == pytest.approx(10, rel=0.5) and small.hole == (0, 0)
    assert min(small.errors) > 2 * min(large.errors)
    assert small.correlation_error > 2 * large.correlation_error


def test_planes_and_windows_of_a_large_image_agree():
    rng = np.random.default_rng(9)
    y = rng.poisson(50.0, (8, 400, 400)).astype(float)
    found = measure_noise(list(y))
    assert found.std(50.0) == pytest.approx(50**0.5, rel=0.03)
    assert found.to_json()["hole"] == (0, 0)


def test_units_and_offset_change_nothing_else():
    rng = np.random.default_rng(5)
    y = rng.poisson(20 * cells(rng, 128)).astype(float)
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
    y = 1000 * cells(rng) + 30 * rng.normal(size=(160, 160))
    y[:, 100:] = 0
    assert measure_noise([y]).std(np.median(y[:, :90])) == pytest.approx(30, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawing_has_no_noise_though_sums_are_rounded(seed):
    rng = np.random.default_rng(seed)
    strokes = ndimage.binary_dilation(rng.random((300, 500)) < 0.002, np.ones((1, 5)))
    drawing = np.round(255 - 255 * ndimage.uniform_filter(1.0 * strokes, 2))
    found = measure_noise([drawing])
    assert found.std(250.0) == 0 and found.line.std(250.0) == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("times", [4, 6, 1000])
def test_a_field_of_two_noises_is_not_said_to_have_less_than_the_weaker(times, seed):
    y = np.random.default_rng(seed).normal(100, 1, (256, 256))
    y[:128] = 100 + times * (y[:128] - 100)
    assert 0.9 < measure_noise([y]).std(100) < times


@pytest.mark.parametrize("seed", range(4))
def test_correlated_noise_is_in_every_square_and_texture_is_not(seed: int) -> None:
    """Texture fades between cells, as in an average of many captures; noise does not."""
    rng = np.random.default_rng(seed)
    lags = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 1.0) ** 2)
    rho = np.outer(lags, lags)
    drawn, cells = (ndimage.gaussian_filter(rng.normal(size=(256, 256)), s) for s in (0.7071, 14))
    drawn /= drawn.std()
    wide = drawn - ndimage.gaussian_filter(drawn, WIDE_SIGMA)
    inside = np.ones(drawn.shape, dtype=bool)
    fading = np.clip(cells / cells.std() + 1, 0.3, 1.5)
    assert is_everywhere([wide], [inside], rho, evened=False)
    assert not is_everywhere([fading * wide], [inside], rho, evened=False)
    assert is_everywhere([fading * wide], [fading > 0.95], rho, evened=False)


@pytest.mark.parametrize("quiet", [0, 8])
def test_a_few_squares_without_noise_show_that_it_is_texture(quiet: int) -> None:
    """Of 256 squares; chance leaves none so quiet, and structure only adds to others."""
    lags = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 1.0) ** 2)
    drawn = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(256, 256)), 0.7071)
    wide = drawn / drawn.std()
    wide -= ndimage.gaussian_filter(wide, WIDE_SIGMA)
    wide[:16, : 16 * quiet] *= 0.5
    inside = np.ones(drawn.shape, dtype=bool)
    assert is_everywhere([wide], [inside], np.outer(lags, lags), evened=False) == (quiet == 0)


def test_the_texture_of_an_average_is_no_noise(data_dir: Path) -> None:
    average = read(data_dir / "fmd_confocal_fov01/BPAE_G_gt.tif").pixels
    found = measure_noise([np.asarray(average, dtype=np.float64)])
    assert found.hole == (0, 0) and found.std(np.median(average)) < 1.6  # 1.1, were it a 50th


def test_what_is_known_to_be_independent_stays_so() -> None:
    """As in the unit range, where texture may look like noise that it was not in intensities."""
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(size=(192, 192)), 0.7)
    assert measure_noise([noise]).is_correlated
    found = measure_noise([noise], is_independent=True)
    assert found.hole == (0, 0) and not found.is_correlated
    unit = UnitRange.of(-1, 1, 0, found.line, stabilise=False)
    assert unit.measure([noise], found).measured.hole == (0, 0)
    assert unit.measure([noise], measure_noise([noise])).measured.is_correlated
