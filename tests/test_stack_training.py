"""Models that see the planes before and after: better on stacks, and blind where they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dip import (
    IDDP,
    N2N,
    N2V,
    Blind2Unblind,
    Image,
    Model,
    Nb2Nb,
    Supervised,
    denoise,
    export_model,
    iter_denoise,
    iter_train,
    last,
    load_model,
    train,
)
from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.methods.registry import TRAINED
from napari_dip.models.apply import iter_apply
from napari_dip.models.model import build
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.planes.chunk import Chunk
from napari_dip.planes.image_statistics import measure_image
from napari_dip.training.crops import Crops
from napari_dip.training.plane_crops import PlaneCrops

SMALL = {
    "channels": 6,
    "depth": 1,
    "crop": 32,
    "batch": 2,
    "filter_channels": 6,
    "filter_layers": 1,
    "learning_rate": 0.004,
    "filter_learning_rate": 0.01,
    "averaging": 0.9,
    "orientations": 1,
}
STEPS, SIZE = 60, 64
METHODS = [IDDP, N2V, Nb2Nb, Blind2Unblind, N2N, Supervised]


def series(planes: int = 6, seed: int = 0, pixels: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Fine structure that moves by whole pixels from frame to frame, as (noisy, clean)."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE + pixels * planes)), 0.9)
    field = 60 + 18 * field / field.std()
    clean = np.stack([field[:, pixels * n : pixels * n + SIZE] for n in range(planes)]).clip(2)
    return rng.poisson(clean).astype(np.float32), clean


def rmse(a: Any, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.asarray(a, dtype=float) - b) ** 2)))


def trained(noisy: np.ndarray, neighbours: int, seed: int = 0, **changes: Any) -> Model:
    how = IDDP(**{**SMALL, "steps": STEPS, "neighbours": neighbours, "seed": seed, **changes})
    return train(Image(noisy, "TYX"), how)


@pytest.fixture(scope="module")
def model() -> Model:
    return trained(series()[0], 1)


@pytest.mark.parametrize(("seed", "pixels", "share"), [(0, 2, 0.92), (1, 2, 0.92), (2, 0, 0.8)])
def test_neighbours_help_on_planes_that_training_has_not_seen(
    seed: int, pixels: int, share: float
) -> None:
    noisy, _ = series(seed=seed, pixels=pixels)
    fresh, clean = series(5, seed=seed + 50, pixels=pixels)
    alone, beside = (
        rmse(denoise(Image(fresh, "TYX"), trained(noisy, n, seed)), clean) for n in (0, 1)
    )
    assert beside < share * alone and alone < 0.75 * rmse(fresh, clean)


@pytest.mark.parametrize("how", METHODS, ids=lambda cls: cls.method)
def test_only_the_middle_plane_is_a_target_and_changed(how: type) -> None:
    class Spy(BlurredUNet):
        def forward(self, y: torch.Tensor, smooth: torch.Tensor | None = None) -> torch.Tensor:
            seen.append(y)
            return super().forward(y, smooth)

    seen: list[torch.Tensor] = []
    s = how(neighbours=1, start="blur")
    net = Spy(1, 4, 1, "blur", neighbours=1)  # its answer is a blur of the middle plane still
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn((2, 3, 32, 32), generator=generator) / 3
    changed = torch.cat([noisy[:, :1], 2 * noisy[:, 1:] + 1], dim=1)
    losses = []
    for y in (noisy, changed):
        seen.clear()
        draws = torch.Generator().manual_seed(1)
        loss, _ = TRAINED[how.method].function()(net, y, noisy[:, :1], s, draws, 0.5)
        losses.append(float((loss[0] / loss[1] if isinstance(loss, tuple) else loss).detach()))
        assert all(x.shape[1] == 3 for x in seen)
        if how is not Nb2Nb:  # which sees half of the pixels of all planes
            parts = [part for x in seen for part in x.split(len(y))]
            assert all(torch.equal(part[:, 1:], y[:, 1:]) for part in parts)
    assert losses[0] == losses[1] > 0
    if how in (IDDP, N2V):
        assert not torch.equal(seen[-1][:, :1], noisy[:, :1])


@pytest.mark.parametrize("how", METHODS, ids=lambda cls: cls.method)
@pytest.mark.parametrize("start", ["blind-spot", "zero"])
def test_every_method_learns_from_neighbours_of_a_stack(how: type, start: str) -> None:
    noisy, clean = series(pixels=0)
    targets = {N2N: series(seed=0, pixels=0)[0][::-1].copy(), Supervised: clean}.get(how)
    settings = how(**{**SMALL, "steps": 8, "neighbours": 2, "start": start, "filter_share": 0.5})
    found = train(Image(noisy, "TYX"), settings, targets=targets, axes="TYX")
    assert denoise(Image(noisy, "TYX"), found).shape == noisy.shape
    first = found.net.unet.down[0][0].weight
    assert first.shape[1] == 4 * (5 + (start == "blind-spot")) and bool(torch.isfinite(first).all())


def test_repeats_that_are_targets_are_never_seen_beside() -> None:
    noisy = np.random.default_rng(0).poisson(series(3, pixels=0)[1], (3, 3, SIZE, SIZE))
    how = N2N(**{**SMALL, "steps": 2, "neighbours": 1})
    with pytest.raises(ValueError, match="at least 3 planes along Z"):
        iter_train(Image(noisy[:, 0], "TYX"), how)
    data = build_dataset(Image(noisy, "TZYX"), second="capture").with_neighbours(1, "Z")
    for plane in data.planes:
        assert {other.index[0] for other in data.near(plane).values()} == {plane.index[0]}
    next(iter_train(Image(noisy, "TZYX"), how))


def test_planes_that_were_stored_twice_do_not_teach_to_copy_noise() -> None:
    noisy, clean = series(4, pixels=0)
    twice, truth = np.repeat(noisy, 2, axis=0), np.repeat(clean, 2, axis=0)
    model = trained(twice, 1)
    final = last(iter_denoise(Image(twice, "TYX"), model))
    assert rmse(final.image, truth) < 0.65 * rmse(twice, truth)
    assert final.provenance["neighbours_used"][:2] == ["T+2", "T+1"]


def test_a_crop_comes_with_its_neighbours_at_its_place() -> None:
    noisy, _ = series(3, pixels=3)  # content moves to the left
    data = build_dataset(Image(noisy, "TYX")).with_neighbours(1)
    plane = data.planes[1]
    normalisation = data.normalisation(plane, True)
    reader = PlaneCrops(data)
    own, before, after = reader.read(plane, normalisation, 8, 16, 32, 32)[:, 0]
    where = (slice(8, 40), slice(16, 48))
    for found, index, moved in ((own, 1, 0), (before, 0, 3), (after, 2, -3)):
        true = normalisation.apply(np.roll(noisy[index], -moved, axis=1)[where].astype(float))
        assert np.corrcoef(found.numpy().ravel(), true.ravel())[0, 1] > 0.999
    edge = reader.read(plane, normalisation, 0, 32, 32, 32)  # past the border it is mirrored
    assert edge.shape == (3, 1, 32, 32) and bool(torch.isfinite(edge).all())


def test_images_of_too_few_planes_are_left_out_or_refused(model: Model, tmp_path: Path) -> None:
    noisy, _ = series(4)
    how = IDDP(**{**SMALL, "steps": 2, "neighbours": 1, "start": "blur"})
    with pytest.raises(ValueError, match=r"at least 3 planes along T or Z.*\(single\)"):
        iter_train(Image(noisy[0], "YX", name="single"), how)
    images = [Image(noisy, "TYX", name="many"), Image(noisy[:2], "ZYX", name="pair")]
    assert "fewer than 3 planes along T or Z: pair." in next(iter_train(images, how)).note
    with pytest.raises(ValueError, match="Give the whole stack, or take a model"):
        iter_denoise(noisy[0], model)
    with pytest.raises(ValueError, match="at least 3 planes"):
        iter_denoise(Image(noisy[:2], "TYX"), model)
    assert iter_denoise(Image(noisy[:3], "ZYX"), model) is not None
    with pytest.raises(ValueError, match="neighbours = 0"):
        iter_train(Image(noisy, "TYX"), how, preview=noisy[0])
    with pytest.raises(ValueError, match="sees neighbouring planes"):
        export_model(model, tmp_path / "m.zip")


def test_the_model_file_carries_it(model: Model, tmp_path: Path) -> None:
    loaded = load_model(model.save(tmp_path / "m.safetensors"))
    assert loaded.settings.neighbours == 1
    stack = Image(series(4)[0], "TYX")
    assert np.array_equal(denoise(stack, model).pixels, denoise(stack, loaded).pixels)
    plain = build(IDDP(**SMALL), 1)
    assert "neighbours" not in Model(plain, IDDP(**SMALL), 1).to_json()["network"]


def test_a_chunk_sees_the_planes_beyond_it(model: Model) -> None:
    stack = Image(series(5)[0], "TYX")
    whole = last(iter_denoise(stack, model, device="cpu"))
    assert all(whole.provenance["neighbours_used"]), "neighbours help here"
    stats = measure_image(stack, stabilise=True, straighten=True)
    for start, stop in ((0, 2), (2, 3), (3, 5)):
        chunk = last(iter_apply(stack, model, "cpu", Chunk(0, start, stop, stats)))
        np.testing.assert_array_equal(
            np.asarray(chunk.image.pixels), np.asarray(whole.image.pixels)[start:stop]
        )


def test_tiles_change_no_answer(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_dip.models import tiled_apply

    stack = Image(np.tile(series(3)[0], (1, 3, 3)), "TYX")
    whole = np.asarray(denoise(stack, model).pixels)
    monkeypatch.setattr(tiled_apply, "tile_side", lambda *args: 64)
    np.testing.assert_allclose(np.asarray(denoise(stack, model).pixels), whole, rtol=1e-4)


def test_planes_without_a_neighbour_that_helps_teach_nothing() -> None:
    noisy, _ = series(4, pixels=0)
    rng = np.random.default_rng(1)
    strangers = rng.normal(100, 10, noisy.shape).astype(np.float32)
    data = build_dataset(Image(np.concatenate([noisy, strangers]), "TYX")).with_neighbours(1)
    crops = Crops(data, 24, stabilise=False, generator=torch.Generator().manual_seed(0))
    drawn = torch.Generator().manual_seed(1)
    places = [crops._free_place(24, drawn, crops.areas) for _ in range(20)]
    planes = {data.scenes[p.scene].captures[p.capture].index[0] for p in places}
    assert planes <= {0, 1, 2, 3}
    with pytest.raises(ValueError, match="train with neighbours = 0"):
        iter_train(Image(strangers, "TYX"), N2V(**{**SMALL, "neighbours": 1}))
