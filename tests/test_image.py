"""An Image walks its planes and puts them back, whatever its axes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dip.images.image import Image, guess_axes


@pytest.mark.parametrize(
    ("axes", "shape", "planes", "plane"),
    [
        ("YX", (5, 7), 1, (1, 5, 7)),
        ("XY", (5, 7), 1, (1, 7, 5)),
        ("YX", (1, 1), 1, (1, 1, 1)),
        ("YX", (1, 9), 1, (1, 1, 9)),
        ("ZYX", (3, 5, 7), 3, (1, 5, 7)),
        ("CYX", (2, 5, 7), 2, (1, 5, 7)),
        ("YXC", (5, 7, 3), 1, (3, 5, 7)),
        ("XYC", (5, 7, 4), 1, (4, 7, 5)),
        ("YXZ", (5, 7, 3), 3, (1, 5, 7)),
        ("TYXC", (2, 5, 7, 3), 2, (3, 5, 7)),
        ("TZCYX", (2, 3, 4, 5, 7), 24, (1, 5, 7)),
        ("CZTXY", (4, 1, 3, 5, 7), 12, (1, 7, 5)),
    ],
)
def test_planes_round_trip(axes, shape, planes, plane):
    pixels = np.random.default_rng(0).integers(0, 999, shape).astype("uint16")
    image = Image(pixels, axes)
    out = np.zeros_like(pixels)
    for index, values in zip(image.plane_indices(), image.planes(), strict=True):
        assert values.shape == plane and values.dtype == np.float64
        out[index] = image.plane_like(values)
    np.testing.assert_array_equal(out, pixels)
    assert len(image.plane_indices()) == planes


def test_plane_holds_the_right_pixels():
    pixels = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(
        Image(pixels, "ZYX").plane((1, slice(None), slice(None)))[0], pixels[1]
    )
    np.testing.assert_array_equal(
        Image(pixels, "YXZ").plane((slice(None), slice(None), 1))[0], pixels[..., 1]
    )
    np.testing.assert_array_equal(
        Image(pixels[..., :3], "XYC").plane((slice(None),) * 3)[2], pixels[..., 2].T
    )


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((5, 7), "uint8", "YX"),
        ((5, 7, 3), "uint8", "YXC"),
        ((5, 7, 3), "float32", "ZYX"),
        ((3, 5, 7), "uint16", "ZYX"),
        ((4, 3, 5, 7), "uint16", "TZYX"),
        ((2, 5, 7, 4), "uint8", "ZYXC"),
        ((2, 4, 3, 5, 7), "uint8", "TZCYX"),
    ],
)
def test_guessed_axes(shape, dtype, axes):
    assert guess_axes(shape, dtype) == Image(np.zeros(shape, dtype)).axes == axes


def test_defaults_and_what_stays():
    image = Image(np.zeros((3, 5, 7), ">u2"), "zyx")
    assert (image.axes, image.scale, image.units) == ("ZYX", (1, 1, 1), ("pixel",) * 3)
    assert image.dtype == np.dtype("uint16") and not image.is_rgb
    scaled = Image(np.zeros((3, 5, 7)), "ZYX", scale=(0.3, 0.1, 0.1), units=("um",) * 3, name="a")
    other = scaled.with_pixels(np.ones((3, 5, 7)))
    assert (other.axes, other.scale, other.units, other.name) == (
        "ZYX",
        (0.3, 0.1, 0.1),
        ("um",) * 3,
        "a",
    )
    assert np.asarray(other).sum() == 105 and np.mean(other) == 1


@pytest.mark.parametrize(
    ("shape", "given", "says"),
    [
        ((5,), {}, "2 to 5 axes"),
        ((1, 2, 3, 4, 5, 6), {}, "2 to 5 axes"),
        ((5, 7), {"axes": "ZYX"}, "name 3 axes"),
        ((5, 7), {"axes": "QX"}, "hold Q"),
        ((3, 5, 7), {"axes": "YYX"}, "a letter twice"),
        ((3, 5, 7), {"axes": "TZX"}, "lack Y or X"),
        ((5, 7, 9), {"axes": "YXC"}, "9 entries"),
        ((0, 7), {}, "no pixels"),
        ((5, 7), {"scale": (1.0,)}, "scale has 1 values"),
        ((5, 7), {"units": ("um",) * 3}, "units has 3 values"),
        ((5, 7), {"scale": (0.1, 0.0)}, "positive and finite"),
        ((5, 7), {"scale": (0.1, float("nan"))}, "positive and finite"),
    ],
)
def test_what_does_not_agree_is_refused(shape, given, says):
    with pytest.raises(ValueError, match=says):
        Image(np.zeros(shape), **given)


def test_lazy_pixels_are_read_a_plane_at_a_time():
    dask = pytest.importorskip("dask.array", reason="dask is one of the lazy arrays")
    read: list[tuple[int, ...]] = []

    def load(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.zeros((1, 5, 7))

    lazy = dask.map_blocks(load, chunks=((1,) * 4, 5, 7), dtype=float, meta=np.zeros((0, 0, 0)))
    image = Image(lazy, "ZYX")
    assert read == []
    image.plane((2, slice(None), slice(None)))
    assert read == [(2, 0, 0)]
