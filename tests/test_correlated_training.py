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
from napari_dip.nets.correlated_noise import (
    MORE,
    RecorruptedUNet,
    blurs_if_better,
    blurs_of,
    draw_noise,
    draw_probe,
)
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.noise.measure import measure_noise
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
    crops = Crops(data, 32, stabilise=True, generator=generator, holes=holes)
    cut, scenes = crops.cut, []
    crops.cut = lambda place, other=0: (scenes.append(place.scene), cut(place, other))[1]
    for correlated in (False, True):
        for _ in range(30):
            scenes.clear()
            batch = crops.draw(4, generator, correlated=correlated)
            assert {scene % 2 for scene in scenes} == {int(correlated)}
            assert batch.noisy.shape[-1] == (64 if correlated else 32)
            assert (batch.correlation is not None) == correlated


def test_noise_is_drawn_with_the_correlation_of_each_crop() -> None:
    """Along x for the first, along y for the second; the draw of one is that of no other."""
    lags = np.interp(np.abs(np.arange(-4, 5)), [0, 1, 2, 3], [1, 0.6, 0.1, 0])
    along_x = np.zeros((9, 9))
    along_x[4] = lags
    tables = torch.tensor(np.stack([along_x, along_x.T]), dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    drawn = 3 * draw_noise(tables, torch.zeros(2, 1, 400, 400), generator).numpy()[:, 0]
    for number, axis in enumerate((1, 0)):
        one = drawn[number]
        for shift, expected in ((1, 0.6), (2, 0.1), (3, 0)):
            found = np.mean(one * np.roll(one, shift, axis))
            assert found == pytest.approx(expected, abs=0.02)
        assert abs(np.mean(one * np.roll(one, 1, 1 - axis))) < 0.02
    assert abs(np.mean(drawn[0] * drawn[1])) < 0.02
    assert draw_noise(tables[:1], torch.zeros(1, 2, 5, 7), generator).shape == (1, 2, 5, 7)


def test_a_noisier_image_of_recorrupted_pairs_has_a_target_of_the_same_mean() -> None:
    """The loss of the identity is what the two independent noises say: t^2 + 2 + 1 / t^2."""
    table = torch.zeros(1, 9, 9)
    table[0, 4, 3:6] = torch.tensor([0.5, 1, 0.5])
    generator = torch.Generator().manual_seed(0)
    net = RecorruptedUNet(1, 2, 0, 1)
    with torch.no_grad():
        net.mixture.copy_(torch.tensor([1.0, 0, 0, 0]))
        y = draw_noise(table, torch.zeros(1, 1, 500, 500), generator)
        found = 9 * float(net.loss(y, table, generator))
    assert found == pytest.approx(MORE**2 + 2 + MORE**-2, rel=0.02)


def test_an_answer_worse_than_a_blur_is_replaced_by_blurs() -> None:
    """Whatever the network says of an image, blurs of the image itself are at hand."""
    for seed in (11, 12, 13):
        clean, noisy = cells(seed), correlated(seed)
        y = torch.tensor((noisy - noisy.mean()) / (3 * NOISE), dtype=torch.float32)[None, None]
        table = torch.tensor(measure_noise([noisy]).correlation)
        probe = draw_probe(table[None], y)
        for wrong in (lambda y: y, torch.zeros_like, lambda y: -y):
            answers = torch.cat([wrong(y), wrong(y + probe)])
            mixed = blurs_if_better(blurs_of(y, table), answers, probe)[0, 0].numpy() * 3 * NOISE
            best = min(
                rmse(ndimage.gaussian_filter(noisy, width), clean) for width in (1, 1.5, 2, 3, 4)
            )
            assert rmse(mixed + noisy.mean(), clean) < 1.1 * best


@pytest.mark.parametrize("how", [IDDP, N2V, Nb2Nb], ids=lambda cls: cls.method)
def test_a_mixed_training_denoises_both_kinds(how: type[IDDP]) -> None:
    settings = how(steps=100, averaging=0.9, filter_share=0.7, **{**SMALL, "start": "blind-spot"})
    final = last(iter_train(mixed(), settings))
    for seed in (11, 12):
        for make, most in ((independent, 0.42), (correlated, 0.6)):
            noisy = make(seed)
            left = rmse(denoise(noisy, final.model), cells(seed))
            assert left < most * rmse(noisy, cells(seed)), make.__name__


def test_images_of_correlated_noise_alone_are_denoised() -> None:
    shots = list(iter_train([correlated(1), correlated(3)], IDDP(steps=50, **SMALL)))
    model = shots[-1].model
    assert len(model.net.holes) == 1 and model.net.holes[0] > 0
    assert "correlated" in shots[0].note and "will stay" not in shots[0].note
    noisy = correlated(11)
    assert rmse(denoise(noisy, model), cells(11)) < 0.6 * NOISE
    assert rmse(shots[-1].image.pixels, cells(1)) < 0.7 * NOISE


def test_training_on_independent_noise_has_no_network_more() -> None:
    model = train([independent(0), independent(2)], IDDP(steps=2, **SMALL))
    assert model.net.holes == (0,) and "holes" not in model.to_json()["network"]
    assert not any(name.startswith("correlated") for name in model.net.state_dict())


def test_a_second_network_leaves_the_start_of_the_first_as_it_was() -> None:
    one, two = (BlurredUNet(1, 4, 1, "blind-spot", holes=holes) for holes in ((0,), (0, 2)))
    for net in (one, two):
        torch.manual_seed(0)
        net.__init__(1, 4, 1, "blind-spot", holes=net.holes)  # type: ignore[misc]
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name]), name


def test_second_captures_need_no_hole() -> None:
    stack = Image(np.stack([cells(0) + noise(k, SIGMA) for k in range(2)]), "TYX")
    shot = next(iter_train(stack, N2N(steps=2, **SMALL)))
    assert shot.model.net.holes == (0,) and "correlated" not in shot.note


def test_a_start_without_a_learned_filter_says_that_correlated_noise_stays() -> None:
    quick = {"steps": 1, **SMALL, "start": "blur"}
    assert "will stay" in next(iter_train(correlated(1), IDDP(**quick))).note
    assert "correlated" not in next(iter_train(independent(1), IDDP(**quick))).note


def test_squares_of_signs_are_retired_but_files_that_have_none_are_read() -> None:
    assert IDDP(block=1) == IDDP()
    with pytest.raises(ValueError, match=r"block is no setting any more.*network of its own"):
        IDDP(block=6)
    with pytest.raises(ValueError, match="no preset 'correlated', but fast and paper"):
        IDDP.preset("correlated")


def test_the_model_file_keeps_the_second_network(tmp_path: Path) -> None:
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
        for weight in model.net.correlated.parameters():
            weight.add_(1.0)
    assert torch.equal(to_torchscript(model.net, 3.0, 1, True, 1)(noisy), before)
    alone = train([correlated(1)], IDDP(steps=2, **SMALL))
    with pytest.raises(ValueError, match="correlated noise alone"):
        export_model(alone, tmp_path / "m.zip")


def test_a_checkpoint_of_correlated_noise_is_refused_for_images_of_another(tmp_path: Path) -> None:
    settings, file = IDDP(steps=6, **SMALL), tmp_path / "run.checkpoint"
    last(iter_train([correlated(0)], settings, device="cpu", checkpoint=file, checkpoint_every=0))
    with pytest.raises(ValueError, match="belongs to other training data"):
        iter_train([independent(0)], settings, device="cpu", checkpoint=file, resume=True)
