"""Planes of a stack help to predict each other where they do; where not, nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dip import BlindSpot, Image, iter_denoise, last, psnr
from napari_dip.api import iter_chunk
from napari_dip.nets.blind_spot import BlindSpotNet, best_mixture, ring_means
from napari_dip.nets.blind_spot_error import AnswerError
from napari_dip.nets.gaussian import mirror
from napari_dip.nets.neighbours import Judge, displacement, match, mix_with, mixable
from napari_dip.planes.chunk import Chunk
from napari_dip.planes.image_statistics import measure_image
from napari_dip.snapshot import Snapshot

HOW = BlindSpot(steps=60, channels=8, layers=2, crop=16, batch=2, learning_rate=0.01)
APART = HOW.model_copy(update={"through_stack": "apart"})
SIGMA = 10.0


def cells(seed: int, size: int = 64) -> np.ndarray:
    """Return lines of a few pixels' width, in [20, 220]."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 5)
    return 20 + 200 * np.exp(-((field / field.std() / 0.25) ** 2))


def blobs(seed: int, size: int = 64) -> np.ndarray:
    """Return soft blobs on an even background, in [20, 140]."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 4)
    return 20 + 60 * np.clip(field / field.std(), 0, 2)


def add_noise(clean: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
    return (clean + noise).astype(np.float32)


def finish(noisy: np.ndarray, how: BlindSpot = HOW, axes: str = "TYX") -> Snapshot:
    return last(iter_denoise(noisy, how, axes=axes, device="cpu"))


def pixels(snapshot: Snapshot) -> np.ndarray:
    return np.asarray(snapshot.image.pixels)


def used(snapshot: Snapshot) -> list[str]:
    return snapshot.image.provenance["neighbours_used"]  # type: ignore[return-value]


def test_the_network_is_blind_to_its_pixel_and_sees_all_of_the_others() -> None:
    torch.manual_seed(0)
    net = BlindSpotNet(1, channels=6, layers=2, visible=2).double()
    torch.nn.init.normal_(net.last.weight)
    image, others = torch.randn(1, 1, 12, 12).double(), torch.randn(1, 2, 12, 12).double()
    rings = ring_means(image)
    views = [image, rings[:, :1], rings, others]
    padded = torch.cat([mirror(view, net.reach) for view in views], dim=1).requires_grad_()
    net(padded)[0][0, 0, 6, 6].backward()
    assert padded.grad is not None
    middle = padded.grad[0, :, 6 + net.reach, 6 + net.reach]
    assert middle[0] == 0
    assert (middle[-2:] != 0).all()


def test_the_mixture_with_others_is_blind_to_its_pixel() -> None:
    x, other = torch.randn(1, 1, 24, 24).double(), torch.randn(1, 1, 24, 24).double()
    changed = x.clone()
    changed[..., 12, 12] += 3
    rings = ring_means(x)
    assert torch.allclose(rings[..., 12, 12], ring_means(changed)[..., 12, 12])
    # With rings that stay, the weights of the own prediction do as well, but for the pixel's part.
    views = [mixable(other, y, ring_means(y), (0, 0))[..., 12, 12] for y in (x, changed)]
    assert (views[0] - views[1]).abs().max() < 0.05


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (3, -5), (-7, 2)])
def test_a_displacement_and_bleaching_are_undone(rows: int, columns: int) -> None:
    clean = torch.tensor(cells(0, 96)[None]).float()
    moved = 0.7 * clean.roll((rows, columns), (1, 2)) + 15
    assert displacement(moved, clean) == (rows, columns)
    inner = (slice(None), slice(16, -16), slice(16, -16))
    assert (match(moved, clean).apply(moved) - clean)[inner].abs().max() < 0.15 * float(clean.std())


@pytest.mark.parametrize("seed", range(3))
def test_a_still_neighbour_helps_and_a_stranger_does_not(seed: int) -> None:
    noisy = [torch.tensor(add_noise(cells(s), n)[None]) for s, n in ((0, 1), (0, 2), (9, 3))]
    x, twin, stranger = ((y - noisy[0].mean()) / SIGMA for y in noisy)
    judge = Judge(x, (0, 0))
    assert judge.says(match(twin, x).apply(twin)) == "helps"
    assert judge.says(match(stranger, x).apply(stranger)) == "no help"
    assert not judge.shares_noise(match(twin, x).apply(twin), 1.0)
    assert judge.shares_noise(x)
    assert judge.shares_noise((x + twin) / 2, 1.0)  # interpolated


def test_a_mixture_shows_no_ghost_of_a_spot_that_the_image_has_not() -> None:
    spot = np.zeros((64, 64))
    spot[32, 32] = 1
    spot = 8 * SIGMA * ndimage.gaussian_filter(spot, 1.5) / ndimage.gaussian_filter(spot, 1.5).max()
    heights = []
    for seed in range(3):
        here, there = (add_noise(cells(0) + c, seed + n) for c, n in ((0, 10), (spot, 20)))
        x, other = (torch.tensor(image[None, None]) / SIGMA for image in (here, there))
        rings = ring_means(x)
        ghost = mix_with(x, rings, other, (0, 0)) - best_mixture(x, rings)
        without = mix_with(x, rings, other - torch.tensor(spot / SIGMA).float(), (0, 0))
        ghost = ghost - (without - best_mixture(x, rings))
        heights.append(float(ghost[0, 0, 32, 32]) * SIGMA / spot.max())
    assert abs(np.mean(heights)) < 0.05


@pytest.mark.parametrize("seed", range(2))
def test_neighbours_help_what_moves_slowly(seed: int) -> None:
    large = blobs(seed, 80)
    clean = np.stack([ndimage.shift(large, 0.5 * t, order=3)[8:-8, 8:-8] for t in range(4)])
    noisy = add_noise(clean, seed + 100)
    alone, helped = (
        finish(noisy, HOW.model_copy(update={"seed": seed, "neighbours": k})) for k in (0, 2)
    )
    scores = [psnr(clean, pixels(s), data_range=200) for s in (alone, helped)]
    assert scores[1] > scores[0] + 0.8
    nearest = ({"T+1", "T+2"}, {"T-1", "T+1"}, {"T-1", "T+1"}, {"T-2", "T-1"})
    assert all(near <= set(one.split()) for near, one in zip(nearest, used(helped), strict=True))
    assert "neighbours_used" not in alone.image.provenance


def test_across_a_cut_and_a_blank_frame_each_plane_takes_what_helps() -> None:
    clean = np.stack([cells(0)] * 3 + [cells(7)] * 3)
    noisy = add_noise(clean, 5)
    noisy[1] = np.nan  # left as it is; the plane after it has only the cut beside it
    answer = finish(noisy, HOW.model_copy(update={"neighbours": 1}))
    assert used(answer) == ["T+2", "", "", "T+1", "T-1 T+1", "T-2 T-1"]
    assert np.isnan(pixels(answer)[1]).all()


def test_the_sentence_comes_where_the_last_plane_is_blank_and_beside_others() -> None:
    noisy = add_noise(np.stack([cells(0)] * 3), 5)
    noisy[-1] = np.nan
    notes = [s.note for s in iter_denoise(noisy, HOW, axes="TYX", device="cpu")]
    assert "helped in 2 of 3 planes" in notes[-1]
    assert "Planes left as they are" in notes[0]


def test_a_stack_of_few_pixels_is_denoised_without_its_neighbours() -> None:
    noisy = add_noise(np.full((3, 12, 12), 50.0), 1)
    assert used(finish(noisy)) == ["", "", ""]


@pytest.mark.parametrize("seed", range(2))
def test_the_predicted_deviation_knows_the_noise_of_the_neighbours(seed: int) -> None:
    clean = np.stack([blobs(seed)] * 3)
    how = HOW.model_copy(update={"uncertainty": "predicted", "seed": seed, "steps": 200})
    answer = finish(add_noise(clean, seed + 50), how)
    assert all(used(answer)) and answer.std is not None
    error, std = pixels(answer) - clean, np.asarray(answer.std.pixels)
    assert 0.7 < np.sqrt(np.mean(error**2) / np.mean(std**2)) < 1.3


def test_planes_that_have_nothing_in_common_are_as_by_themselves() -> None:
    noisy = np.stack([add_noise(cells(seed), seed) for seed in (0, 5, 9)])
    answers = [finish(noisy, APART.model_copy(update={"neighbours": k})) for k in (0, 2)]
    assert np.array_equal(*map(pixels, answers))
    assert used(answers[1]) == ["", "", ""]


def test_a_frame_stored_twice_is_no_neighbour_and_is_said() -> None:
    noisy = add_noise(np.stack([cells(0)] * 2), 3)
    noisy[1] = noisy[0]
    notes = " ".join(s.note for s in iter_denoise(noisy, HOW, axes="TYX", device="cpu"))
    assert "helped in 0 of 2 planes" in notes
    assert "same noise" in notes or "own noise" in notes


@pytest.mark.parametrize("axes", ["TYX", "ZYX"])
def test_a_piece_of_a_stack_is_as_in_the_whole(axes: str) -> None:
    noisy = add_noise(np.stack([cells(0, 40)] * 6), 3)
    image = Image(noisy, axes)
    whole = pixels(finish(noisy, APART, axes))
    stats = measure_image(image, stabilise=True, straighten=True)
    for start, stop in ((0, 2), (2, 5), (5, 6)):
        piece = last(iter_chunk(image, APART, "cpu", Chunk(0, start, stop, stats)))
        assert np.array_equal(pixels(piece), whole[start:stop])


def test_channels_are_no_neighbours_and_each_has_its_own() -> None:
    noisy = add_noise(np.stack([np.stack([cells(0), cells(5)])] * 3), 3)
    assert used(finish(noisy, HOW.model_copy(update={"neighbours": 1}), "TCYX")) == [
        "T+1 T+2",
        "T+1 T+2",
        "T-1 T+1",
        "T-1 T+1",
        "T-2 T-1",
        "T-2 T-1",
    ]


def test_a_volume_over_time_has_neighbours_along_both() -> None:
    noisy = add_noise(np.broadcast_to(cells(0), (3, 3, 64, 64)).copy(), 3)
    answer = finish(noisy, HOW.model_copy(update={"neighbours": 1}), "TZYX")
    assert used(answer)[4] == "T-1 T+1 Z-1 Z+1"


def test_colours_of_a_stack_have_neighbours_too() -> None:
    colour = np.stack([cells(0, 40), cells(1, 40), cells(2, 40)], axis=-1)
    noisy = add_noise(np.stack([colour] * 3), 3)
    answer = finish(noisy, HOW.model_copy(update={"neighbours": 1}), "TYXC")
    assert used(answer)[1] == "T-1 T+1"
    assert pixels(answer).shape == noisy.shape


@pytest.mark.parametrize("axis", [0, 1])
def test_structure_at_the_far_end_of_a_large_image_is_judged(axis: int) -> None:
    clean = np.full((120, 760), 20.0)
    clean[:, 600:720] = cells(0, 120)
    clean = clean if axis == 1 else clean.T
    x, other = (torch.from_numpy(add_noise(clean, n) / SIGMA)[None] for n in (1, 2))
    assert Judge(x - x.mean(), (0, 0)).says(other - x.mean()) == "helps"


@pytest.mark.parametrize("period", [8, 16, 32])
def test_what_repeats_helps_as_well(period: int) -> None:
    y, x = np.mgrid[:128, :128]
    clean = 50 + 40 * np.sign(np.sin(2 * np.pi * y / period) * np.sin(2 * np.pi * x / period) + 0.1)
    one, other = (torch.from_numpy(add_noise(clean, n) / SIGMA)[None] for n in (1, 2))
    kept, same = Judge(one - one.mean(), (0, 0)).choose({1: other - one.mean()})
    assert (list(kept), same) == ([1], 0)


def test_fine_structure_that_two_planes_show_is_no_noise_that_they_share() -> None:
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(128, 128)), 0.8)
    texture *= 5 * SIGMA / texture.std()
    one, other = (torch.from_numpy(add_noise(texture, n) / SIGMA)[None] for n in (1, 2))
    judge = Judge(one, (0, 0))
    assert not judge.shares_noise(other, 1.0)
    assert judge.shares_noise(one, 1.0)


def test_a_neighbour_that_stands_in_for_others_brings_its_noise_once() -> None:
    def mean_of_others(seen: torch.Tensor) -> torch.Tensor:
        return seen[1:].mean(0, keepdim=True)

    torch.manual_seed(0)
    y, others = torch.randn(1, 64, 64), torch.randn(4, 64, 64)
    stds = []
    for seen in (others[:1].expand(4, -1, -1), others):
        error = AnswerError(torch.ones_like(y), 0.8, 0, 4)
        given = torch.cat([y, seen])
        stds.append(float(error.update(given, mean_of_others(given), 0 * y, mean_of_others).mean()))
    assert stds[0] == pytest.approx(2 * stds[1], rel=0.15)


@pytest.mark.parametrize("size", [(15, 16), (27, 40), (40, 40), (53, 53), (66, 66)])
def test_independent_noise_is_not_called_shared(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pairs = torch.from_numpy(rng.normal(size=(40, 2, 1, *size)).astype(np.float32))
    assert sum(Judge(x, (0, 0)).shares_noise(other, 1.0) for x, other in pairs) <= 1


def test_a_blurred_copy_has_the_noise_and_another_capture_helps() -> None:
    clean = cells(0) / SIGMA
    x, twin = (torch.from_numpy(clean + add_noise(0 * clean, n) / SIGMA)[None] for n in (1, 2))
    x, twin = x.float(), twin.float()
    judge = Judge(x, (0, 0))
    blurred = torch.from_numpy(ndimage.gaussian_filter(x.numpy(), (0, 0.7, 0.7)))
    assert judge.says(blurred) == "own noise"
    assert judge.says(twin) == judge.says(torch.from_numpy(clean)[None].float()) == "helps"


def test_the_order_of_neighbours_decides_nothing() -> None:
    noisy = torch.from_numpy(add_noise(np.stack([cells(n % 2) for n in range(5)]), 3))[:, None]
    x, *others = (noisy - noisy[0].mean()) / SIGMA
    judge = Judge(x, (0, 0))
    kept = [
        set(judge.choose({n: others[n] for n in order})[0]) for order in (range(4), (3, 2, 1, 0))
    ]
    assert kept[0] == kept[1] == {1, 3}


def test_a_plane_that_is_left_as_it_is_has_no_neighbours() -> None:
    noisy = add_noise(np.stack([cells(0)] * 5), 3)
    noisy[2] = np.nan
    answer = finish(noisy)
    assert len(used(answer)) == 5 and used(answer)[2] == ""
    assert used(answer)[4] == "T-4 T-3 T-1"
