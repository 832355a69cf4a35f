"""Upscaling: shapes and scales, and an image that is right where it can be told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_dip import Image, Upscale, iter_upscale, last, psnr, upscale
from napari_dip.engine.operators import Downsampled
from napari_dip.restore.upscale import enlarge

QUICK = Upscale(steps=2, channels=4, scales=2)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("down", ["lanczos", "binning"])
def test_height_and_width_grow_and_the_scale_shrinks(factor: int, down: str) -> None:
    stack = Image(
        np.random.default_rng(0).random((2, 5, 7)),
        "ZYX",
        scale=(0.5, 0.12, 0.12),
        units=("um",) * 3,
        name="cell",
    )
    image = last(iter_upscale(stack, factor, QUICK, down=down, device="cpu")).image
    assert image.shape == (2, 5 * factor, 7 * factor)
    assert image.scale == (0.5, 0.12 / factor, 0.12 / factor)
    assert (image.axes, image.units, image.name, image.dtype) == (
        "ZYX",
        ("um",) * 3,
        "cell",
        np.float32,
    )
    assert image.provenance["factor"] == factor and image.provenance["down"] == down


@pytest.mark.parametrize(
    ("axes", "shape"), [("YXC", (6, 8, 3)), ("XY", (6, 8)), ("CYX", (2, 6, 8))]
)
def test_other_axes_come_back(axes: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).random(shape)
    wanted = tuple(n * 2 if a in "YX" else n for a, n in zip(axes, shape, strict=True))
    assert upscale(pixels, 2, QUICK, axes=axes, device="cpu").shape == wanted


def test_planes_not_reached_show_the_input_enlarged() -> None:
    stack = Image(np.random.default_rng(0).random((2, 8, 8)), "ZYX")
    first = next(iter(iter_upscale(stack, 2, QUICK, device="cpu"))).image
    assert np.array_equal(np.asarray(first)[1], np.asarray(enlarge(stack, 2).pixels)[1])


def test_the_enlarged_input_lies_in_place() -> None:
    rows = Image(np.arange(12.0)[:, None] * np.ones((12, 12)))
    large = np.asarray(enlarge(rows, 4).pixels)
    np.testing.assert_allclose(large[12:-12, 5], (np.arange(12, 36) - 1.5) / 4, atol=0.02)


@pytest.mark.parametrize("factor", [0, 1, 5, -2, 2.5, True, "2"])
def test_other_factors_are_refused_at_the_call(factor: object) -> None:
    with pytest.raises(ValueError, match=r"factor is .*; give 2, 3, 4 or 8"):
        iter_upscale(np.ones((8, 8)), factor)  # type: ignore[arg-type]


def test_other_ways_down_and_networks_are_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="down is 'nearest'"):
        iter_upscale(np.ones((8, 8)), 2, down="nearest")  # type: ignore[arg-type]
    from napari_dip import BlindSpot

    with pytest.raises(ValueError, match="settings of Upscaling"):
        iter_upscale(np.ones((8, 8)), 2, BlindSpot())
    with pytest.raises(ValueError, match="non-finite"):
        iter_upscale(np.full((8, 8), np.nan), 2)


def test_edges_come_out_sharper_than_splines_make_them() -> None:
    y, x = np.mgrid[:64, :64]
    clean = np.where((x + 0.4 * y) % 32 < 16, 200.0, 40.0) * (1 + 0.1 * (y > 30))
    down = Downsampled(2, "binning")
    small = down(torch.from_numpy(clean).float()[None])[0].numpy()
    answer = upscale(
        small,
        2,
        Upscale(steps=250, channels=16, scales=3, averaging=0.95),
        down="binning",
        device="cpu",
    )
    spline = np.asarray(enlarge(Image(small), 2).pixels)
    assert psnr(clean, answer, data_range=200) > psnr(clean, spline, data_range=200) + 1


def test_a_fit_too_short_for_the_brightness_says_so() -> None:
    dim = np.random.default_rng(0).poisson(3, (24, 24)).astype(np.float32)
    dim[4:8, 4:8] = 200
    few = last(iter_upscale(dim, 2, Upscale(steps=3, channels=4, scales=2), device="cpu"))
    assert "too bright" in few.note and "give it more steps" in few.note
