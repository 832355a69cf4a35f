"""Images to write and read, and how to compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import Image

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"T": 3, "Z": 5, "C": 2, "Y": 19, "X": 23}
SCALES = {"T": 0.7, "Z": 0.3, "C": 1.0, "Y": 0.1, "X": 0.1625}
UNITS = {"T": "s", "Z": "um", "C": "pixel", "Y": "um", "X": "um"}
PROVENANCE = {
    "method": "dip",
    "settings": {"steps": 800, "averaging": 0.99, "note": 'quotes " and µ and \n and <b>&amp;'},
    "seed": 0,
    "versions": ["1", None, True],
}


def make(axes: str, dtype: str, **changes) -> Image:
    shape = [3 if a == "C" and axes.endswith("C") else SIZES[a] for a in axes]
    top = 1000 if dtype == "uint16" else 200
    pixels = np.random.default_rng(1).uniform(0, top, shape).astype(dtype)
    kept = {
        "scale": tuple(SCALES[a] for a in axes),
        "units": tuple(UNITS[a] for a in axes),
        "provenance": PROVENANCE,
    }
    return Image(pixels, axes, **{**kept, **changes})


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def assert_same(image: Image, other: Image) -> None:
    assert (other.axes, other.shape, other.dtype) == (image.axes, image.shape, image.dtype)
    assert (other.scale, other.units) == (image.scale, image.units)
    assert other.provenance == image.provenance
    np.testing.assert_array_equal(np.asarray(other.pixels), np.asarray(image.pixels))
