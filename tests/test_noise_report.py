"""What is said of an image's noise before anything is denoised."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from scipy import ndimage

from napari_dip import Image, noise_report, write
from napari_dip.cli import main
from napari_dip.noise.measure import measure_noise

SIZE = 160


def ramp() -> np.ndarray:
    return np.linspace(20.0, 120.0, SIZE) * np.ones((SIZE, 1))


@pytest.mark.parametrize("seed", range(3))
def test_photon_noise_is_said_to_be_independent_and_of_so_many_photons(seed: int) -> None:
    gain = 3.0
    noisy = gain * np.random.default_rng(seed).poisson(ramp()) + 100
    (channel,) = noise_report(noisy).channels
    assert channel.photons is not None
    assert channel.photons[1] == pytest.approx(70, rel=0.15)
    said = "\n".join(channel.lines)
    assert "as good as independent" in said and "Its variance grows" in said
    assert channel.advice == ["Every method knows this kind of noise; the default suits it."]
    assert np.allclose(channel.noise.std(gain * 70 + 100), gain * np.sqrt(70), rtol=0.06)


def soft(seed: int) -> np.ndarray:
    """Return a soft image of mean 1, 0 to about 2."""
    image = ndimage.gaussian_filter(np.random.default_rng(seed).random((256, 256)), 8)
    image -= image.min()
    return image / image.mean()


@pytest.mark.parametrize("mean", [0.2, 0.4])
def test_few_photons_are_counted_by_their_mean_not_by_single_ones(mean: float) -> None:
    for seed in range(3):
        clean = np.minimum(mean * soft(seed), 0.7)
        (channel,) = noise_report(np.random.default_rng(seed).poisson(clean).astype(float)).channels
        assert channel.photons is not None
        assert channel.photons[1] == pytest.approx(np.median(clean), rel=0.2)
        assert "less than one photon a pixel in 95%" in channel.advice[-1]


def test_photons_are_not_counted_where_pixels_were_mixed() -> None:
    """A blur of 10 photons a pixel has the variance of 90."""
    noisy = np.random.default_rng(0).poisson(10 * soft(0)).astype(float)
    (channel,) = noise_report(ndimage.gaussian_filter(noisy, 0.8)).channels
    assert channel.noise.is_correlated
    assert channel.photons is None and "photons" not in str(channel.lines)


def test_of_a_dozen_pixels_the_noise_is_not_sure() -> None:
    off, said = [], []
    for seed in range(20):
        noise = measure_noise([np.random.default_rng(seed).normal(100, 5, (8, 8))])
        off.append(abs(float(noise.std(100)) / 5 - 1))
        said.append(noise.errors[0] / 2)
    assert np.mean(np.array(off) <= said) > 0.6  # 0.68 are within a standard error


@pytest.mark.parametrize("seed", range(3))
def test_noise_that_pixels_share_is_said_with_the_methods_that_know_it(seed: int) -> None:
    drawn = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), 0.7)
    (channel,) = noise_report(ramp() + 5 * drawn / drawn.std()).channels
    assert channel.noise.is_correlated
    assert "up to" in "\n".join(channel.lines)
    assert "dip and patchdip would keep part of it" in channel.advice[0]


def test_saturation_offsets_of_rows_and_hot_pixels_are_said() -> None:
    rng = np.random.default_rng(0)
    said = str(noise_report(ramp() + rng.normal(0, 4, (SIZE, SIZE)) + rng.normal(0, 8, (SIZE, 1))))
    assert "Whole rows are offset" in said and "offsets of lines are taken off first" in said
    assert "Whole columns" not in said
    noisy = np.minimum(ramp() + rng.normal(0, 4, (SIZE, SIZE)), 116)
    assert "saturated at 116" in str(noise_report(noisy))
    noisy = ramp() + rng.normal(0, 4, (SIZE, SIZE))
    noisy[5::40, 3::40] += 500
    report = noise_report(noisy)
    assert report.hot_pixels == 16 and "Hot or dead pixels: 16" in str(report)
    assert "at (y, x) = (5, 3), (5, 43), " in str(report) and "(85, 43), ..." in str(report)
    assert report.to_json()["hot_places"][:2] == [[5, 3], [5, 43]]
    stack = ramp() + rng.normal(0, 4, (5, SIZE, SIZE))
    stack[:, 7, 9] += 500
    report = noise_report(stack, "ZYX")
    assert report.hot_places == ((7, 9),) and "(7, 9), replaced" in str(report)


def test_a_constant_image_has_no_noise_and_a_small_one_is_not_judged() -> None:
    assert "nothing to denoise" in str(noise_report(np.full((SIZE, SIZE), 7.0)))
    small = ramp()[:40, :40] + np.random.default_rng(0).normal(0, 4, (40, 40))
    assert "can't be told" in str(noise_report(small))


def test_each_channel_and_each_colour_is_reported_under_its_name() -> None:
    rng = np.random.default_rng(0)
    stds = np.array([2.0, 6.0, 12.0])
    planes = ramp() + stds[:, None, None] * rng.normal(size=(3, SIZE, SIZE))
    channels = Image(planes.astype("float32"), "CYX", channels=("DAPI", "GFP", "Cy5"))
    report = noise_report(channels)
    assert [one.name for one in report.channels] == [
        "channel 0 (DAPI)",
        "channel 1 (GFP)",
        "channel 2 (Cy5)",
    ]
    found = [float(one.noise.std(70)) for one in report.channels]
    assert np.allclose(found, stds, rtol=0.08)
    colour = noise_report(np.moveaxis(planes, 0, -1), axes="YXC")
    assert [one.name for one in colour.channels] == ["red", "green", "blue"]


def test_the_verb_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noisy = np.random.default_rng(0).poisson(ramp())
    write(tmp_path / "a.tif", Image(noisy.astype("uint16"), "YX"))
    plot = tmp_path / "plot.png"
    assert main(["noise", str(tmp_path / "a.tif"), "--plot", str(plot), "--json"]) == 0
    shown = capsys.readouterr()
    record = json.loads(shown.out)
    assert "as good as independent" in shown.err
    assert record["channels"][0]["is_correlated"] is False and record["plot"] == str(plot)
    with PillowImage.open(plot) as picture:
        assert picture.size == (840, 340)
    before = plot.read_bytes()
    assert main(["noise", str(tmp_path / "a.tif"), "--plot", str(plot)]) == 2
    assert "say --overwrite" in capsys.readouterr().err and plot.read_bytes() == before
    assert main(["noise", str(tmp_path / "a.tif"), "--plot", str(tmp_path / "a.jpg")]) == 2
    assert "ends in .png" in capsys.readouterr().err
    assert main(["noise", str(tmp_path / "none.tif")]) == 1
    assert main(["noise", str(tmp_path)]) == 2
    assert f"is a folder; give one image at a time, of {tmp_path / 'a.tif'}" in (
        capsys.readouterr().err
    )


def test_what_is_not_finite_is_refused_in_a_sentence() -> None:
    noisy = ramp()
    noisy[3, 3] = np.nan
    with pytest.raises(ValueError, match="1 non-finite pixel"):
        noise_report(noisy)


def test_alpha_is_reported_beside_the_colours() -> None:
    planes = 100 + np.random.default_rng(0).normal(0, 5, (SIZE, SIZE, 4))
    planes[..., 3] = 255
    report = noise_report(planes.astype("uint8"))
    assert [one.name for one in report.channels] == ["red", "green", "blue", "alpha"]
    assert report.channels[3].advice == ["There is nothing to denoise."]


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (1, 64), (64, 3)])
def test_what_is_too_small_is_not_said_to_be_without_noise(shape: tuple[int, int]) -> None:
    report = noise_report(np.random.default_rng(0).normal(100, 5, shape))
    assert "Fewer than 5 pixels" in str(report) and "nothing to denoise" not in str(report)
    assert not report.to_json()["channels"][0]["is_known"]


@pytest.mark.parametrize("seed", range(3))
def test_noise_that_cannot_be_measured_is_not_said_to_be_known(seed: int) -> None:
    drawn = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), 3)
    report = noise_report(100 + 5 * drawn / drawn.std())
    (channel,) = report.channels
    assert not channel.is_known and "not known" in str(report)
    assert "Every method knows" not in str(report)


def test_a_plot_never_replaces_the_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.png"
    write(file, Image(np.random.default_rng(0).poisson(ramp()).astype("uint8"), "YX"))
    before = file.read_bytes()
    plot = str(tmp_path / "." / "a.png")
    assert main(["noise", str(file), "--plot", plot, "--overwrite"]) == 2
    assert "is the image itself" in capsys.readouterr().err and file.read_bytes() == before


@pytest.mark.parametrize("seed", range(3))
def test_few_photons_are_known(seed: int) -> None:
    counts = np.random.default_rng(seed).poisson(0.02, (SIZE, SIZE))
    (channel,) = noise_report(counts).channels
    assert channel.is_known and "less than one photon" in " ".join(channel.advice)


@pytest.mark.parametrize(
    ("name", "words"), [("folder.png", "a folder; give"), (300 * "x" + ".png", "too long; choose")]
)
def test_a_plot_that_cannot_be_written_is_refused_before_the_work(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.tif", Image(ramp().astype("float32"), "YX"))
    (tmp_path / "folder.png").mkdir()
    call = ["noise", str(tmp_path / "a.tif"), "--plot", str(tmp_path / name), "--overwrite"]
    assert main(call) > 0
    shown = capsys.readouterr()
    assert words in shown.err and "Errno" not in shown.err and not shown.out
