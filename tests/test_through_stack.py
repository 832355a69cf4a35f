"""A plane may start from the network of the one before: in fewer steps, as well, and guarded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import BlindSpot, iter_denoise, last, psnr
from napari_dip.engine.restarts import APART
from napari_dip.snapshot import Snapshot

# What neighbours add is tested in test_neighbours.py.
HOW = BlindSpot(steps=160, channels=8, layers=2, crop=16, batch=2, learning_rate=0.02, neighbours=0)
SHORT = HOW.warm_steps
BRIEF = HOW.model_copy(update={"steps": 60})  # where quality does not matter


def noisy_volume(planes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Membranes that move slowly along Z, in [20, 220], of gain 4, as (noisy, clean)."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(planes, 48, 48)), (3, 4, 4))
    clean = 20 + 200 * np.exp(-((field / field.std() / 0.25) ** 2))
    return (4.0 * rng.poisson(clean / 4)).astype(np.float32), clean.astype(np.float32)


def finish(noisy: np.ndarray, how: BlindSpot = HOW, axes: str = "ZYX") -> Snapshot:
    return last(iter_denoise(noisy, how, axes=axes, device="cpu"))


def pixels(snapshot: Snapshot) -> np.ndarray:
    return np.asarray(snapshot.image.pixels)


def rms(image: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image - other) ** 2)))


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    return noisy_volume()


@pytest.fixture(scope="module")
def warm(scene: tuple[np.ndarray, np.ndarray]) -> Snapshot:
    return finish(scene[0])


@pytest.fixture(scope="module")
def apart(scene: tuple[np.ndarray, np.ndarray]) -> Snapshot:
    return finish(scene[0], HOW.model_copy(update={"through_stack": "apart"}))


def test_fewer_steps_for_an_answer_as_good(
    scene: tuple[np.ndarray, np.ndarray], warm: Snapshot, apart: Snapshot
) -> None:
    noisy, clean = scene
    assert warm.image.provenance["steps_planned"] == [160, SHORT, SHORT, SHORT]
    assert apart.image.provenance["steps_planned"] == [160] * 4
    assert warm.total == 160 + 3 * SHORT < apart.total / 2
    scores = {
        name: psnr(clean, pixels(s), data_range=200)
        for name, s in (("warm", warm), ("apart", apart))
    }
    assert scores["warm"] > scores["apart"] - 0.3
    assert scores["warm"] > psnr(clean, noisy, data_range=200) + 3


def test_the_first_plane_is_fitted_by_itself(warm: Snapshot, apart: Snapshot) -> None:
    assert np.array_equal(pixels(warm)[0], pixels(apart)[0])
    assert not np.array_equal(pixels(warm)[1], pixels(apart)[1])


def test_the_order_of_planes_changes_no_more_than_the_seed(
    scene: tuple[np.ndarray, np.ndarray], warm: Snapshot
) -> None:
    noisy, clean = scene
    other = HOW.model_copy(update={"seed": 1})
    forwards = [pixels(warm), pixels(finish(noisy, other))]
    backwards = [pixels(finish(noisy[::-1], how))[::-1] for how in (HOW, other)]
    by_order = np.mean([rms(f, b) for f, b in zip(forwards, backwards, strict=True)])
    by_seed = np.mean([rms(*forwards), rms(*backwards)])
    assert by_order < 1.4 * by_seed  # 1.1 of so short a fit
    scores = [
        np.mean([psnr(clean, image, data_range=200) for image in images])
        for images in (forwards, backwards)
    ]
    assert abs(scores[0] - scores[1]) < 0.6


def test_same_seed_same_pixels_through_a_stack(scene: tuple[np.ndarray, np.ndarray]) -> None:
    noisy = scene[0][:2]
    assert np.array_equal(pixels(finish(noisy, BRIEF)), pixels(finish(noisy, BRIEF)))


def test_a_plane_of_another_kind_starts_afresh_and_the_total_follows() -> None:
    smooth, _ = noisy_volume(1)
    stripes = (
        np.random.default_rng(1).poisson(
            np.tile(30 - 25 * np.cos(np.arange(48) * np.pi / 4), (48, 1))
        )[None]
        * 4
    )
    snapshots = list(iter_denoise(np.concatenate([smooth, stripes]), HOW, axes="ZYX", device="cpu"))
    assert snapshots[-1].image.provenance["steps_planned"] == [160, 160]
    assert snapshots[0].total == 160 + SHORT
    assert snapshots[-1].total == 320
    steps = [s.step for s in snapshots]
    assert steps == sorted(set(steps))
    assert all(s.chosen <= s.step <= s.total for s in snapshots)


def test_channels_do_not_mix(scene: tuple[np.ndarray, np.ndarray]) -> None:
    both = np.stack([scene[0][:2], 300 - scene[0][:2]], axis=1)
    final = finish(both, BRIEF, axes="ZCYX")
    assert final.image.provenance["steps_planned"] == [60, 60, SHORT, SHORT]
    for channel in range(2):  # each as if it were alone
        assert np.array_equal(pixels(final)[:, channel], pixels(finish(both[:, channel], BRIEF)))


def test_a_blank_plane_does_not_break_the_chain(scene: tuple[np.ndarray, np.ndarray]) -> None:
    noisy = scene[0][:2]
    final = finish(np.stack([noisy[0], np.full_like(noisy[0], 90), noisy[1]]))
    assert final.image.provenance["steps_planned"][2] == SHORT
    assert np.all(pixels(final)[1] == 90)


def test_restarts_each_have_a_network_of_their_own(scene: tuple[np.ndarray, np.ndarray]) -> None:
    noisy = scene[0][:2]
    final = finish(noisy, BRIEF.model_copy(update={"restarts": 2}))
    assert final.image.provenance["steps_planned"] == [60, SHORT]
    alone = [pixels(finish(noisy, BRIEF.model_copy(update={"seed": seed}))) for seed in (0, APART)]
    assert rms(pixels(final), np.mean(alone, axis=0)) < 0.1 * rms(
        *alone
    )  # the map back to intensities is curved


def test_short_fits_are_not_cut_shorter() -> None:
    assert [BlindSpot(steps=n).warm_steps for n in (1, 3, 50, 100, 800)] == [1, 3, 50, 50, 200]


def test_bright_pixels_of_an_unlike_plane_are_kept() -> None:
    """A network of a smooth plane, too sure of itself, would wipe away the few bright pixels."""
    y, x = np.mgrid[:48, :48]
    smooth = 400 * (1.2 + np.sin(x / 5) * np.cos(y / 7))
    bright = 40 + 400.0 * (np.random.default_rng(1).random((48, 48)) > 0.97)
    clean = np.stack([smooth, bright])
    noisy = np.random.default_rng(2).poisson(clean).astype(np.float32)
    how = BlindSpot(steps=40, layers=1, channels=8, hot_pixels="keep")
    answer = pixels(finish(noisy, how))
    assert rms(answer[1], clean[1]) < 2 * rms(noisy[1], clean[1])
    assert abs(answer[1].mean() - noisy[1].mean()) < 0.02 * noisy[1].mean()
