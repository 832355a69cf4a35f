"""Guided restoration: any guide of the same place, and none of another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import Guided, Image, iter_restore_guided, last, psnr, restore_guided

QUICK = Guided(steps=3, channels=4, crop=16, stop="never")
SKIP = Guided(steps=3, channels=4, scales=2, net="skip")


@pytest.mark.parametrize("how", [QUICK, SKIP], ids=lambda how: how.net)
@pytest.mark.parametrize(
    ("axes", "shape", "guide_axes", "guide_shape"),
    [
        ("YX", (60, 61), "YX", (60, 61)),
        ("ZYX", (2, 60, 61), "ZYX", (2, 60, 61)),
        ("ZYX", (2, 60, 61), "YX", (60, 61)),
        ("YXC", (60, 61, 3), "YX", (60, 61)),
        ("YXC", (60, 61, 3), "YXC", (60, 61, 3)),
        ("YX", (60, 61), "YXC", (60, 61, 3)),
    ],
)
def test_guides_of_one_size_are_taken(
    axes: str, shape: tuple[int, ...], guide_axes: str, guide_shape: tuple[int, ...], how: Guided
) -> None:
    rng = np.random.default_rng(0)
    pattern = ndimage.gaussian_filter(rng.normal(size=(60, 61)), 2) > 0

    def show(shape: tuple[int, ...], axes: str) -> np.ndarray:
        here = pattern[..., None] if axes.endswith("C") else pattern
        return np.broadcast_to(here, shape) + 0.3 * rng.random(shape)

    image = Image(show(shape, axes), axes, scale=(0.1,) * len(shape))
    guide = Image(1000 * show(guide_shape, guide_axes), guide_axes)
    answer = last(iter_restore_guided(image, guide, how, device="cpu")).image
    assert (answer.shape, answer.axes, answer.scale) == (image.shape, axes, image.scale)
    assert answer.provenance["task"] == "guided"
    other = restore_guided(image, Image(rng.random(guide_shape), guide_axes), how, device="cpu")
    assert not np.array_equal(np.asarray(answer), np.asarray(other))


@pytest.mark.parametrize("shape", [(20, 22), (21, 20), (2, 20, 21), (3, 20, 21)])
def test_guides_of_another_size_are_refused_at_the_call(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="guide has the shape"):
        iter_restore_guided(np.zeros((20, 21)), np.zeros(shape))


def test_broken_guides_are_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match=r"guide cannot be used\. .*non-finite"):
        iter_restore_guided(np.zeros((8, 8)), np.full((8, 8), np.nan))


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dim picture of two levels with Poisson noise, its clean version, and where it is bright."""
    rng = np.random.default_rng(seed)
    shape = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 4) > 0
    clean = np.where(shape, 12.0, 4.0)
    return rng.poisson(clean), clean, shape


@pytest.mark.parametrize(
    "how",
    [
        Guided(steps=120, channels=12, crop=24),
        Guided(steps=120, channels=8, scales=3, net="skip", learning_rate=0.01),
    ],
    ids=lambda how: how.net,
)
def test_an_edge_of_the_guide_helps(how: Guided) -> None:
    dim, clean, shape = scene()
    helped = restore_guided(dim, 900.0 * shape + 100, how, device="cpu")
    blurs = [ndimage.gaussian_filter(dim.astype(float), sigma) for sigma in np.arange(0.5, 3, 0.25)]
    best_blur = max(psnr(clean, blur, data_range=8) for blur in blurs)
    assert psnr(clean, helped, data_range=8) > best_blur + 2


def test_a_strangers_edges_are_not_painted() -> None:
    dim, clean, _ = scene()
    stranger = scene(1)[2]
    answer = restore_guided(
        dim, 900.0 * stranger + 100, Guided(steps=120, channels=12, crop=24), device="cpu"
    )
    edges = ndimage.gaussian_filter(stranger.astype(float), 0.7) - ndimage.gaussian_filter(
        stranger.astype(float), 3
    )
    assert abs(np.corrcoef((answer - clean).ravel(), edges.ravel())[0, 1]) < 0.1


def test_the_smallest_network_sees_the_guide_too() -> None:
    how = QUICK.model_copy(update={"layers": 0})
    assert restore_guided(scene()[0], scene(1)[0], how, device="cpu").shape == (64, 64)


def test_an_image_without_noise_is_left_as_it_is() -> None:
    flat = np.full((12, 12), 7.0)
    assert np.array_equal(restore_guided(flat, np.eye(12), QUICK, device="cpu"), flat)


@pytest.mark.parametrize("colours", [0, 3])
def test_a_copy_is_no_guide_and_that_is_said(colours: int) -> None:
    rng = np.random.default_rng(0)
    size = (64, 64, colours) if colours else (64, 64)
    clean = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 4)
    clean = 100 + 300 * (clean[..., None] if colours else clean)
    noisy = (clean + rng.normal(0, 10, size)).astype(np.float32)
    how = Guided(steps=6, channels=4, crop=16)
    blurred = ndimage.gaussian_filter(noisy, (1, 1, 0)[: noisy.ndim])
    made = (noisy[..., 1] if colours else noisy - 1, blurred, np.roll(noisy, 1, 1))
    for guide in (3 * noisy + 5, *made):
        notes = [s.note for s in iter_restore_guided(noisy, guide, how, device="cpu")]
        assert "image's own noise" in " ".join(notes)
    notes = [s.note for s in iter_restore_guided(noisy, np.broadcast_to(clean, size), how)]
    assert "own noise" not in " ".join(notes)


@pytest.mark.parametrize("shape", [(24, 24), (2, 24, 24), (24, 24, 3)])
def test_the_image_itself_is_refused_as_its_guide(shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(0).poisson(30, shape).astype("uint16")
    with pytest.raises(ValueError, match="is its own guide"):
        iter_restore_guided(noisy, noisy.astype("float32"), Guided(steps=1))
    other = noisy.copy()
    other[-1, -1] += 1
    assert last(iter_restore_guided(noisy, other, Guided(steps=1, channels=4), device="cpu"))
