"""A device that runs out of memory in any stage: the answer is the same, and it is said once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from fake_device import DEVICE, FakeDevice, fake_device
from test_device import RUNS, Y

from napari_dip import DIP, IDDP, N2V, BlindSpot, Invert, denoise, invert_features, iter_train
from napari_dip.engine.loop import optimize
from napari_dip.engine.out_of_memory import MemoryPlan, add_gradients, in_strips, parts_of
from napari_dip.nets.blind_spot import BlindSpotNet
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.training import steps as training

RAN_OUT = "The GPU ran out of memory; "
ON_CPU = RAN_OUT + "the work goes on on the CPU, which is slower."
HALVED = RAN_OUT + "the work goes on with batches in {} parts, whose gradients are added up."
SMALL = {"steps": 6, "channels": 3, "depth": 1, "crop": 24, "batch": 4, "filter_layers": 0}


def run(
    work: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[int, int] | None = None,
) -> tuple[np.ndarray, str, FakeDevice]:
    """Run on a device with limits; return the answer, what was said, and the device."""
    with fake_device(monkeypatch) as device, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        device.fill(limits or {})
        answer = np.asarray(work())
    return answer, " ".join(str(one.message) for one in caught), device


def assert_same(answer: np.ndarray, whole: np.ndarray) -> None:
    np.testing.assert_allclose(answer, whole, rtol=0, atol=1e-4 * np.ptp(whole))


def invert() -> Any:
    torch.manual_seed(0)
    return invert_features(Y / 60, torch.nn.Conv2d(1, 2, 3), "", Invert(steps=2))


# A DIP looks at its held-out pixels more often on the CPU, where it ends.
PAPER = DIP.preset("paper", steps=3, channels=4, stop="never")
ALL = RUNS | {"paper": lambda: denoise(Y, PAPER), "invert": invert}
for like_another in ("predicted", "variance", "guided"):
    del ALL[like_another]


@pytest.mark.parametrize("name", ALL)
def test_memory_runs_out_twice_in_every_method(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, said, device = run(ALL[name], monkeypatch)
    assert RAN_OUT not in said
    limits = {int(0.6 * device.largest): 0, 20: device.operations.total() // 2}
    answer, said, _ = run(ALL[name], monkeypatch, limits)
    assert_same(answer, whole)
    assert said.count(ON_CPU) in (1, 2)  # of a training and the application of its model
    assert said.count("in 4 parts") <= 1


def test_the_whole_image_is_predicted_in_smaller_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = np.random.default_rng(1).poisson(30, (96, 160)).astype("float32")
    how = BlindSpot(channels=4, layers=1, crop=16, batch=4, steps=5)
    original, heights = BlindSpotNet.forward, []

    def forward(net: BlindSpotNet, x: torch.Tensor) -> Any:
        if not torch.is_grad_enabled():
            heights.append(min(x.shape[-2:]) - 2 * net.reach)
            if heights[-1] > 30:
                raise MemoryError
        return original(net, x)

    whole, *_ = run(lambda: denoise(wide, how, device="cpu"), monkeypatch)
    monkeypatch.setattr(BlindSpotNet, "forward", forward)
    answer, said, _ = run(lambda: denoise(wide, how, device="cpu"), monkeypatch)
    how_many = "the work goes on with whole images in 4 times as many strips."
    assert said.count("The computer ran out of memory; " + how_many) == said.count("ran out") == 1
    assert heights[:6] == [96, 48, 24, 24, 24, 24]
    assert max(heights[6:]) == 24  # remembered
    assert_same(answer, whole)


@pytest.mark.parametrize("share", [0.9, 0.1], ids=["filter", "own"])
@pytest.mark.parametrize("how", [IDDP, N2V])
def test_a_training_goes_on_with_parts_of_its_batch(
    how: Any, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = how(**SMALL, filter_channels=2, filter_share=share, start="learned")
    measures: list[Any] = []

    def work() -> np.ndarray:
        made = list(iter_train(Y, settings))
        measures.append([made[-1].loss, *made[-1].measures.values()])
        noted.extend(snapshot.note for snapshot in made if RAN_OUT in snapshot.note)
        return np.concatenate([w.flatten() for w in made[-1].model.net.state_dict().values()])

    noted: list[str] = []
    whole, _, device = run(work, monkeypatch)
    answer, _, _ = run(work, monkeypatch, {int(0.8 * device.largest): 0})
    assert noted == [HALVED.format(2)]
    np.testing.assert_allclose(answer, whole, rtol=0, atol=2e-5)
    np.testing.assert_allclose(measures[1], measures[0], rtol=1e-3)


def test_validation_and_preview_go_to_the_cpu_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work() -> np.ndarray:
        made = list(iter_train(Y, settings))
        notes.extend(snapshot.note for snapshot in made if RAN_OUT in snapshot.note)
        criteria.append(made[-1].criterion)
        assert made[-1].provenance["device"] == str(DEVICE)
        return np.asarray(made[-1].image.pixels)

    def forward(net: BlurredUNet, *args: Any) -> Any:
        if not torch.is_grad_enabled() and not net.training and args[0].device == DEVICE:
            raise torch.OutOfMemoryError("The device is out of memory.")
        return original(net, *args)

    def validation_error(net: BlurredUNet, *args: Any) -> float:
        net.eval()
        return error(net, *args)

    settings = N2V(**SMALL, start="blur", held_out_share=0.5)
    original, error = BlurredUNet.forward, training.validation_error
    notes: list[str] = []
    criteria: list[Any] = []
    whole, *_ = run(work, monkeypatch)
    monkeypatch.setattr(BlurredUNet, "forward", forward)
    monkeypatch.setattr(training, "validation_error", validation_error)
    answer, *_ = run(work, monkeypatch)
    assert notes == [RAN_OUT + "previews and validation go on on the CPU, which is slower."]
    assert criteria[0] == pytest.approx(criteria[1], rel=1e-5)
    assert_same(answer, whole)


def test_a_network_is_tried_on_the_cpu_where_the_device_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, *_ = run(invert, monkeypatch)
    answer, *_ = run(invert, monkeypatch, {Y.size // 2: 0})
    assert_same(answer, whole)


def test_parts_of_a_batch_are_equal_and_add_up() -> None:
    assert [parts_of(64, n) for n in (1, 2, 4)] == [1, 2, 4]
    assert (parts_of(9, 2), parts_of(7, 2), parts_of(3, 8)) == (3, 7, 3)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    weight, plan = torch.nn.Parameter(torch.ones(3)), MemoryPlan(torch.device("cuda"))
    sizes: list[int] = []

    def losses(parts: int) -> Iterator[torch.Tensor]:
        for part in x.chunk(parts):
            sizes.append(len(part))
            if len(part) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            yield (part * weight).square().sum()

    total = add_gradients(losses, 6, [weight], plan)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    assert not total.requires_grad
    torch.testing.assert_close(total, x.square().sum())
    torch.testing.assert_close(weight.grad, 2 * x.square().sum(0))
    assert plan.news() == HALVED.format(6)  # once, though it was halved twice
    step = next(optimize(lambda index: (total, None), [weight], 1, 0.1, x))
    assert step.loss == total


def test_strips_cover_all_rows_once() -> None:
    def work(top: int, bottom: int) -> list[int]:
        if bottom - top > 17:
            raise MemoryError
        return list(range(top, bottom))

    plan = MemoryPlan(torch.device("cpu"))
    assert list(chain(*in_strips(work, 100, 64, plan))) == list(range(100))
    assert plan.strips == 4
    with pytest.raises(MemoryError):
        list(in_strips(work, 100, 18, MemoryPlan(torch.device("cpu")), least=18))
