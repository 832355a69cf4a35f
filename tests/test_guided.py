"""Guided restoration: any guide of the same place, and none of another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import Guided, Image, iter_restore_guided, last, psnr, restore_guided

QUICK = Guided(steps=2, channels=4, scales=2)


@pytest.mark.parametrize(
    ("axes", "shape", "guide_axes", "guide_shape"),
    [
        ("YX", (20, 21), "YX", (20, 21)),
        ("ZYX", (2, 20, 21), "ZYX", (2, 20, 21)),
        ("ZYX", (2, 20, 21), "YX", (20, 21)),
        ("YXC", (20, 21, 3), "YX", (20, 21)),
        ("YXC", (20, 21, 3), "YXC", (20, 21, 3)),
        ("YX", (20, 21), "YXC", (20, 21, 3)),
    ],
)
def test_guides_of_one_size_are_taken(
    axes: str, shape: tuple[int, ...], guide_axes: str, guide_shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    image = Image(rng.random(shape), axes, scale=(0.1,) * len(shape))
    guide = Image(1000 * rng.random(guide_shape), guide_axes)
    answer = last(iter_restore_guided(image, guide, QUICK, device="cpu")).image
    assert (answer.shape, answer.axes, answer.scale) == (image.shape, axes, image.scale)
    assert answer.provenance["task"] == "guided"
    other = restore_guided(image, Image(rng.random(guide_shape), guide_axes), QUICK, device="cpu")
    assert not np.array_equal(np.asarray(answer), np.asarray(other))


@pytest.mark.parametrize("shape", [(20, 22), (21, 20), (2, 20, 21), (3, 20, 21)])
def test_guides_of_another_size_are_refused_at_the_call(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="guide has the shape"):
        iter_restore_guided(np.zeros((20, 21)), np.zeros(shape))


def test_broken_guides_are_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match=r"guide cannot be used\. .*non-finite"):
        iter_restore_guided(np.zeros((8, 8)), np.full((8, 8), np.nan))


def test_an_edge_of_the_guide_helps() -> None:
    rng = np.random.default_rng(0)
    shape = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 4) > 0
    clean = np.where(shape, 12.0, 4.0)
    dim = rng.poisson(clean)
    bright = 900.0 * shape + 100
    how = Guided(steps=120, channels=8, scales=3)
    helped = restore_guided(dim, bright, how, device="cpu")
    blurs = [ndimage.gaussian_filter(dim.astype(float), sigma) for sigma in np.arange(0.5, 3, 0.25)]
    best_blur = max(psnr(clean, blur, data_range=8) for blur in blurs)
    assert psnr(clean, helped, data_range=8) > best_blur + 2
