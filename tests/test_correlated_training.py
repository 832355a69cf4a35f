"""Training on images whose neighbouring pixels share their noise, alone and among others."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dip import IDDP, N2N, N2V, Image, Nb2Nb, denoise, iter_train, last, load_model, train
from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.data_sets.dataset import Dataset
from napari_dip.models.bioimageio import export_model
from napari_dip.models.torchscript import to_torchscript
from napari_dip.nets.filter_unet import BlurredUNet, HoleFilter
from napari_dip.training.crops import Crops

SMALL = {
    "channels": 6,
    "depth": 1,
    "crop": 32,
    "batch": 2,
    "filter_channels": 6,
    "filter_layers": 2,
}
SIZE, NOISE, SIGMA = 160, 8.0, 0.65


def cells(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    points = np.zeros((SIZE, SIZE))
    points[random.integers(0, SIZE, 64), random.integers(0, SIZE, 64)] = 1
    spots = ndimage.gaussian_filter(points, 4)
    return np.asarray(40 + 80 * spots / spots.max())


def noise(seed: int, sigma: float) -> np.ndarray:
    white = np.random.default_rng(100 + seed).normal(0, 1, (SIZE, SIZE))
    smooth = ndimage.gaussian_filter(white, sigma, mode="wrap")
    return np.asarray(NOISE * smooth / smooth.std())


def independent(seed: int) -> np.ndarray:
    return cells(seed) + noise(seed, 0)


def correlated(seed: int) -> np.ndarray:
    return cells(seed) + noise(seed, SIGMA)


def mixed() -> list[np.ndarray]:
    return [independent(0), correlated(1), independent(2), correlated(3)]


def rmse(a: object, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.asarray(a, dtype=float) - b) ** 2)))


def dataset(images: list[np.ndarray]) -> Dataset:
    return build_dataset(images).with_noise(stabilise=True)


def test_each_batch_holds_one_kind_of_noise() -> None:
    data = dataset(mixed())
    holes = data.holes(stabilise=True)
    assert holes[0] == 0 < holes[1]
    generator = torch.Generator().manual_seed(0)
    crops = Crops(data, 32, stabilise=True, generator=generator, holes=holes, margin=12)
    cut, scenes = crops.cut, []
    crops.cut = lambda place, other=0: (scenes.append(place.scene), cut(place, other))[1]
    count = 0
    for _ in range(60):
        scenes.clear()
        batch = crops.draw(4, generator)
        assert {scene % 2 for scene in scenes} == {int(batch.hole > 0)}
        assert batch.noisy.shape[-1] == 32 + 2 * batch.margin == (56 if batch.hole else 32)
        count += batch.hole > 0
    assert 15 < count < 45
    assert all(crops.draw(1, generator, independent=True).hole == 0 for _ in range(20))


def test_few_images_of_a_kind_still_get_a_fifth_of_the_batches() -> None:
    data = dataset([independent(k) for k in range(9)] + [correlated(9)])
    holes, generator = data.holes(stabilise=True), torch.Generator().manual_seed(0)
    crops = Crops(data, 32, stabilise=True, generator=generator, holes=holes)
    drawn = [crops.draw(1, generator).hole > 0 for _ in range(400)]
    assert 0.15 < np.mean(drawn) < 0.26


def test_the_filter_for_correlated_noise_sees_nothing_of_its_hole() -> None:
    net = HoleFilter(1, 4, 1, hole=2)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    y = torch.randn((1, 1, 61, 61), generator=torch.Generator().manual_seed(0)).requires_grad_()
    slope = torch.autograd.grad(net(y)[0, :, 30, 30].sum(), y)[0][0, 0].abs()
    assert slope[28:33, 28:33].max() < 1e-6
    assert slope[30, 33] > 1e-5 and slope[27, 30] > 1e-5
    far = slope.nonzero().sub(30).abs().max()
    assert far <= net.reach


@pytest.mark.parametrize("how", [IDDP, N2V, Nb2Nb], ids=lambda cls: cls.method)
def test_a_mixed_training_denoises_both_kinds(how: type[IDDP]) -> None:
    settings = how(steps=100, averaging=0.9, filter_share=0.7, **SMALL)
    final = last(iter_train(mixed(), settings))
    for seed in (11, 12):
        for make, most in ((independent, 0.42), (correlated, 0.6)):
            noisy = make(seed)
            left = rmse(denoise(noisy, final.model), cells(seed))
            assert left < most * rmse(noisy, cells(seed)), make.__name__


def test_images_of_correlated_noise_alone_are_denoised_by_the_filter() -> None:
    shots = list(iter_train([correlated(1), correlated(3)], IDDP(steps=50, **SMALL)))
    model = shots[-1].model
    assert len(model.net.holes) == 1 and model.net.holes[0] > 0
    assert "correlated" in shots[0].note and "will stay" not in shots[0].note
    noisy = correlated(11)
    assert rmse(denoise(noisy, model), cells(11)) < 0.6 * NOISE
    assert rmse(shots[-1].image.pixels, cells(1)) < 0.7 * NOISE


def test_training_on_independent_noise_has_no_filter_more() -> None:
    model = train([independent(0), independent(2)], IDDP(steps=2, **SMALL))
    assert model.net.holes == (0,) and "holes" not in model.to_json()["network"]
    assert not any(name.startswith("wide") for name in model.net.state_dict())


def test_a_second_filter_leaves_the_start_of_the_first_as_it_was() -> None:
    one, two = (BlurredUNet(1, 4, 1, "learned", holes=holes) for holes in ((0,), (0, 2)))
    for net in (one, two):
        torch.manual_seed(0)
        net.__init__(1, 4, 1, "learned", holes=net.holes)  # type: ignore[misc]
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name]), name


def test_second_captures_need_no_hole() -> None:
    stack = Image(np.stack([cells(0) + noise(k, SIGMA) for k in range(2)]), "TYX")
    shot = next(iter_train(stack, N2N(steps=2, **SMALL)))
    assert shot.model.net.holes == (0,) and "correlated" not in shot.note


def test_a_start_without_a_learned_filter_says_that_correlated_noise_stays() -> None:
    quick = {"steps": 1, **SMALL, "start": "blur"}
    assert "will stay" in next(iter_train(correlated(1), IDDP(**quick))).note
    assert "correlated" not in next(iter_train(correlated(1), IDDP(block=4, **quick))).note
    assert "correlated" not in next(iter_train(independent(1), IDDP(**quick))).note


def test_the_model_file_keeps_the_second_filter(tmp_path: Path) -> None:
    model = train(mixed(), IDDP(steps=4, **SMALL))
    again = load_model(model.save(tmp_path / "m.safetensors"))
    assert again.net.holes == model.net.holes and again.to_json() == model.to_json()
    noisy = correlated(11)
    assert np.array_equal(denoise(noisy, model), denoise(noisy, again))


@pytest.mark.parametrize("stop_at", [3, 34, 38])
def test_a_resumed_mixed_training_ends_with_the_same_weights(stop_at: int, tmp_path: Path) -> None:
    settings = IDDP(
        steps=40, filter_channels=2, filter_layers=0, channels=2, depth=0, crop=16, batch=1
    )
    unbroken = train(mixed(), settings).net.state_dict()
    checkpoint = tmp_path / "c.safetensors"
    stream = iter_train(mixed(), settings, checkpoint=checkpoint)
    list(islice(stream, stop_at))
    stream.close()
    resumed = last(iter_train(mixed(), settings, checkpoint=checkpoint, resume=True))
    for name, weight in resumed.model.net.state_dict().items():
        assert torch.equal(weight, unbroken[name]), name


def test_what_is_exported_is_for_independent_noise(tmp_path: Path) -> None:
    model = train(mixed(), IDDP(steps=4, **SMALL))
    module = to_torchscript(model.net, 3.0, 1, True, 1)
    noisy = torch.tensor(independent(5), dtype=torch.float32)[None, None]
    before = module(noisy)
    with torch.no_grad():
        for weight in model.net.wide.parameters():
            weight.add_(1.0)
    assert torch.equal(to_torchscript(model.net, 3.0, 1, True, 1)(noisy), before)
    alone = train([correlated(1)], IDDP(steps=2, **SMALL))
    with pytest.raises(ValueError, match="correlated noise alone"):
        export_model(alone, tmp_path / "m.zip")
