"""Values are rounded, clipped and counted on their way into another type."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from some_images import make

from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.read_write import write
from napari_dip.images.image import Image


@pytest.mark.parametrize(
    ("values", "dtype", "expected", "clipped"),
    [
        ([-0.5, 0.4, 1.5, 254.6, 255.4], "uint8", [0, 0, 2, 255, 255], 0),
        ([-0.6, -7, 255.6, 1e9], "uint8", [0, 0, 255, 255], 4),
        ([np.nan, np.inf, -np.inf, 3], "uint16", [0, 65535, 0, 3], 3),
        ([70000, 65535], "uint16", [65535, 65535], 1),
        (
            [1e300, -1e300, np.inf, np.nan],
            "float32",
            [3.4028235e38, -3.4028235e38, np.inf, np.nan],
            2,
        ),
    ],
)
def test_cast_rounds_clips_and_counts(values, dtype, expected, clipped):
    pixels, count = cast_pixels(np.array(values), np.dtype(dtype))
    assert pixels.dtype == np.dtype(dtype) and count == clipped
    np.testing.assert_array_equal(pixels, np.array(expected, dtype))


def test_cast_between_integers_does_not_wrap():
    pixels, count = cast_pixels(np.array([-5, 300, 7], "int16"), np.dtype("uint8"))
    assert pixels.tolist() == [0, 255, 7] and count == 2


@pytest.mark.parametrize(
    ("given", "dtype", "stored"),
    [
        ("float64", None, "float32"),
        ("int32", None, "float32"),
        ("uint16", None, "uint16"),
        ("float64", "same", "float64"),
        ("int16", "same", "int16"),
        ("float32", "uint8", "uint8"),
        ("float32", np.uint16, "uint16"),
    ],
)
def test_dtype_of_the_file(tmp_path, given, dtype, stored):
    write(tmp_path / "a.tif", make("ZYX", given), dtype=dtype)
    assert tifffile.imread(tmp_path / "a.tif").dtype == stored


def test_write_counts_clipped_values_over_all_planes(tmp_path):
    pixels = np.full((3, 4, 5), 100.0)
    pixels[:, 0, 0] = (-3, 999, np.nan)
    assert write(tmp_path / "a.tif", Image(pixels, "ZYX"), dtype="uint8") == 3
