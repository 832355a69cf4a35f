"""Scores agree with their definition, with scikit-image and with figures that others measured."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dip.files.read_write import read
from napari_dip.images.image import Image
from napari_dip.images.metrics import data_range_of, match_affine, psnr, ssim


@pytest.fixture
def pair():
    clean = np.random.default_rng(0).integers(0, 255, (32, 40)).astype("uint8")
    return clean, clean + np.random.default_rng(1).normal(0, 10, clean.shape)


def test_psnr_is_its_formula(pair):
    clean, noisy = pair
    expected = 10 * np.log10(255**2 / np.mean((clean - noisy) ** 2))
    assert psnr(clean, noisy) == pytest.approx(expected)
    assert psnr(clean, noisy, data_range=100) == pytest.approx(expected + 20 * np.log10(100 / 255))
    assert psnr(clean.astype(float), noisy, data_range=255) == pytest.approx(expected)
    assert psnr(clean, clean) == float("inf")


def test_ssim_is_the_one_of_scikit_image(pair):
    from skimage.metrics import structural_similarity

    clean, noisy = pair
    expected = structural_similarity(clean.astype(float), noisy, data_range=255)
    assert ssim(clean, noisy) == pytest.approx(expected)
    assert ssim(clean, clean) == pytest.approx(1)


def test_unsigned_pixels_do_not_wrap():
    clean, other = np.full((9, 9), 10, "uint8"), np.full((9, 9), 20, "uint8")
    assert psnr(clean, other) == psnr(other, clean) == pytest.approx(10 * np.log10(255**2 / 100))


def test_stacks_and_colour_are_scored_plane_by_plane(pair):
    clean, noisy = pair
    stack, noisy_stack = np.stack([clean, clean[::-1]]), np.stack([noisy, noisy[::-1] + 30])
    planes = [ssim(a, b) for a, b in zip(stack, noisy_stack, strict=True)]
    assert ssim(stack, noisy_stack) == pytest.approx(np.mean(planes))
    assert ssim(Image(stack, "ZYX"), Image(noisy_stack, "ZYX")) == pytest.approx(np.mean(planes))
    colour, noisy_colour = np.stack([clean] * 3, -1), np.stack([noisy] * 3, -1)
    assert ssim(colour, noisy_colour) == pytest.approx(ssim(clean, noisy))
    assert ssim(colour.astype(float), noisy_colour, data_range=255) == pytest.approx(
        ssim(clean, noisy)
    )


def test_affine_match_undoes_gain_and_offset(pair):
    clean, noisy = pair
    assert psnr(clean, 3.0 * clean - 77, affine=True) > 200
    assert psnr(clean, 3 * noisy - 77, affine=True) == pytest.approx(
        psnr(clean, noisy, affine=True)
    )
    assert psnr(clean, noisy, affine=True) >= psnr(clean, noisy)
    assert ssim(clean, 0.1 * clean + 5, affine=True) == pytest.approx(1)
    np.testing.assert_allclose(match_affine(clean, np.full(clean.shape, 7.0)), clean.mean())


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", 255), ("uint16", 65535), ("int16", 65535), ("bool", 1), (">u2", 65535)],
)
def test_range_of_an_integer_type(dtype, expected):
    assert data_range_of(np.zeros((2, 2), dtype)) == expected
    assert data_range_of(Image(np.zeros((2, 2), dtype), "YX")) == expected
    assert data_range_of(np.zeros((2, 2), dtype), 7) == 7


def test_what_is_refused(pair):
    clean, noisy = pair
    with pytest.raises(ValueError, match="has no range of its own"):
        psnr(noisy, noisy)
    with pytest.raises(ValueError, match=r"\(32, 40\) and \(31, 40\)"):
        psnr(clean, noisy[1:])
    with pytest.raises(ValueError, match="differ in axes: ZYX and TYX"):
        psnr(Image(clean[None], "ZYX"), Image(noisy[None], "TYX"))
    with pytest.raises(ValueError, match="image to score holds NaN"):
        ssim(clean, np.where(noisy > 100, np.nan, noisy))
    with pytest.raises(ValueError, match="at least 7 x 7"):
        ssim(clean[:6], noisy[:6])
    with pytest.raises(ValueError, match="positive"):
        psnr(clean, noisy, data_range=0)
    with pytest.raises(ValueError, match="no pixels"):
        psnr(clean[:0], noisy[:0])
    with pytest.raises(ValueError, match="real numbers"):
        psnr(clean.astype(complex), noisy)
    assert psnr(clean[:1, :1], noisy[:1, :1]) > 10


@pytest.mark.parametrize(
    ("folder", "clean", "noisy", "plain", "matched"),
    [
        ("w2s_widefield_8bit", "target_avg400_001_1.tif", "input_avg1_001_1.tif", 14.08, 15.39),
        ("hagen_lowsnr_highsnr", "nucleus_highsnr.png", "nucleus_lowsnr.png", 23.03, 25.90),
        (
            "hagen_lowsnr_highsnr",
            "mito-confocal_highsnr.png",
            "mito-confocal_lowsnr.png",
            18.19,
            20.06,
        ),
    ],
)
def test_the_figures_that_the_data_sets_state(data_dir, folder, clean, noisy, plain, matched):
    reference, image = read(data_dir / folder / clean), read(data_dir / folder / noisy)
    assert psnr(reference, image) == pytest.approx(plain, abs=0.006)
    assert psnr(reference, image, affine=True) == pytest.approx(matched, abs=0.006)


def test_the_figure_of_fish(data_dir):
    """The noisy capture of the table in the baselines: 19.60 dB, SSIM 0.38 on its centre."""
    folder = data_dir / "fmd_confocal_fov01"
    clean, noisy = (
        read(folder / f"fish_{kind}.tif").pixels[128:384, 128:384] for kind in ("gt", "raw")
    )
    assert psnr(clean, noisy) == pytest.approx(19.60, abs=0.006)
    assert ssim(clean, noisy) == pytest.approx(0.38, abs=0.006)
