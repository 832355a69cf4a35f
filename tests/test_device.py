"""Devices that are not here: one without float64 computes everything, no step of a fit waits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from fake_device import DEVICE, fake_device

from napari_dip import (
    DIP,
    IDDP,
    N2V,
    BlindSpot,
    Guided,
    Inpaint,
    Invert,
    Nb2Nb,
    PatchDIP,
    Upscale,
    denoise,
    inpaint,
    invert_features,
    restore_guided,
    train,
    upscale,
)
from napari_dip.engine.average_weights import AverageWeights, blend_weights
from napari_dip.engine.free_memory import free_memory
from napari_dip.engine.plane import Plane
from napari_dip.methods import blind_spot
from napari_dip.settings import Trained

Y = np.random.default_rng(0).poisson(30, (40, 32)).astype("float32")
SMALL: dict[str, Any] = {"steps": 3, "channels": 3, "depth": 1, "crop": 24, "start": "blur"}
FILTER: dict[str, Any] = {"start": "learned", "filter_channels": 2, "filter_layers": 0}


def trained(how: Trained) -> np.ndarray:
    return np.asarray(denoise(Y, train(Y, how)))


RUNS: dict[str, Callable[[], Any]] = {
    "default": lambda: denoise(Y, BlindSpot(steps=3)),
    "predicted": lambda: denoise(Y, BlindSpot(steps=3, uncertainty="predicted")),
    "stack": lambda: denoise(np.stack([Y, Y[::-1]]), BlindSpot(steps=8), axes="ZYX"),
    "paper": lambda: denoise(Y, DIP.preset("paper", steps=3, channels=4)),
    "variance": lambda: denoise(Y, DIP(net="unet", steps=3, channels=4, stop="variance")),
    "patchdip": lambda: denoise(Y, PatchDIP(steps=3)),
    "patchdip paper": lambda: denoise(Y, PatchDIP.preset("paper", steps=2, channels=4)),
    "inpaint": lambda: inpaint(Y, np.eye(40, 32) > 0, Inpaint(steps=3)),
    "holes": lambda: inpaint(Y, np.eye(40, 32) > 0, Inpaint.preset("holes", steps=3, channels=4)),
    "upscale": lambda: upscale(Y, 2, Upscale(steps=3, channels=4)),
    "guided": lambda: restore_guided(Y, Y + 1, Guided(steps=3)),
    "invert": lambda: invert_features(
        Y / 60, torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3)), "0", Invert(steps=2)
    ),
    "iddp": lambda: trained(IDDP(**{**SMALL, **FILTER, "steps": 6})),
    "n2v": lambda: trained(N2V(**SMALL)),
    "nb2nb": lambda: trained(Nb2Nb(**SMALL)),
}


@pytest.mark.parametrize("run", RUNS)
def test_a_device_without_float64_computes_everything(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_device(monkeypatch) as device:
        RUNS[run]()
    assert device.waits["copied"], "the work was done on the device"


def test_a_step_of_the_default_fit_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_device(monkeypatch) as device:
        y = torch.from_numpy(Y[None] / 60).to(DEVICE)
        calls = []
        steps = blind_spot.fit(Plane(y, 0.1), BlindSpot(steps=64))
        for _ in range(13):
            device.waits.clear()
            calls.append((next(steps), dict(device.waits)))
        waits = {  # a step comes when the one after it is done: the last one's answer is finished
            after.index: count
            for (_, count), (after, _) in pairwise(calls[1:])
            if after.criterion is None  # it did not look at the whole image
        }
    assert len(waits) == 8
    assert not any(waits.values()), waits


def test_the_average_of_weights_is_that_of_torch() -> None:
    def average(old: torch.Tensor, new: torch.Tensor, n: Any) -> torch.Tensor:
        return torch.lerp(new, old, min(0.9, 1 - 1 / (n + 1)))

    torch.manual_seed(0)
    net = torch.nn.Linear(5, 5)
    theirs, ours = (
        torch.optim.swa_utils.AveragedModel(net, avg_fn=average),
        AverageWeights(net, 0.9),
    )
    for _ in range(30):
        with torch.no_grad():
            net.weight.add_(torch.randn(5, 5))
        theirs.update_parameters(net)
        ours.update(net)
    assert torch.equal(ours.net.weight, theirs.module.weight)
    blend_weights(ours.net, net, 1.0)
    assert torch.equal(ours.net.weight, net.weight)


def test_an_older_torch_does_not_say_how_much_memory_a_mac_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.mps, "recommended_max_memory", raising=False)
    assert free_memory(torch.device("mps")) > 1 << 20
