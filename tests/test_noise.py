"""Noise has the moments it claims and a seed; the residual check sees what it should."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dip.images.image import Image
from napari_dip.noise.add import add_gaussian, add_poisson, add_speckle
from napari_dip.noise.residual import residual_check

FLAT = np.full((300, 300), 120, "uint8")


def test_uniform_speckle_has_its_variance_and_its_bounds() -> None:
    x = np.full((400, 400), 100.0)
    n = add_speckle(x, 0.12, distribution="uniform", seed=3) / 100 - 1
    assert n.mean() == pytest.approx(0, abs=0.005) and n.var() == pytest.approx(0.12, rel=0.02)
    assert 0.59 < n.max() <= 0.6 and -0.6 <= n.min() < -0.59  # sqrt(3 v)
    with pytest.raises(ValueError, match="gaussian or uniform"):
        add_speckle(x, 0.1, distribution="normal")  # type: ignore[arg-type]


MODELS = [(add_gaussian, 25), (add_poisson, 30), (add_speckle, 0.1)]


@pytest.mark.parametrize(
    ("noisy", "deviation"),
    [
        (add_gaussian(FLAT, 25), 25),
        (add_poisson(FLAT, 30), 255 / 30 * np.sqrt(120 / 255 * 30)),
        (add_poisson(FLAT, 1000, white=120), 120 / np.sqrt(1000)),
        (add_speckle(FLAT, 0.1), 120 * np.sqrt(0.1)),
    ],
)
def test_mean_and_deviation(noisy, deviation):
    assert noisy.dtype == np.float32
    assert noisy.mean() == pytest.approx(120, abs=4 * deviation / 300)
    assert noisy.std() == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize(("model", "amount"), MODELS)
def test_seeds(model, amount):
    np.random.seed(5)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = model(FLAT, amount, seed=3)
    np.testing.assert_array_equal(first, model(FLAT, amount, seed=3))
    assert not np.array_equal(first, model(FLAT, amount, seed=4))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize(("model", "amount"), MODELS)
def test_clip_and_the_kind_of_input(model, amount):
    noisy = model(FLAT, amount, clip=(100, 140))
    assert (noisy.min(), noisy.max()) == (100, 140)
    assert model(FLAT, amount).max() > 140 and (FLAT == 120).all()
    image = Image(FLAT[None], "ZYX", scale=(0.3, 0.1, 0.1), units=("um",) * 3)
    out = model(image, amount)
    assert isinstance(out, Image) and (out.axes, out.scale, out.units) == (
        "ZYX",
        image.scale,
        image.units,
    )
    np.testing.assert_array_equal(np.asarray(out.pixels)[0], model(FLAT, amount))


def test_none_at_all_changes_nothing():
    np.testing.assert_array_equal(add_gaussian(FLAT, 0), FLAT)
    np.testing.assert_array_equal(add_speckle(FLAT, 0), FLAT)
    np.testing.assert_array_equal(add_poisson(np.zeros((4, 5)), 10), np.zeros((4, 5)))


def test_what_is_refused():
    with pytest.raises(ValueError, match="sigma must be at least 0"):
        add_gaussian(FLAT, -1)
    with pytest.raises(ValueError, match="peak must be positive"):
        add_poisson(FLAT, 0)
    with pytest.raises(ValueError, match="white must be positive"):
        add_poisson(FLAT, 1, white=0)
    with pytest.raises(ValueError, match="from 0 up, not -3"):
        add_poisson(FLAT - 123.0, 10)
    with pytest.raises(ValueError, match="variance must be at least 0 and finite"):
        add_speckle(FLAT, float("nan"))


def test_residual_of_white_noise():
    noisy = add_gaussian(FLAT, 10)
    found = residual_check(noisy, FLAT - 2.0)
    assert found["mean"] == pytest.approx(2, abs=0.2) and found["std"] == pytest.approx(
        10, rel=0.02
    )
    assert abs(found["autocorrelation_x"]) < 0.02 and abs(found["autocorrelation_y"]) < 0.02


def test_residual_tells_the_directions_apart():
    rows = np.random.default_rng(0).normal(size=(200, 1)) * np.ones((1, 200))
    found = residual_check(rows, np.zeros_like(rows))
    assert found["autocorrelation_x"] == pytest.approx(1) and abs(found["autocorrelation_y"]) < 0.2
    assert residual_check(Image(rows, "XY"), Image(0 * rows, "XY"))[
        "autocorrelation_y"
    ] == pytest.approx(1)


def test_residual_of_next_to_nothing():
    assert residual_check(np.ones((1, 1)), np.zeros((1, 1))) == {
        "mean": 1,
        "std": 0,
        "autocorrelation_x": 0,
        "autocorrelation_y": 0,
    }
    with pytest.raises(ValueError, match="one shape"):
        residual_check(np.ones((2, 2)), np.ones((2, 3)))


def test_missing_pixels_are_left_out_of_the_residual() -> None:
    noisy = np.array([[4.0, np.nan, 6.0], [np.inf, 4.0, 6.0]])
    found = residual_check(noisy, np.full((2, 3), 3.0))
    assert found["mean"] == pytest.approx(2) and found["std"] == pytest.approx(1)
    assert all(np.isfinite(value) for value in found.values())
