"""Hostile pixels: what is refused, and what must not spoil the measurement of the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dip import (
    DIP,
    IDDP,
    N2V,
    BlindSpot,
    Image,
    denoise,
    iter_denoise,
    last,
    noise_report,
    psnr,
    read,
    train,
)
from napari_dip.noise.measure import estimate_noise, measure_noise
from napari_dip.planes.image_statistics import measure_image

QUICK = BlindSpot(steps=3, channels=4, crop=16)


def counts(seed: int, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Structure between 5 and 50 photons, as (noisy, clean)."""
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.normal(size=(size, size)), 3)
    clean = 5 + 45 * (rough - rough.min()) / np.ptp(rough)
    return rng.poisson(clean).astype(np.float64), clean


@pytest.mark.parametrize("factor", [1e-30, 1e-9, 1e-3, 1.0, 1e9, 1e30])
def test_the_unit_of_the_intensities_does_not_matter(factor: float) -> None:
    noisy = counts(0)[0]
    one, other = estimate_noise([noisy[None]]), estimate_noise([factor * noisy[None]])
    # Rounding decides between equal levels, which moves a pixel to another bin here and there.
    assert other.gain == pytest.approx(factor * one.gain, rel=0.01)
    assert other.std(20 * factor) == pytest.approx(factor * one.std(20), rel=0.01)
    answers = [denoise(f * noisy, QUICK, device="cpu") / f for f in (factor, 1.0)]
    assert np.abs(answers[0] - answers[1]).max() < 0.05 * one.std(20)


def test_an_offset_does_not_matter() -> None:
    noisy = counts(0)[0]
    one, other = estimate_noise([noisy[None]]), estimate_noise([1e5 + noisy[None]])
    assert other.gain == pytest.approx(one.gain, rel=1e-4)
    assert other.std(1e5 + 20) == pytest.approx(one.std(20), rel=1e-3)


@pytest.mark.parametrize("value", [0, 500])
@pytest.mark.parametrize("share", [0.25, 0.6])
def test_padding_and_saturation_are_no_measurement_of_noise(share: float, value: float) -> None:
    noisy = counts(1, 128)[0]
    padded = noisy.copy()
    padded[: int(share * 128)] = value
    found, whole = estimate_noise([padded[None]]), estimate_noise([noisy[None]])
    assert found.std(25) == pytest.approx(whole.std(25), rel=0.15)


def test_blank_planes_do_not_hide_the_noise_of_the_others() -> None:
    noisy, clean = counts(0)
    stack = np.stack([np.zeros_like(noisy), noisy, np.full_like(noisy, 9), np.zeros_like(noisy)])
    answer = denoise(stack, QUICK, axes="TYX", device="cpu")
    assert psnr(clean, answer[1], data_range=50) > psnr(clean, noisy, data_range=50) + 4
    assert np.array_equal(answer[[0, 2, 3]], stack[[0, 2, 3]])


def test_a_drawn_image_without_noise_comes_back_as_it_is() -> None:
    squares = 100.0 * (np.add.outer(np.arange(96) // 16, np.arange(96) // 16) % 2)
    assert np.array_equal(denoise(squares, QUICK, device="cpu"), squares)


def test_black_padding_under_a_camera_offset_stays_black() -> None:
    noisy, clean = counts(2)
    camera = 100 + noisy
    camera[:, :20] = 0
    answer = denoise(camera, BlindSpot(steps=60, channels=8), device="cpu")
    assert np.array_equal(answer[:, :20], camera[:, :20])
    inner = (slice(None), slice(24, None))
    assert (
        psnr(100 + clean[inner], answer[inner], data_range=50)
        > psnr(clean[inner], noisy[inner], data_range=50) + 4
    )


@pytest.mark.parametrize("axes", ["CYX", "YXC", "ZCYX"])
def test_every_channel_has_a_noise_of_its_own(axes: str) -> None:
    (dim, clean), (bright, _) = counts(0), counts(1)
    channels = np.stack([dim, 3000 + 100 * bright, dim])
    pixels = {"CYX": channels, "YXC": np.moveaxis(channels, 0, -1), "ZCYX": channels[None]}[axes]
    found = measure_image(Image(pixels, axes), stabilise=True)
    if axes == "YXC":  # one picture, one map
        assert len(found.unit_ranges) == 1
        return
    assert len(found.unit_ranges) == 3
    snapshot = last(iter_denoise(pixels, QUICK, axes=axes, device="cpu"))
    assert isinstance(snapshot.provenance["noise"], list)
    answer = np.asarray(snapshot.image).reshape(channels.shape)
    alone = denoise(dim, QUICK, device="cpu")
    assert np.array_equal(answer[0], alone)
    assert np.array_equal(answer[2], alone)
    assert psnr(clean, alone, data_range=50) > psnr(clean, dim, data_range=50) + 4


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (counts(0)[0] * 1e38, "cannot hold"),
        (counts(0)[0] * 1e300, "cannot hold"),
        (counts(0)[0] * 1e-300, "cannot hold"),
        (counts(0)[0] / 1000 + 1e6, "subtract the offset"),
        (
            np.where(np.arange(27).reshape(3, 3, 3) == 26, np.nan, 1),
            "1 non-finite pixel .* in the plane Z = 2;",
        ),
        (np.ma.masked_greater(counts(0)[0], 40), "masked"),
        ([[1, 2], [3]], "list that numpy cannot read"),
        ("cell.tif", "read it first"),
        (Path("cell.tif"), "read it first"),
        (None, "NoneType"),
    ],
)
def test_hostile_pixels_are_refused_in_a_sentence(pixels: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        iter_denoise(pixels, QUICK, device="cpu")


@pytest.mark.parametrize(
    "use",
    [Image, noise_report, lambda y: train([y], IDDP(steps=2)), lambda y: train(y, N2V(steps=2))],
)
def test_masked_pixels_are_refused_wherever_an_image_is_taken(use: Any) -> None:
    with pytest.raises(ValueError, match="masked pixels"):
        use(np.ma.masked_greater(counts(0, 32)[0], 40))


@pytest.mark.parametrize("how", [{"steps": 3}, "dip", DIP, 3])
def test_what_is_no_settings_is_refused_at_the_call(how: object) -> None:
    with pytest.raises(ValueError, match="give settings such as"):
        iter_denoise(np.zeros((8, 8)), how, device="cpu")


class Lazy:
    """No more than `Image` asks for."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype

    def __getitem__(self, key: object) -> np.ndarray:
        return self.pixels[key]


@pytest.mark.parametrize(
    "turned",
    [
        lambda a: a.tolist(),
        lambda a: torch.tensor(a, requires_grad=True),
        lambda a: a.astype(">f8"),
        np.asfortranarray,
        lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
        lambda a: np.ma.masked_array(a, mask=False),
        Lazy,
    ],
    ids=["list", "tensor", "big-endian", "fortran", "strides", "unmasked", "lazy"],
)
def test_any_array_gives_the_same_answer(turned: object) -> None:
    noisy = counts(0, 32)[0]
    assert np.array_equal(
        denoise(turned(noisy), QUICK, device="cpu"), denoise(noisy, QUICK, device="cpu")
    )


def test_a_nearly_black_real_image_is_not_taken_for_smooth(data_dir: Path) -> None:
    dark = read(data_dir / "hagen_lowsnr_highsnr/mito-confocal_lowsnr.png")  # 78 % zeros
    assert not measure_noise([plane[0] for plane in dark.planes()]).is_correlated
