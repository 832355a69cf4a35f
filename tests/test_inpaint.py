"""Missing pixels: what is known stays, what is not is filled better than by its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dip import Image, Inpaint, inpaint, iter_inpaint, last, psnr
from napari_dip.methods.inpaint import _fill_image
from napari_dip.nets.inpaint import GapNet, smooth_fill
from napari_dip.restore.missing_pixels import find_missing_pixels

QUICK = {"steps": 3, "channels": 4, "crop": 16}
HOWS = [Inpaint.preset("fast", **QUICK), Inpaint.preset("holes", **QUICK)]
both = pytest.mark.parametrize("how", HOWS, ids=["fast", "holes"])


def stripes(size: int = 64) -> np.ndarray:
    """Curved stripes, 9 pixels wide, in [20, 220]."""
    y, x = np.mgrid[:size, :size]
    return 120 + 100 * np.sin(2 * np.pi * (x + 6 * np.sin(y / 12)) / 9)


@both
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_known_pixels_stay_to_the_bit(how: Inpaint, dtype: str) -> None:
    rng = np.random.default_rng(0)
    pixels = (200 * rng.random((2, 24, 25))).astype(dtype)
    mask = rng.random(pixels.shape) < 0.3
    source = Image(pixels, "ZYX", scale=(0.3, 0.1, 0.1), units=("um",) * 3, name="cell")
    for snapshot in iter_inpaint(source, mask, how, device="cpu"):
        image = snapshot.image
        assert (image.shape, image.axes, image.scale, image.units) == (
            source.shape,
            "ZYX",
            (0.3, 0.1, 0.1),
            ("um",) * 3,
        )
        assert np.array_equal(np.asarray(image)[~mask], pixels[~mask].astype(np.float32))
    assert not np.array_equal(np.asarray(image)[mask], pixels[mask].astype(np.float32))
    assert image.provenance["missing_pixels"] == mask.sum()
    assert image.provenance["task"] == "inpaint"


@both
def test_what_stands_under_the_mask_does_not_matter(how: Inpaint) -> None:
    image = stripes(32)
    mask = np.random.default_rng(0).random(image.shape) < 0.3
    answers = [
        inpaint(np.where(mask, wrong, image), mask, how, device="cpu") for wrong in (0, 1e9, np.nan)
    ]
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])


@both
@pytest.mark.parametrize("keep_known", [True, False])
def test_a_plane_that_is_saturated_all_over_is_left_and_costs_no_other(
    how: Inpaint, keep_known: bool
) -> None:
    alone = np.random.default_rng(0).integers(20, 200, (2, 24, 25)).astype(np.uint8)
    alone[0, 3, 4:7] = alone[1, 8, 9:11] = 255
    stack = np.insert(alone, 1, 255, axis=0)
    shots = list(
        iter_inpaint(Image(stack, "ZYX"), "auto", how, keep_known=keep_known, device="cpu")
    )
    answer = np.asarray(shots[-1].image)
    assert (answer[1] == 255).all()
    assert [("saturated: 1" in shot.note) for shot in shots] == [True] + [False] * (len(shots) - 1)
    assert shots[-1].image.provenance["missing_pixels"] == 5
    expected = inpaint(Image(alone, "ZYX"), "auto", how, keep_known=keep_known, device="cpu")
    assert np.array_equal(answer[::2], np.asarray(expected))


@both
def test_known_pixels_are_denoised_where_asked(how: Inpaint) -> None:
    image = stripes(32)
    mask = np.eye(32, dtype=bool)
    answer = inpaint(image, mask, how, keep_known=False, device="cpu")
    assert (answer[~mask] != image[~mask].astype(np.float32)).mean() > 0.9


@both
@pytest.mark.parametrize("shape", [(1, 2), (1, 40), (7, 5), (24, 20, 3)])
def test_any_size_and_colour_come_back(how: Inpaint, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 200, shape, dtype=np.uint8)
    mask = np.zeros(shape[:2], bool)
    mask[0, 1] = True
    answer = inpaint(image, mask, how, device="cpu")
    assert answer.shape == shape
    assert np.isfinite(answer).all()
    assert np.array_equal(answer[~mask], image[~mask])


def test_masks_of_a_plane_a_stack_and_numbers_say_the_same() -> None:
    stack = Image(np.random.default_rng(0).random((3, 8, 9)), "ZYX")
    plane = np.zeros((8, 9), bool)
    plane[2:4, 5] = True
    wanted = np.broadcast_to(plane, stack.shape)
    for mask in (plane, wanted, plane * 7, plane.astype(float).tolist()):
        missing = find_missing_pixels(stack, mask)
        assert np.array_equal(np.asarray(missing.mask), wanted)
        assert missing.count == 6


def test_planes_without_gaps_are_left_alone() -> None:
    stack = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)
    mask = np.zeros(stack.shape, bool)
    mask[1, 3:5, 3:5] = True
    final = last(iter_inpaint(Image(stack, "ZYX"), mask, HOWS[0], device="cpu"))
    assert final.image.provenance["steps_chosen"] == [0, 3]
    assert np.array_equal(np.asarray(final.image)[0], stack[0])


def test_hot_dead_saturated_and_nan_pixels_are_found() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 20, (40, 40))
    image[5, 6], image[20, 21], image[30, 3] = 9000, 0, np.nan
    found = find_missing_pixels(Image(image), "auto")
    assert sorted(zip(*np.nonzero(np.asarray(found.mask)), strict=True)) == [
        (5, 6),
        (20, 21),
        (30, 3),
    ]
    counts = rng.poisson(1000, (40, 40)).astype(np.uint16)
    counts[10:14, 10:14] = 4095  # where a camera of 12 bits ends
    marks = np.asarray(find_missing_pixels(Image(counts), "auto").mask)
    assert marks[10:14, 10:14].all() and marks.sum() == 16


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [
        (np.ones((8, 8)), np.zeros((8, 8)), "marks no pixel"),
        (np.ones((8, 8)), np.ones((8, 8)), "no known pixel"),
        (
            np.ones((2, 8, 8)),
            np.stack([np.eye(8), np.ones((8, 8))]),
            "plane Z = 1 has no known pixel",
        ),
        (np.ones((8, 8)), np.ones((8, 9)), r"shape \(8, 9\)"),
        (np.ones((8, 8)), "hot", "mask is 'hot'"),
        (np.full((8, 8), np.nan), "auto", "no known pixel"),
        (np.full((8, 8), 255, np.uint8), "auto", "no known pixel .* saturated"),
        (np.ones((8, 8), complex), np.eye(8), "complex"),
        (np.ones((8, 8)), np.full((8, 8), "x"), "mask is of type"),
    ],
)
def test_what_cannot_be_filled_is_refused_at_the_call(
    image: np.ndarray, mask: object, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        iter_inpaint(image, mask)


def test_other_settings_are_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="Inpaint"):
        iter_inpaint(np.ones((8, 8)), np.eye(8), "fast")


def test_the_smooth_fill_and_the_network_start_from_known_pixels_only() -> None:
    image = torch.from_numpy(stripes(33)).float()[None, None] / 255
    known = (torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    fill = smooth_fill(image, known)
    assert torch.equal(fill, smooth_fill(torch.where(known > 0, image, -5.0), known))
    assert torch.equal(fill[known > 0], image[known > 0])
    assert torch.equal(GapNet(1, 4, 2)(image, known), fill)
    alone = torch.zeros_like(known)
    alone[..., 20, 7] = 1
    assert torch.allclose(
        smooth_fill(image, alone), image[..., 20, 7], atol=1e-3
    )  # as far as the image goes


@torch.no_grad()
def test_strips_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    net = GapNet(1, 8)
    net.last.weight.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    y = torch.from_numpy(stripes(160) / 255).float()
    y = y + torch.linspace(0, 0.5, 160)[:, None]  # the mean of a strip is not that of the image
    known = (torch.rand((160, 160), generator=torch.Generator().manual_seed(1)) < 0.6).float()
    plane = torch.stack([y * known, known])[None]
    whole = _fill_image(net, plane, [0, 1], None)
    monkeypatch.setattr("napari_dip.methods.inpaint.STRIP_PIXELS", 160 * 40)
    assert (whole - whole.mean()).abs().max() > 0.3
    assert torch.allclose(_fill_image(net, plane, [0, 1], None), whole, atol=1e-5)


def test_the_fit_fills_better_than_neighbours_and_a_smooth_fill() -> None:
    clean = stripes()
    mask = np.random.default_rng(0).random(clean.shape) < 0.5
    nearest = np.asarray(find_missing_pixels(Image(clean), mask).image)
    known = torch.from_numpy(~mask).float()[None, None]
    smooth = smooth_fill(torch.from_numpy(clean).float()[None, None], known)[0, 0].numpy()
    answer = inpaint(clean, mask, Inpaint(steps=150, channels=16, layers=3), device="cpu")
    scores = [psnr(clean, image, data_range=200) for image in (nearest, smooth, answer)]
    assert scores[2] > scores[1] + 3 > scores[0] + 3


def test_holes_are_filled_from_around_them() -> None:
    clean = ndimage.gaussian_filter(np.random.default_rng(0).random((48, 48)), 5)
    mask = np.zeros(clean.shape, bool)
    mask[18:30, 20:32] = True
    for how in (
        Inpaint(steps=40, channels=8),
        Inpaint.preset("holes", steps=150, channels=8, scales=3),
    ):
        answer = inpaint(np.where(mask, 0, clean), mask, how, device="cpu")
        error = np.abs(answer - clean)[mask].mean()
        assert error < np.abs(clean[mask] - clean[~mask].mean()).mean()


def test_a_plane_that_is_mostly_missing_is_said() -> None:
    image = np.random.default_rng(0).integers(40, 60, (24, 24)).astype(np.uint8)
    image[:, 8:] = 255
    first = next(iter(iter_inpaint(image, how=Inpaint(steps=2), device="cpu")))
    assert "more than half was found to be missing: 1." in first.note
    image[:, 16:] = 50
    first = next(iter(iter_inpaint(image, how=Inpaint(steps=2), device="cpu")))
    assert "half" not in first.note
