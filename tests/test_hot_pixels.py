"""Hot and dead pixels: found among noise and structure, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, special

from napari_dip import (
    DIP,
    N2V,
    BlindSpot,
    Image,
    Inpaint,
    PatchDIP,
    denoise,
    iter_denoise,
    iter_inpaint,
    last,
    psnr,
    read,
    train,
)
from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.noise.anscombe import FLAT, is_flat
from napari_dip.noise.hot_pixels import (
    _median_of_nine,
    _order,
    find_hot_pixels,
    find_hot_pixels_of_stack,
    replace_hot_pixels,
)
from napari_dip.planes.image_statistics import measure_image
from napari_dip.restore.missing_pixels import find_missing_pixels

QUICK = BlindSpot(steps=3, channels=4, crop=16)
SEEDS = range(20, 24)  # none that a constant was chosen on


def cells(size: int, seed: int) -> np.ndarray:
    """Smooth cells, filaments and puncta, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    image = np.zeros((size, size))
    for _ in range(6):
        cy, cx, radius = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(8, 18)
        distance = np.hypot(y - cy, (x - cx) * rng.uniform(0.7, 1.4))
        image += rng.uniform(0.2, 0.6) / (1 + np.exp((distance - radius) / 1.2))
    for _ in range(8):
        cy, cx, angle = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0, np.pi)
        across = (x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        image += 0.5 * np.exp(-((across + 4 * np.sin((x + y) / 17 + angle)) ** 2) / 2.4)
    for cy, cx in rng.uniform(3, size - 3, (25, 2)):
        image += 0.6 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2.9)
    return image / image.max()


def spots(size: int, sigma: float, heights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Spots of light, integrated over pixels; heights are those of a spot centred in a pixel."""
    image, edges = np.zeros((size, size)), np.arange(size + 1) - 0.5
    highest = special.erf(0.5 / sigma / np.sqrt(2)) ** 2
    for height, (cy, cx) in zip(heights, rng.uniform(4, size - 5, (heights.size, 2)), strict=True):
        across = np.diff(special.ndtr((edges - cx) / sigma))
        image += height / highest * np.outer(np.diff(special.ndtr((edges - cy) / sigma)), across)
    return image


def find(image: np.ndarray) -> np.ndarray:
    return find_hot_pixels(image[None].astype(np.float64))[0]


@pytest.mark.parametrize("share", [0.001, 0.005, 0.015, 0.03])
def test_hot_pixels_of_different_amounts_are_found(share: float) -> None:
    clear = missed = strong = strong_missed = false = reported = 0
    for seed in SEEDS:
        rng, clean = np.random.default_rng(seed), 100 + 50 * cells(256, seed)
        hot = rng.random(clean.shape) < share
        amount = np.where(hot, rng.exponential(400, clean.shape), 0)
        found = find(rng.poisson(clean) + np.rint(amount))
        far = amount / np.sqrt(clean)
        clear, missed = clear + np.sum(far > 6), missed + np.sum((far > 6) & ~found)
        strong += np.sum(far > 10)
        strong_missed += np.sum((far > 10) & ~found)
        false, reported = false + np.sum(found & ~hot), reported + found.sum()
    assert missed < 0.09 * clear
    assert strong_missed < 0.04 * strong
    assert false <= 2 + 0.002 * reported


@pytest.mark.parametrize("amount", [300, 1500])
def test_hot_pixels_in_the_dark_of_bright_images_are_found(amount: int) -> None:
    for seed in SEEDS:
        rng, clean = np.random.default_rng(seed), 20 + 2000 * cells(256, seed)
        hot = rng.random(clean.shape) < 0.01
        dark = hot & (ndimage.maximum_filter(clean, 5) < 100)
        found = find(rng.poisson(clean) + amount * hot)
        assert dark.sum() > 100
        assert np.sum(dark & found) > 0.97 * dark.sum()
        assert np.sum(found & ~hot) <= 1


def test_dead_pixels_are_found() -> None:
    for seed in SEEDS:
        rng, clean = np.random.default_rng(seed), 100 + 200 * cells(256, seed)
        dead = rng.random(clean.shape) < 0.01
        found = find(np.where(dead, 0, rng.poisson(clean)))
        assert np.sum(found & dead) > 0.95 * dead.sum()
        assert not np.any(found & ~dead)


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (1, 1)])
def test_pairs_of_hot_pixels_are_found(step: tuple[int, int]) -> None:
    image = np.random.default_rng(0).poisson(100, (128, 128)) + 0.0
    hot = np.zeros(image.shape, dtype=bool)
    hot[4:120:8, 4:120:8] = True
    hot |= np.roll(hot, step, (0, 1))
    image += np.random.default_rng(1).uniform(300, 3000, image.shape) * hot
    fixed, count = replace_hot_pixels(image[None])
    assert count >= 0.98 * hot.sum()
    assert fixed[0][find(image)].max() < 140  # neither is replaced by the other


@pytest.mark.parametrize("sigma", [0.4, 0.5, 0.7, 1.0, 1.5])
def test_spots_of_light_are_no_hot_pixels(sigma: float) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        heights = np.exp(rng.uniform(np.log(300), np.log(5000), 150))
        plane = rng.poisson(20 + spots(256, sigma, heights, rng)).astype(np.float64)[None]
        same, count = replace_hot_pixels(plane)
        assert count == 0
        assert same is plane


@pytest.mark.parametrize("mean", [0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 300.0, 1e4])
def test_photons_are_no_hot_pixels(mean: float) -> None:
    image = np.random.default_rng(20).poisson(mean, (2048, 2048))
    assert find(image).sum() <= 2


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_correlated_noise_has_no_hot_pixels(width: float) -> None:
    rng = np.random.default_rng(20)
    noise = ndimage.gaussian_filter(rng.normal(size=(512, 512)), width)
    assert find(100 + 50 * noise / noise.std()).sum() <= 1


def test_pulses_of_a_photomultiplier_are_no_hot_pixels() -> None:
    rng = np.random.default_rng(20)
    pulses = rng.gamma(np.maximum(rng.poisson(0.3, (1024, 1024)), 1e-9), 12)
    assert find(3 + np.rint(pulses)).sum() <= 3


def drawn() -> dict[str, np.ndarray]:
    """Pictures without noise, and with structure as fine as a pixel."""
    y, x = np.mgrid[:128, :128]
    labels = (y // 16) * 8 + x // 16
    labels[[40, 50, 77], [33, 60, 101]] = 1000  # of one pixel
    saturated = np.random.default_rng(0).poisson(20, (128, 128))
    saturated[30:70, 30:70] = 255
    rng = np.random.default_rng(1)
    grid = 50.0 + 500 * ((x % 8 == 0) | (y % 8 == 0) | ((x + y) % 32 == 0))
    edge = np.where(np.hypot(y - 64, x - 64) < 40, 5000.0, 50.0)
    return {
        "labels": labels,
        "flat": np.full((128, 128), 7),
        "saturated": saturated,
        "thin lines": rng.poisson(grid),
        "edge": rng.poisson(edge),
        "texture": rng.poisson(100 * rng.gamma(1, 1, (128, 128))),
        "checkerboard": rng.poisson(100 + 400 * ((x + y) % 2)),
        **{str(shape): np.full(shape, 5) for shape in ((3, 3), (1, 40), (40, 1), (2, 90))},
    }


@pytest.mark.parametrize("name", drawn())
def test_structure_is_no_hot_pixel(name: str) -> None:
    assert not find(drawn()[name]).any()


@pytest.mark.parametrize("shape", [(3, 3), (1, 9), (9, 1), (2, 2), (1, 1)])
def test_images_too_small_to_tell_are_left_as_they_are(shape: tuple[int, int]) -> None:
    plane = np.ones((1, *shape))
    plane[0, 0, 0] = 1e5
    assert replace_hot_pixels(plane)[0] is plane


def test_hot_pixels_that_are_given_are_replaced_by_good_neighbours() -> None:
    plane = np.arange(49.0).reshape(1, 7, 7)
    hot = np.zeros(plane.shape, dtype=bool)
    hot[0, 1:6, 1:6] = True  # no neighbour of the one in the middle is good
    fixed, count = replace_hot_pixels(np.where(hot, 1e4, plane), hot)
    assert count == 25
    assert fixed.max() < 49
    assert fixed[0, 3, 3] == 24


def test_planes_of_a_stack_share_their_hot_pixels_but_not_their_spots() -> None:
    alone = together = faint = 0
    for seed in SEEDS:
        rng, clean = np.random.default_rng(seed), 100 + 50 * cells(128, seed)
        hot = rng.random(clean.shape) < 0.005
        amount = np.where(hot, rng.exponential(100, clean.shape), 0)
        points = [spots(128, 0.25, np.full(5, 1000.0), rng) for _ in range(8)]
        planes = [rng.poisson(clean + amount + one)[None].astype(float) for one in points]
        found = find_hot_pixels_of_stack(planes)[0]
        assert np.sum(found & ~hot) <= 1  # though each plane alone has some of 5 points
        far = (amount > 3 * np.sqrt(clean)) & (amount < 6 * np.sqrt(clean))
        faint += far.sum()
        together += np.sum(found & far)
        alone += np.sum(find(planes[0][0]) & far)
    assert alone < 0.2 * faint
    assert together > 0.7 * faint


@pytest.mark.parametrize("axes", ["TYX", "CTYX"])
def test_stacks_of_single_photons_keep_them_and_lose_what_is_hot(axes: str) -> None:
    for seed in SEEDS[:2]:
        rng = np.random.default_rng(seed)
        events = rng.gamma(np.maximum(rng.poisson(0.01, (6, 128, 128)), 1e-9), 60)
        stack = rng.normal(100, 1, events.shape) + events
        stack = stack[None] if axes == "CTYX" else stack
        assert find(stack[..., 0, :, :].reshape(128, 128)).sum() > 100  # one cannot know
        assert measure_image(Image(stack, axes), stabilise=True).hot_pixels == 0
        stack[..., 30, 40] += 20
        stats = measure_image(Image(stack, axes), stabilise=True)
        assert stats.shared_hot_pixels == ((30 * 128 + 40,),)
        assert stats.hot_pixels == 6
        answer = denoise(stack, QUICK, axes=axes, device="cpu")
        assert np.all(answer[..., 30, 40] < 110)


@pytest.mark.parametrize("value", [0.0, 60000.0])
def test_hot_and_dead_pixels_are_repaired_and_said(value: float) -> None:
    rng = np.random.default_rng(3)
    rough = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 3)
    clean = 1005 + 45 * (rough - rough.min()) / np.ptp(rough)
    noisy = 1000 + rng.poisson(clean - 1000).astype(np.float64)
    spoilt = noisy.copy()
    spoilt[[5, 5, 30, 63], [7, 8, 40, 0]] = value  # two of them side by side, one in a corner
    first = next(iter_denoise(spoilt, QUICK, device="cpu"))
    assert first.note.startswith("4 hot or dead pixels are replaced")
    assert first.provenance["hot_pixels"] == 4
    assert (
        psnr(clean, np.asarray(first.image), data_range=50) > psnr(clean, noisy, data_range=50) + 4
    )


def test_real_images_have_next_to_no_hot_pixels(data_dir: Path) -> None:
    files = [
        *sorted((data_dir / "fmd_confocal_fov01").glob("*_raw.tif")),
        *sorted((data_dir / "fmd_test_mix").glob("*_raw.png")),
        *sorted((data_dir / "w2s_widefield_8bit").glob("input_*.tif")),
    ]
    assert files
    for path in files:
        assert replace_hot_pixels(next(read(path).planes()))[1] <= 6, path.name


def test_hot_pixels_put_into_a_real_image_are_found(data_dir: Path) -> None:
    for name in ("BPAE_B", "BPAE_R", "mice"):
        image = next(read(data_dir / f"fmd_confocal_fov01/{name}_raw.tif").planes())[0]
        rng = np.random.default_rng(20)
        hot = rng.random(image.shape) < 0.005
        found = find(np.where(hot, image + rng.uniform(100, 200, image.shape), image))
        assert np.sum(found & hot) > 0.9 * hot.sum(), name
        assert np.sum(found & ~hot) <= 8, name


@pytest.mark.parametrize("share", [0.005, 0.015, 0.03])
def test_an_image_of_a_warm_camera_is_denoised(share: float) -> None:
    for seed in SEEDS[:2]:
        rng, clean = np.random.default_rng(seed), 100 + 50 * cells(96, seed)
        noisy = rng.poisson(clean).astype(np.float64)
        hot = rng.random(clean.shape) < share
        noisy[hot] += np.rint(rng.exponential(400, hot.sum()))
        answer = denoise(noisy, BlindSpot(steps=150, channels=16), device="cpu")
        simple = ndimage.median_filter(noisy, 3)
        blurs = [ndimage.gaussian_filter(simple, sigma) for sigma in (0.5, 0.7, 1.0, 1.4)]
        best = max(psnr(clean, blur, data_range=50) for blur in blurs)
        assert psnr(clean, answer, data_range=50) > best + 0.1
        assert abs(np.mean((answer - clean)[hot])) < 4  # of 400


FITS = {
    "blind-spot": lambda image, keep: iter_denoise(image, QUICK.model_copy(update=keep)),
    "dip": lambda image, keep: iter_denoise(image, DIP(steps=2, channels=4, scales=2, **keep)),
    "patchdip": lambda image, keep: iter_denoise(image, PatchDIP(steps=2, channels=4, **keep)),
    "inpaint": lambda image, keep: iter_inpaint(
        image, image == image[9, 9], Inpaint(steps=2, channels=4, **keep), keep_known=False
    ),
}


@pytest.mark.parametrize("method", FITS)
def test_hot_pixels_are_kept_where_asked(method: str) -> None:
    image = np.random.default_rng(0).normal(100, 5, (64, 64))
    image[20, 30] = 1000
    replaced, kept = (
        next(iter(FITS[method](image, keep))) for keep in ({}, {"hot_pixels": "keep"})
    )
    assert replaced.provenance["hot_pixels"] == 1
    assert kept.provenance["hot_pixels"] == 0
    assert "hot" in replaced.note
    assert "hot" not in kept.note


def test_hot_pixels_that_are_kept_are_not_missing() -> None:
    image = np.random.default_rng(0).normal(100, 5, (64, 64))
    image[20, 30], image[7, 7] = 1000, np.nan
    assert find_missing_pixels(Image(image)).count == 2
    assert find_missing_pixels(Image(image), keep_hot_pixels=True).count == 1


@pytest.mark.parametrize("keep", [True, False])
def test_hot_pixels_are_kept_in_training_where_asked(keep: bool) -> None:
    image = np.random.default_rng(0).normal(100, 5, (64, 64))
    image[20, 30] = 1000
    data = build_dataset(image, keep_hot_pixels=keep)
    assert (data.planes[0].middle(data.cache).max() == 1000) == keep
    how = N2V(steps=2, channels=4, depth=1, crop=32, start="zero", hot_pixels="keep")
    how = how if keep else how.model_copy(update={"hot_pixels": "auto"})
    model = train(image, how=how, device="cpu")
    final = last(iter_denoise(image, model, device="cpu"))
    assert final.provenance["hot_pixels"] == (0 if keep else 1)


@pytest.mark.parametrize("shape", [(3, 3), (3, 50), (70, 41), (300, 280)])
def test_the_quick_median_and_the_quick_look_for_flat_squares_change_nothing(
    shape: tuple[int, int],
) -> None:
    image = np.random.default_rng(0).poisson(3, shape).astype(float)
    median = ndimage.median_filter(image, 3, mode="mirror")
    assert np.array_equal(_median_of_nine(image), median)
    for values in (median, median / 7):  # whole numbers are sorted otherwise
        assert np.array_equal(_order(values), np.argsort(values, axis=None, kind="stable"))
    image[shape[0] // 2 :, : shape[1] // 2] = 5  # flat up to a corner
    for one in (image, median):
        flat = ndimage.maximum_filter(one, FLAT) == ndimage.minimum_filter(one, FLAT)
        assert np.array_equal(is_flat(one), flat)
