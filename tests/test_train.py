"""Training: it learns, resumes to the same weights, notices a collapse, and its models denoise."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from napari_dip import (
    IDDP,
    N2N,
    N2V,
    DenoiseError,
    Image,
    Nb2Nb,
    Supervised,
    denoise,
    iter_train,
    last,
    load_model,
    train,
    write,
)
from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.engine.loop import SCHEDULES, Step
from napari_dip.methods import registry
from napari_dip.models.model import build
from napari_dip.nets.blind_spot_filter import AdaptiveBlur
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.nets.gaussian import blur as gaussian_blur
from napari_dip.settings import Settings, Trained
from napari_dip.training.collapse import MOST_RETURNS, CollapseWatch, measure
from napari_dip.training.crops import Crops
from napari_dip.training.losses import iddp, n2v, nb2nb
from napari_dip.training.processes import ALONE
from napari_dip.training.state import State
from napari_dip.training.steps import _Figures, _judge, training_steps

TRAINED = registry.settings_classes(registry.TRAINED)

SMALL = {
    "channels": 6,
    "depth": 1,
    "crop": 32,
    "batch": 2,
    "filter_channels": 6,
    "filter_layers": 1,
}
BLUR = {**SMALL, "start": "blur"}


def scene(size: int = 96) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return 60 + 40 * np.sin(y / 5) * np.cos(x / 7)


def repeats(count: int = 4, size: int = 96) -> Image:
    return Image(
        np.random.default_rng(0).poisson(np.broadcast_to(scene(size), (count, size, size))), "TYX"
    )


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.asarray(a, dtype=float) - b) ** 2)))


@pytest.mark.parametrize("start", ["blind-spot", "blur"])
@pytest.mark.parametrize("how", [IDDP, N2V, Nb2Nb, N2N, Supervised], ids=lambda cls: cls.method)
def test_every_method_learns_to_denoise(how: type[Settings], start: str) -> None:
    data = repeats()
    targets = [scene()] * 4 if how is Supervised else None
    settings = how(
        steps=40, learning_rate=0.004, averaging=0.9, filter_share=0.5, **{**SMALL, "start": start}
    )
    if how is Supervised:
        data = list(np.asarray(data.pixels))
    model = train(data, settings, targets=targets)
    fresh = np.random.default_rng(9).poisson(scene())
    assert rmse(denoise(fresh, model), scene()) < 0.45 * rmse(fresh, scene())


@pytest.mark.parametrize("how", [N2V, Nb2Nb, N2N, Supervised], ids=lambda cls: cls.method)
def test_a_method_learns_to_denoise_by_its_own_steps_alone(how: type[Trained]) -> None:
    settings = how(steps=120, learning_rate=0.01, averaging=0.9, channels=12, depth=1, crop=32)
    data = list(np.asarray(repeats().pixels))
    targets = {Supervised: [scene()] * 4, N2N: [*data[1:], data[0]]}.get(how)
    model = train(data, settings, targets=targets)
    fresh = np.random.default_rng(9).poisson(scene())
    assert model.net.filter is None
    assert rmse(denoise(fresh, model), scene()) < 0.75 * rmse(fresh, scene())


def test_all_steps_of_a_method_are_its_own_but_of_iddp_a_tenth() -> None:
    filters = {name: cls().filter_steps for name, cls in TRAINED.items()}
    assert filters.pop("iddp") == 4050 == 0.9 * IDDP().steps
    assert not any(filters.values())
    assert IDDP.preset("paper").filter_steps == 0
    assert N2V(start="blind-spot").filter_steps == 4050


def test_a_stream_shows_preview_measures_and_model() -> None:
    shots = list(
        iter_train(repeats(), IDDP(steps=30, filter_share=0.2, **SMALL), preview=repeats(1, 40))
    )
    assert [s.step for s in shots] == list(range(1, 31)) and shots[-1].total == 30
    end = shots[-1]
    assert end.noisy is not None and end.image.shape == end.noisy.shape == (40, 40)
    assert rmse(end.image.pixels, scene(40)) < rmse(end.noisy.pixels, scene(40))
    assert {"passed", "contrast", "learning_rate"} <= set(end.measures)
    assert end.measures["learning_rate"] < shots[20].measures["learning_rate"]
    early, late = (shots[k].model.net.state_dict() for k in (0, 29))
    assert any(not torch.equal(early[name], late[name]) for name in early), (
        "a snapshot keeps the weights of its step"
    )
    assert end.criterion is not None and math.isfinite(end.criterion)


@pytest.mark.parametrize("as_file", [False, True], ids=["array", "file"])
def test_axes_are_those_of_data_and_preview_too(as_file: bool, tmp_path: Path) -> None:
    stack: Any = np.moveaxis(np.asarray(repeats(3, 40).pixels), 0, -1).astype(
        "float32"
    )  # (Y, X, Z)
    plane = stack[:32, :, 0]  # a preview of other axes than the stack
    if as_file:
        tifffile.imwrite(
            tmp_path / "a.tif", stack, photometric="minisblack"
        )  # says nothing of its axes
        stack = tmp_path / "a.tif"
    for preview, shape in ((stack, (40, 40)), (plane, (32, 40))):
        first = next(
            iter_train(stack, IDDP(steps=2, **SMALL), preview=preview, axes="YXZ", device="cpu")
        )
        assert first.image.axes == "YX" and first.image.shape == shape


def test_validation_is_about_the_noise_where_the_network_is_good() -> None:
    final = last(iter_train(repeats(2, 192), IDDP(steps=30, held_out_share=0.3, **SMALL)))
    assert final.criterion is not None and 0.9 < final.criterion < 1.6


def weights(model) -> dict[str, torch.Tensor]:
    return model.net.state_dict()


@pytest.mark.parametrize("stop_at", [1, 56, 57, 68])
def test_a_resumed_training_ends_with_the_same_weights(stop_at: int, tmp_path: Path) -> None:
    settings = IDDP(
        steps=70, filter_channels=2, filter_layers=0, channels=2, depth=0, crop=16, batch=1
    )
    unbroken = train(repeats(), settings)
    checkpoint = tmp_path / "c.safetensors"
    stream = iter_train(repeats(), settings, checkpoint=checkpoint)
    stopped = list(islice(stream, stop_at))
    stream.close()
    assert stopped[-1].step == stop_at and [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]
    resumed = last(iter_train(repeats(), settings, checkpoint=checkpoint, resume=True))
    for name, weight in weights(unbroken).items():
        assert torch.equal(weight, weights(resumed.model)[name]), name


def test_a_checkpoint_is_no_model(tmp_path: Path) -> None:
    settings = IDDP(
        steps=70, filter_channels=2, filter_layers=0, channels=2, depth=0, crop=16, batch=1
    )
    stream = iter_train(repeats(), settings, checkpoint=tmp_path / "c.safetensors")
    next(stream)
    stream.close()
    with pytest.raises(ValueError, match="is the checkpoint of a training"):
        load_model(tmp_path / "c.safetensors")


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.safetensors"
    settings = IDDP(steps=3, **SMALL)
    last(iter_train(repeats(), settings, checkpoint=checkpoint))
    for data, how, words in (
        (repeats(), IDDP(steps=3, alpha=0.2, **SMALL), "alpha"),
        (repeats(5), settings, "other training data"),
        (repeats(), N2V(steps=3, **SMALL), "other settings"),
    ):
        with pytest.raises(ValueError, match=words):
            iter_train(data, how, checkpoint=checkpoint, resume=True)
    with pytest.raises(FileNotFoundError):
        iter_train(repeats(), settings, checkpoint=tmp_path / "none.safetensors", resume=True)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-40])
    with pytest.raises(ValueError, match="cut short"):
        iter_train(repeats(), settings, checkpoint=checkpoint, resume=True)


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    first, same, other = (train(repeats(), IDDP(steps=3, seed=seed, **SMALL)) for seed in (1, 1, 2))
    names = weights(first)
    assert all(torch.equal(weights(first)[n], weights(same)[n]) for n in names)
    assert any(not torch.equal(weights(first)[n], weights(other)[n]) for n in names)


def test_a_collapse_is_noticed_and_training_goes_back_then_gives_up() -> None:
    watch = CollapseWatch()
    assert not watch.update(50, 1.0, {"passed": 0.9, "contrast": 1.0}), (
        "nothing is alarming at the start"
    )
    watch = CollapseWatch(passed=0.05, contrast=1.0)
    notes = [watch.update(200 + k, 1.0, {"passed": 0.98, "contrast": 1.0}) for k in range(20)]
    assert not notes[0] and "noise" in notes[-1] and not watch.is_healthy()
    assert "went back" in watch.go_back(notes[-1], 220)
    assert (
        "contrast"
        in [
            watch.update(300 + k, 1.0, {"passed": 0.05, "contrast": 1.0 * (k < 5)})
            for k in range(60)
        ][-1]
    )
    assert "number" in watch.update(400, math.nan, {})
    with pytest.raises(DenoiseError, match="alpha"):
        for _ in range(MOST_RETURNS):
            watch.go_back("it collapsed", 401)
    with pytest.raises(DenoiseError, match="without a denoiser"):
        CollapseWatch(passed=0.9, contrast=1.0).check_end(500)


def test_an_answer_that_runs_away_is_noticed_at_once() -> None:
    watch = CollapseWatch(passed=0.04, contrast=1.0)
    assert not watch.update(5498, 0.005, {"passed": 0.04, "contrast": 1.1}) and watch.is_healthy()
    notes = [watch.update(5499 + n, 3000.0, {"passed": 0.99, "contrast": 60.0}) for n in range(2)]
    assert "times the contrast" in notes[1] and not watch.is_healthy()


def test_an_exploding_training_ends_with_the_reason() -> None:
    wild = IDDP(
        steps=400,
        known_level=False,
        learning_rate=1.0,
        gain=10.0,
        alpha=0.0,
        schedule="constant",
        **BLUR,
    )
    with pytest.raises(DenoiseError, match="going back 3 times did not help"):
        train(repeats(), wild)


def crops(size: int = 32) -> torch.Tensor:
    return torch.randn((2, 1, size, size), generator=torch.Generator().manual_seed(0)) / 3


def test_the_indicator_tells_a_denoiser_from_the_identity() -> None:
    class Identity(BlurredUNet):
        def smooth(self, y: torch.Tensor) -> torch.Tensor:
            return gaussian_blur(y, 1.0)

        def forward(self, y: torch.Tensor, smooth: torch.Tensor | None = None) -> torch.Tensor:
            return y * (1 - 1e-3)

    generator = torch.Generator().manual_seed(0)
    nets = build(IDDP(**BLUR), 1), Identity()
    blur, same = (measure(iddp.loss(net, crops(), None, IDDP(), generator, 0.0)[1]) for net in nets)
    assert blur["passed"] < 0.3 < 0.9 < same["passed"]


def test_the_loss_is_eq_11_and_its_variants_differ() -> None:
    net = build(IDDP(**BLUR), 1)
    with torch.no_grad():
        net.unet.last.weight.fill_(0.05)

    def gradient(**changes) -> torch.Tensor:
        net.zero_grad()
        total, _ = iddp.loss(
            net, crops(), None, IDDP(**changes), torch.Generator().manual_seed(0), 0.0
        )
        total.backward()
        return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])

    base = gradient()
    for changes in (
        {"stop_gradient": False},
        {"target": "image"},
        {"target": "image-alone"},
        {"gain": 1.2},
        {"alpha": 0.3},
        {"known_level": False},
    ):
        assert not torch.allclose(base, gradient(**changes)), changes
    y = crops()
    with torch.no_grad():
        eta = net(y)
        m = iddp.signs(y, torch.Generator().manual_seed(0))
        blur = gaussian_blur(y, 1.0)
        by_hand = (
            0.15 * (eta - blur).square().mean() + (net(eta + m * (y - eta)) - eta).square().mean()
        )
    plain = IDDP(known_level=False)
    total, _ = iddp.loss(net, crops(), None, plain, torch.Generator().manual_seed(0), 0.0)
    assert float(total) == pytest.approx(float(by_hand), rel=1e-6)


def test_the_papers_other_losses_and_its_averaging_filter() -> None:
    net, y = BlurredUNet(1, 4, 1, "blur", box=3), crops()
    mean = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(y, [1] * 4, mode="reflect"), 3, 1, 0
    )
    with torch.no_grad():
        assert torch.allclose(net(y), mean, atol=1e-6)  # its U-Net starts at 0
        alone, seen = iddp.loss(
            net, y, None, IDDP(target="image-alone"), torch.Generator().manual_seed(0), 0.0
        )
        total, _ = iddp.loss(
            net,
            y,
            None,
            IDDP(target="image", alpha=2.0, known_level=False),
            torch.Generator().manual_seed(0),
            0.0,
        )
        m = iddp.signs(y, torch.Generator().manual_seed(0))
        again = (net(mean + m * (y - mean)) - mean).square().mean()
    assert seen == {} and torch.isclose(alone, (mean - y).square().mean())
    assert torch.isclose(total, 2 * (mean - y).square().mean() + again)
    with pytest.raises(ValueError, match="odd side"):
        IDDP(box=4)


def test_the_preset_of_the_paper_is_the_papers() -> None:
    s = IDDP.preset("paper")
    factor = SCHEDULES[s.schedule](s.steps)
    rates = [factor(n) for n in (1, 1_000_000, 1_500_001, 2_000_000)]
    assert rates == pytest.approx([1, 1, 0.5, 0], abs=2e-6)  # no warm-up, to 0
    assert (s.clip, s.box, s.alpha, s.batch, s.crop, s.filter_steps) == (0, 3, 0.001, 1, 128, 0)
    model = train(repeats(), IDDP.preset("paper", steps=2, channels=2, crop=32), device="cpu")
    assert model.net.box == 3 and model.to_json()["network"]["box"] == 3


def test_the_learned_filter_is_blind_to_a_pixel_and_starts_as_a_blur() -> None:
    net = AdaptiveBlur(1, 4, 2)
    with torch.no_grad():
        for weight in net.around.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    y = torch.randn((1, 1, 41, 41), generator=torch.Generator().manual_seed(0)).requires_grad_()
    mean, variance = net.predict(y)
    slope = torch.autograd.grad((mean + variance)[0, 0, 20, 20], y)[0][0, 0]
    assert slope[20, 20].abs() < 1e-6 < slope[20, 21].abs() and slope[19, 20].abs() > 1e-6
    flat = torch.full((1, 1, 40, 40), 2.0)
    assert torch.allclose(AdaptiveBlur(1, 4, 2)(flat), flat, atol=1e-4)
    noise = torch.randn((1, 1, 128, 128), generator=torch.Generator().manual_seed(2)) / 3
    assert AdaptiveBlur(1, 4, 2)(noise).std() < 0.5 * noise.std()


def test_redrawn_noise_is_brought_up_to_its_level_but_not_down_or_far() -> None:
    weak, strong, none = (s * crops() for s in (0.8, 1.5, 0.1))
    assert iddp.up_to_level(weak).std() == pytest.approx(1 / 3, rel=0.05)
    assert torch.equal(iddp.up_to_level(strong), strong)
    assert torch.allclose(iddp.up_to_level(none), iddp.MOST_SCALED * none)


def test_signs_are_fair() -> None:
    m = iddp.signs(torch.zeros(2, 1, 63, 65), torch.Generator().manual_seed(0))
    assert set(m.unique().tolist()) == {-1.0, 1.0} and abs(float(m.mean())) < 0.05
    assert m.shape == (2, 1, 63, 65)


def test_hidden_pixels_are_replaced_by_others_near_them() -> None:
    y = torch.arange(2 * 20 * 20.0).reshape(2, 1, 20, 20)
    hidden, filled = n2v.hide(y, 0.3, 2, torch.Generator().manual_seed(0))
    assert 0.2 < float(hidden.mean()) < 0.4
    assert torch.equal(filled[hidden == 0], y[hidden == 0])
    inner = hidden.clone()
    inner[..., :2, :] = inner[..., -2:, :] = inner[..., :2] = inner[..., -2:] = (
        0  # the border is mirrored
    )
    moved = (filled - y)[inner > 0]
    assert (moved != 0).all()
    rows = torch.round(moved / 20)
    assert rows.abs().max() == 2 and (moved - 20 * rows).abs().max() == 2


def test_the_two_halves_are_neighbours() -> None:
    y = torch.arange(8 * 8.0).reshape(1, 1, 8, 8)
    pairs = torch.tensor(nb2nb.PAIRS)[
        torch.randint(8, (1, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    ]
    first, second = (nb2nb.sample_pixels(y, pairs[..., k]) for k in (0, 1))
    assert set((first - second).abs().unique().tolist()) <= {1.0, 8.0}
    assert torch.equal(
        torch.div(first, 16, rounding_mode="floor"),
        torch.arange(4.0).view(1, 1, 4, 1).expand(1, 1, 4, 4),
    )


@pytest.mark.parametrize("method", TRAINED)
def test_settings_of_every_preset_build(method: str) -> None:
    for preset in TRAINED[method].presets:
        settings = TRAINED[method].preset(preset)
        assert settings.to_json()["method"] == method
        assert build(settings, 2, "meta").unet is not None


def test_images_without_noise_are_left_out_and_named() -> None:
    noisy = np.random.default_rng(0).poisson(20, (64, 64))
    data = [
        Image(noisy, "YX", name="cells"),
        *(Image(np.full((64, 64), 7), "YX", name=f"blank{i}") for i in range(4)),
    ]
    first = next(iter_train(data, IDDP(steps=2, **BLUR)))
    assert (
        "Left out, since no noise could be measured in them: blank0, blank1, blank2 and 1 more."
        in first.note
    )
    with pytest.raises(ValueError, match="blank0 has no noise"):
        iter_train(data[1:], IDDP(steps=2, **BLUR))
    data[0] = data[0].with_pixels(np.where(noisy == noisy.max(), np.nan, noisy))
    with pytest.raises(ValueError, match="cells has non-finite pixels"):
        iter_train(data, IDDP(steps=2, **BLUR))


def test_wrong_calls_are_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="trained method"):
        iter_train(repeats(), "iddp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="trained first"):
        denoise(scene(), IDDP())
    with pytest.raises(ValueError, match="two captures"):
        iter_train(scene(), N2N())
    with pytest.raises(ValueError, match="clean image"):
        iter_train(repeats(), Supervised())
    for how in (IDDP(), N2V(), Nb2Nb()):
        with pytest.raises(ValueError, match=f"{how.method}.* takes no targets"):
            iter_train(repeats(), how, targets=repeats())
    for every in (math.nan, -1.0):
        with pytest.raises(ValueError, match="checkpoint_every is"):
            iter_train(repeats(), checkpoint_every=every)
    rgb = Image(np.random.default_rng(0).poisson(30, (40, 40, 3)).astype("uint8"), "YXC")
    model = train(rgb, IDDP(steps=2, colours="together", **SMALL))
    assert np.asarray(denoise(rgb, model).pixels).shape == (40, 40, 3)
    with pytest.raises(ValueError, match="3 colours"):
        denoise(scene(), model)


def test_images_that_are_their_own_targets_are_refused(tmp_path: Path) -> None:
    noisy = np.asarray(repeats(2).pixels)
    write(tmp_path / "a.tif", Image(noisy[0]))
    write(tmp_path / "b.tif", Image(noisy[0]))
    write(tmp_path / "c.tif", Image(noisy[1]))
    a, b, c = (tmp_path / f"{letter}.tif" for letter in "abc")
    for data, targets in (
        (a, a),
        (a, b),
        ([c, a], [a, b]),
        (noisy, noisy),
        (noisy[0], noisy[0].copy()),
    ):
        for how in (N2N(steps=1, **BLUR), Supervised(steps=1, **BLUR)):
            with pytest.raises(ValueError, match="its own target"):
                iter_train(data, how, targets=targets)
    iter_train(a, N2N(steps=1, **BLUR), targets=c)
    blank = np.zeros_like(noisy[0])
    note = next(iter_train([noisy[0], blank], N2N(steps=1, **BLUR), targets=[noisy[1], blank])).note
    assert "Left out" in note


def test_figures_read_together_tell_the_same() -> None:
    def run(every: int) -> tuple[list[tuple[int, float]], State]:
        settings = IDDP(steps=34, filter_share=0.3, **SMALL)
        data = build_dataset(repeats())
        state = State(settings, 1, torch.device("cpu"))
        crops = Crops(data, 32, stabilise=True, held_out_share=0.05, generator=state.generator)
        measures: dict[str, float] = {}
        steps = training_steps(state, crops, measures, every=every)
        return [
            (s.index, measures["contrast"]) for s in steps if s.index % 10 == 0 and s.index > 10
        ], state

    (often, first), (seldom, second) = run(1), run(10)
    assert often == seldom and first.watch == second.watch
    for name, weight in first.weights().items():
        assert torch.equal(weight, second.weights()[name]), name


def test_an_alarm_among_figures_read_together_goes_back() -> None:
    state = State(IDDP(**BLUR), 1, torch.device("cpu"))
    state.good = state.weights()
    with torch.no_grad():
        state.net.unet.last.weight.add_(1)
    figures = _Figures()
    for index in range(200, 210):
        loss = torch.tensor(math.nan if index == 204 else 1.0)
        figures.add(Step(index, loss, None, torch.zeros(1), 0), {"passed": torch.tensor(0.05)})
    note = _judge(state, figures.read(ALONE))
    assert "At step 204 the loss is no number" in note and state.watch.returns == 1
    assert float(state.net.unet.last.weight.detach().abs().max()) == 0
    assert figures.unread == []


def test_a_model_warns_of_images_that_it_does_not_know() -> None:
    model = train(repeats(), IDDP(steps=2, **SMALL)).with_orientations(8)
    from napari_dip import iter_denoise

    alike = list(iter_denoise(repeats(1), model))
    assert not any("differs" in shot.note for shot in alike)
    assert [shot.step for shot in alike] == list(range(1, 9))
    strange = np.random.default_rng(0).poisson(scene() * 400.0)
    assert "contrast" in next(iter(iter_denoise(strange, model))).note
