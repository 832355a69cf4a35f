"""Images that people have reported as failing elsewhere, rebuilt, and what is to come of them.

Offsets of lines, few photons, colours and correlated noise are in test_noise_in_fits, hot pixels in
test_hot_pixels.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from scipy.special import erf

from napari_dip import BlindSpot, Image, denoise
from napari_dip.cli import main
from napari_dip.noise.measure import measure_noise
from napari_dip.planes.image_statistics import measure_image

SEEDS = (0, 1)


def cells(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Soft discs, filaments and puncta, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    image = np.zeros(shape)
    for _ in range(6):
        distance = np.hypot(y - rng.uniform(0, shape[0]), x - rng.uniform(0, shape[1]))
        image += rng.uniform(0.2, 0.6) / (1 + np.exp((distance - rng.uniform(8, 18)) / 1.2))
    for _ in range(8):
        a, dy, dx = (
            rng.uniform(0, np.pi),
            y - rng.uniform(0, shape[0]),
            x - rng.uniform(0, shape[1]),
        )
        across = dx * np.sin(a) + dy * np.cos(a) + 4 * np.sin((x + y) / 17 + a)
        image += 0.5 * np.exp(-(across**2) / 2.4)
    for _ in range(25):
        dy, dx = y - rng.uniform(3, shape[0] - 3), x - rng.uniform(3, shape[1] - 3)
        image += 0.6 * np.exp(-(dy**2 + dx**2) / 2.9)
    return image / image.max()


def fit(noisy: np.ndarray, steps: int, axes: str | None = None) -> tuple[np.ndarray, str]:
    """Return the answer of the default method and what it said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = denoise(noisy, BlindSpot(steps=steps), axes=axes, device="cpu")
    said = [str(one.message) for one in caught if one.category is UserWarning]
    return np.asarray(answer, dtype=float), " ".join(said)


def rms(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(image))))


def best_blur(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the Gaussian blur that is best when the truth is known."""
    blurs = (ndimage.gaussian_filter(noisy.astype(float), s) for s in np.arange(0.4, 6, 0.2))
    return min(blurs, key=lambda blur: rms(blur - clean))


def test_corners_of_a_corrected_illumination_are_no_worse_than_a_blur() -> None:
    y, x = np.mgrid[:96, :96]
    light = 1 / (1 + ((y - 48) ** 2 + (x - 48) ** 2) / 22.0**2)
    corners = light < np.quantile(light, 0.2)
    ratios = []
    for seed in (1, 4):
        clean = cells(light.shape, seed) * 60 + 10
        noisy = np.random.default_rng(seed).poisson(clean * light) / light
        answer, said = fit(noisy, 300)
        assert "times as strong in some places" in said and "taken into account" in said
        blur = best_blur(noisy, clean)
        ratios.append(rms((answer - clean)[corners]) / rms((blur - clean)[corners]))
        assert rms(answer - clean) < rms(blur - clean)
    assert np.mean(ratios) < 1


def test_a_fine_grating_keeps_its_amplitude() -> None:
    y, x = np.mgrid[:96, :96]
    wave = np.sin(2 * np.pi * (x * np.cos(0.4) + y * np.sin(0.4)) / 2.5)
    place = ndimage.gaussian_filter(cells(wave.shape), 4) > 0.12
    clean = 100 + 10 * wave * place
    kept = []
    for seed in (7, 8):
        noisy = clean + np.random.default_rng(seed).normal(0, 10, clean.shape)
        answer, _ = fit(noisy, 250)
        kept.append(((answer - clean) * wave)[place].mean() / (10 * wave**2)[place].mean() + 1)
        assert rms(answer - clean) < 0.75 * rms(best_blur(noisy, clean) - clean)
    assert min(kept) > 0.7  # the blur keeps next to nothing


def test_nothing_is_invented_in_noise() -> None:
    for seed in SEEDS:
        noisy = np.rint(np.random.default_rng(seed).normal(100, 10, (96, 96))).astype(np.uint16)
        answer, said = fit(noisy, 150)
        assert not said and answer.std() < 1.5 and np.abs(answer - 100).max() < 6
        assert answer.mean() == pytest.approx(noisy.mean(), abs=0.3)


def test_dropped_frames_stay_and_the_others_are_denoised() -> None:
    rng = np.random.default_rng(7)
    clean = cells((64, 64)) * 30 + 102
    noisy = rng.poisson(clean - 100, (4, 64, 64)) + 100 + rng.normal(0, 1.5, (4, 64, 64))
    noisy = np.rint(noisy).astype(np.uint16)
    noisy[[0, 2]] = 0  # on a camera with an offset of 100
    answer, said = fit(noisy, 200, "TYX")
    assert not answer[[0, 2]].any() and "left as it is" in said
    for frame in (1, 3):
        assert rms(answer[frame] - clean) < 1.1 * rms(best_blur(noisy[frame], clean) - clean)


def test_intensities_stay_proportional() -> None:
    photons = np.array([0.3, 1, 2, 4, 8, 15, 30, 60, 5])
    clean = np.kron(photons.reshape(3, 3), np.ones((32, 32))) + 100
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        noisy = rng.poisson(clean - 100) + 100 + rng.normal(0, 2, clean.shape)
        answer, _ = fit(noisy.astype(np.float32), 200)
        raw, found = (
            im.reshape(3, 32, 3, 32)[:, 5:-5, :, 5:-5].mean((1, 3)).ravel()
            for im in (noisy, answer)
        )
        np.testing.assert_array_less(np.abs(found - raw), np.maximum(0.1, 0.03 * photons))


def test_a_narrow_strip_is_denoised_to_its_border() -> None:
    ratios = []
    for seed in SEEDS:
        clean = cells((37, 211), seed) * 30 + 100
        noisy = np.random.default_rng(seed).poisson(clean - 98) + 98
        answer, _ = fit(noisy.astype(np.uint16), 200)
        inner = np.zeros(clean.shape, bool)
        inner[3:-3, 3:-3] = True
        ratios.append(rms((answer - clean)[~inner]) / rms((answer - clean)[inner]))
        assert rms(answer - clean) < rms(best_blur(noisy, clean) - clean)
    assert np.mean(ratios) < 1.6


@pytest.mark.parametrize(
    ("gain", "offset", "dtype"),
    [(1 / 65535, 0, "f4"), (1, -1200, "i2"), (20, 0, "u2"), (1e5, -3e8, "f8")],
)
def test_type_scale_and_offset_do_not_matter(gain: float, offset: float, dtype: str) -> None:
    rng = np.random.default_rng(7)
    noisy = np.rint(rng.normal(1000 + 500 * cells((48, 48)), 30))
    one, _ = fit(noisy.astype(np.uint16), 40)
    other, _ = fit((noisy * gain + offset).astype(dtype), 40)
    assert rms((other - offset) / gain - one) < 0.1 * 30


@pytest.mark.parametrize("sigma", [0.8, 1.0, 1.5])
@pytest.mark.parametrize("height", [300, 2000])
def test_beads_make_no_correlated_noise(sigma: float, height: float) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        t, scale = np.arange(128), sigma * 2**0.5
        lines = [
            (erf((t + 0.5 - c) / scale) - erf((t - 0.5 - c) / scale)) / 2
            for c in rng.uniform(4, 124, (40, 2, 1))
        ]
        peaks = sum(np.outer(y, x) for y, x in lines)
        noisy = rng.poisson(20 + height * 2 * np.pi * sigma**2 * peaks).astype(float)
        found = measure_image(Image(noisy, "YX"), stabilise=True)
        assert not found.noise_is_correlated and found.noise_note(known=True) == ""
        assert 0.5 < measure_noise([noisy]).variance(20.0) / 20 < 2


def test_hot_pixels_among_bright_cells_make_no_correlated_noise() -> None:
    rng = np.random.default_rng(7)
    noisy = rng.poisson(cells((128, 128)) * 2000 + 100).astype(float)
    noisy[rng.random(noisy.shape) < 0.003] += 1500
    assert not measure_image(Image(noisy, "YX"), stabilise=True).noise_is_correlated


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_an_array_with_three_colours_is_no_stack(dtype: str) -> None:
    colours = np.stack([cells((32, 32), seed) for seed in range(3)], -1)
    noisy = 100 + 50 * colours + np.random.default_rng(0).normal(0, 5, colours.shape)
    answer, said = fit(noisy.astype(dtype), 20)
    assert not said and rms(answer - noisy) > 2  # 32 planes of 32 x 3 pixels have no noise


def test_a_file_of_several_images_is_refused_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    with tifffile.TiffWriter(tmp_path / "positions.ome.tif", ome=True) as tif:
        for seed in range(2):
            frame = rng.poisson(cells((48, 48), seed) * 40).astype(np.uint16)
            tif.write(frame, metadata={"axes": "YX", "Name": f"Pos{seed}"})
    tifffile.imwrite(tmp_path / "single.tif", frame)
    words = ["--steps", "1", "--device", "cpu", "-q", "--json"]
    assert main(["denoise", str(tmp_path), "-o", str(tmp_path / "out"), *words]) == 1
    said = capsys.readouterr()
    files = json.loads(said.out.strip().splitlines()[-1])["files"]
    several, single = sorted(files, key=lambda file: Path(file["input"]).name)
    assert "holds 2 images: 0 'Pos0' (YX 48 x 48), 1 'Pos1'" in several["error"]
    assert several["status"] == "failed" and single["status"] == "done"
    assert "Warning" not in said.err
