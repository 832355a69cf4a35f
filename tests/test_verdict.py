"""The verdict flags what was planted into an answer, and nothing on a good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_dip import Image
from napari_dip.noise.measure import measure_noise
from napari_dip.noise.measured_noise import MeasuredNoise
from napari_dip.noise.verdict import GOOD, join_verdicts, judge
from napari_dip.planes.judge_image import judge_image

SEEDS = range(3)
SIGMA = 0.15


def cells(seed: int, side: int = 192) -> np.ndarray:
    """Return blobs with spots on them, about 0 to 2, as cells with vesicles."""
    rng = np.random.default_rng(seed)
    blobs = np.maximum(gaussian_filter(rng.normal(size=(side, side)), 8) * 28, 0)
    spots = gaussian_filter((rng.random((side, side)) < 0.004).astype(float), 1.5) * 14
    return blobs + spots + 0.2


def good(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Return an answer that keeps the coarse part of the noise, as every denoiser must."""
    return clean + 0.7 * gaussian_filter(noisy - clean, 2.5)


def gaussian(seed: int) -> tuple[np.ndarray, np.ndarray]:
    clean = cells(seed)
    return clean, clean + SIGMA * np.random.default_rng(100 + seed).normal(size=clean.shape)


def photons(seed: int) -> tuple[np.ndarray, np.ndarray]:
    clean = cells(seed)
    return clean, np.random.default_rng(100 + seed).poisson(clean * 20) / 20


def correlated(seed: int) -> tuple[np.ndarray, np.ndarray]:
    clean = cells(seed)
    noise = gaussian_filter(np.random.default_rng(100 + seed).normal(size=clean.shape), 0.7)
    return clean, clean + SIGMA * noise / noise.std()


def noise_of(clean: np.ndarray, noisy: np.ndarray) -> MeasuredNoise:
    """Return the noise, measured without the image in its way."""
    return measure_noise([noisy - clean + clean.mean()])


def noise_of_counts(clean: np.ndarray, noisy: np.ndarray) -> MeasuredNoise:
    """Return the noise of photons counted, whose variance is their mean."""
    levels = tuple(np.linspace(0, clean.max(), 9).tolist())
    known = {"levels": levels, "variances": levels, "errors": (0.01,) * 9, "local": None}
    return replace(measure_noise([noisy]), **known)


def spots(shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(200 + seed)
    image = np.zeros(shape)
    image[tuple(rng.integers(8, shape[0] - 8, (2, 4)))] = 1
    return gaussian_filter(image, 1.5) * 2 * np.pi * 1.5**2


def texture(shape: tuple[int, ...], seed: int) -> np.ndarray:
    image = gaussian_filter(np.random.default_rng(300 + seed).normal(size=shape), 1)
    return image / image.std()


@pytest.mark.parametrize("scene", [gaussian, photons])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_good_answer_is_not_flagged(scene: Callable[[int], tuple], seed: int) -> None:
    clean, noisy = scene(seed)
    verdict = judge(noisy, good(clean, noisy), measure_noise([noisy]))
    assert verdict.flagged == ()
    assert verdict.sentence == GOOD
    assert verdict.noise_left < 0.1
    assert verdict.scale == pytest.approx(1, abs=0.02)
    assert verdict.coarseness < 3 * verdict.errors["coarseness"]


@pytest.mark.parametrize("photons", [0.1, 0.5, 2])
def test_the_truth_is_not_flagged_for_its_few_photons(photons: float) -> None:
    """Pixels without any photon are no padding, and without them the dark is too bright."""
    for seed in SEEDS:
        clean = photons * cells(seed, 320)
        noisy = np.random.default_rng(100 + seed).poisson(clean).astype(float)
        assert "structure_added" not in judge(noisy, clean, noise_of_counts(clean, noisy)).flagged


def test_a_large_image_is_judged_as_mildly_as_a_small_one() -> None:
    """The highest of sixteen times as many places is higher, by chance alone."""
    flagged = 0
    for seed in range(5):
        clean = cells(seed, 1024)
        noisy = clean + SIGMA * np.random.default_rng(100 + seed).normal(size=clean.shape)
        noise = noise_of(clean[:256, :256], noisy[:256, :256])
        flagged += bool(judge(noisy, clean, noise).flagged)
    assert flagged <= 1
    added = clean + 3 * SIGMA * spots(clean.shape, seed)
    assert "structure_added" in judge(noisy, added, noise).flagged


FAILURES = {
    "blur": ("structure_left", lambda a, y, seed: gaussian_filter(a, 2)),
    "blur of the noisy image": ("structure_left", lambda a, y, seed: gaussian_filter(y, 3)),
    "erased": ("structure_left", lambda a, y, seed: a - 3 * SIGMA * spots(a.shape, seed)),
    "residual mixed in": ("noise_left", lambda a, y, seed: a + 0.3 * (y - a)),
    "nothing done": ("noise_left", lambda a, y, seed: y),
    "dim": ("brightness", lambda a, y, seed: 0.95 * a),
    "bright": ("brightness", lambda a, y, seed: 1.05 * a),
    "offset": ("brightness", lambda a, y, seed: a + 0.1 * SIGMA),
    "clipped": ("brightness", lambda a, y, seed: np.maximum(a, np.quantile(a, 0.4) + 0.5 * SIGMA)),
    "made up": ("structure_added", lambda a, y, seed: a + 3 * SIGMA * spots(a.shape, seed)),
    "texture": ("structure_added", lambda a, y, seed: a + 0.5 * SIGMA * texture(a.shape, seed)),
    "ringing": (
        "structure_added",
        lambda a, y, seed: a + gaussian_filter(a, 1) - gaussian_filter(a, 3),
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_planted_failure_is_named(failure: str) -> None:
    name, plant = FAILURES[failure]
    for seed in SEEDS:
        clean, noisy = gaussian(seed)
        answer = plant(good(clean, noisy), noisy, seed)
        verdict = judge(noisy, answer, measure_noise([noisy]))
        assert name in verdict.flagged
        assert verdict.sentence != GOOD


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_noise_left_is_the_share_weighed_back_in(share: float) -> None:
    clean, noisy = gaussian(0)
    answer = (1 - share) * good(clean, noisy) + share * noisy
    verdict = judge(noisy, answer, measure_noise([noisy]))
    assert verdict.noise_left == pytest.approx(share, abs=0.05)


def test_structure_is_no_noise_left_where_noise_is_weak() -> None:
    for seed in SEEDS:
        clean = cells(seed)
        noise = SIGMA / 40 * np.random.default_rng(100 + seed).normal(size=clean.shape)
        known = noise_of(clean, clean + noise)
        assert "noise_left" not in judge(clean + noise, clean, known).flagged
        kept = judge(clean + noise, clean + 0.3 * noise, known)
        assert "noise_left" in kept.flagged
        assert kept.noise_left == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_scale_and_sign_of_brightness(factor: float) -> None:
    clean, noisy = gaussian(1)
    verdict = judge(noisy, factor * good(clean, noisy), measure_noise([noisy]))
    assert verdict.scale == pytest.approx(1 / factor, abs=0.03)
    assert np.sign(verdict.brightness) == np.sign(1 - factor)
    assert ("too dark" if factor < 1 else "too bright") in verdict.sentence


def test_the_strength_of_texture_made_up_is_told() -> None:
    clean, noisy = gaussian(2)
    strengths = [
        judge(noisy, clean + k * SIGMA * texture(clean.shape, 0), measure_noise([noisy]))
        for k in (0.5, 1)
    ]
    one, two = (verdict.detail_added for verdict in strengths)
    assert two > 1.3 * one > 1.3 * 10 * strengths[0].errors["detail_added"]


@pytest.mark.parametrize("seed", SEEDS)
def test_correlated_noise_is_no_structure(seed: int) -> None:
    clean, noisy = correlated(seed)
    known = noise_of(clean, noisy)
    assert known.is_correlated
    answer = good(clean, noisy)
    assert judge(noisy, answer, known).flagged == ()
    independent = noise_of(*gaussian(seed))
    alone = judge(noisy, answer, independent)  # the same noise, taken for independent
    assert {"structure_left", "structure_added"} & set(alone.flagged)
    blurred = judge(noisy, gaussian_filter(answer, 4), known)
    assert "structure_left" in blurred.flagged


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_do_not_matter(unit: float) -> None:
    clean, noisy = gaussian(2)
    one, two = (
        judge(k * noisy, k * good(clean, noisy), measure_noise([k * noisy])) for k in (1, unit)
    )
    assert two.flagged == one.flagged
    assert two.place_added == pytest.approx(one.place_added, rel=0.01)
    assert two.detail_left == pytest.approx(one.detail_left, rel=0.01)


def test_the_worst_decides_and_one_odd_plane_is_not_enough() -> None:
    clean, noisy = gaussian(0)
    noise, answer = measure_noise([noisy]), good(clean, noisy)
    fine, bad = (judge(noisy, a, noise) for a in (answer, 0.5 * (answer + noisy)))
    both = join_verdicts([fine, bad])
    assert both.flagged == ("noise_left",)
    assert both.noise_left == bad.noise_left
    assert join_verdicts([fine, fine, fine, bad], share=0.25).flagged == ()
    assert join_verdicts([fine, bad, fine, bad], share=0.25).flagged == ("noise_left",)
    assert both.to_json()["flagged"] == ["noise_left"]


def test_too_little_to_judge() -> None:
    _, noisy = gaussian(0)
    noise = measure_noise([noisy])
    assert judge(noisy[:32], noisy[:32], noise) is None
    assert judge(noisy, noisy, measure_noise([np.zeros((99, 99))])) is None


def test_two_shapes_are_refused() -> None:
    clean, noisy = gaussian(0)
    with pytest.raises(ValueError, match="one shape"):
        judge(noisy, clean[1:], measure_noise([noisy]))


def with_noise(answer: np.ndarray, noisy: np.ndarray, axes: str) -> Image:
    """Return an answer with the noise in its provenance, one of each channel."""
    channels = noisy if "C" in axes else [noisy]
    noises = [measure_noise(list(y.reshape(-1, *y.shape[-2:]))).to_json() for y in channels]
    return Image(answer, axes, provenance={"measured_noise": noises if noises[1:] else noises[0]})


def test_an_image_is_judged_with_the_noise_of_its_provenance() -> None:
    clean, noisy = gaussian(0)
    answer, image = good(clean, noisy), Image(noisy, "YX")
    assert judge_image(image, with_noise(answer, noisy, "YX")).flagged == ()
    mixed = judge_image(image, with_noise(0.6 * answer + 0.4 * noisy, noisy, "YX"))
    assert mixed.flagged == ("noise_left",)
    assert judge_image(image, Image(answer, "YX")) is None  # nothing says what its noise is
    assert judge_image(image, with_noise(noisy, noisy, "YX")) is None  # left as it was


def test_each_channel_is_judged_with_its_own_noise() -> None:
    pairs = [gaussian(0), photons(1)]
    noisy = np.stack([100 * y + 30_000 if k else y for k, (_, y) in enumerate(pairs)])
    answer = np.stack([good(pairs[0][0], noisy[0]), 100 * good(*pairs[1]) + 30_000])
    image = Image(noisy, "CYX")
    assert judge_image(image, with_noise(answer, noisy, "CYX")).flagged == ()
    answer[1] = 0.5 * (answer[1] + noisy[1])
    assert judge_image(image, with_noise(answer, noisy, "CYX")).flagged == ("noise_left",)


@pytest.mark.parametrize(("bad", "flagged"), [(1, ()), (2, ("noise_left",))])
def test_one_odd_plane_of_a_stack_is_no_fault(bad: int, flagged: tuple[str, ...]) -> None:
    pairs = [gaussian(seed) for seed in range(4)]
    noisy = np.stack([y for _, y in pairs])
    answer = np.stack([good(x, y) for x, y in pairs])
    answer[:bad] = 0.5 * (answer[:bad] + noisy[:bad])
    verdict = judge_image(Image(noisy, "ZYX"), with_noise(answer, noisy, "ZYX"))
    assert verdict.flagged == flagged
    assert verdict.noise_left > 0.4  # the worst is told all the same
