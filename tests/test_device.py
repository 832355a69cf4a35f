"""Devices that are not here: one without float64 computes everything, no step of a fit waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from fake_device import DEVICE, fake_device

from napari_dip import (
    CVFSID,
    DIP,
    IDDP,
    N2V,
    ZSN2N,
    Blind2Unblind,
    BlindSpot,
    Guided,
    Image,
    Inpaint,
    Invert,
    Nb2Nb,
    Noise2Fast,
    PatchDIP,
    Self2Self,
    Upscale,
    denoise,
    inpaint,
    invert_features,
    restore_guided,
    train,
    upscale,
)
from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.engine.average_weights import AverageWeights, blend_weights
from napari_dip.engine.device import describe_device, device_name, pick_device
from napari_dip.engine.free_memory import free_memory
from napari_dip.engine.loop import Step
from napari_dip.engine.out_of_memory import MemoryPlan
from napari_dip.engine.plane import Plane
from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings, Trained
from napari_dip.training.crops import Crops
from napari_dip.training.state import State
from napari_dip.training.steps import training_steps

Y = np.random.default_rng(0).poisson(30, (40, 32)).astype("float32")
SMALL: dict[str, Any] = {"steps": 3, "channels": 3, "depth": 1, "crop": 24, "start": "blur"}
FILTER: dict[str, Any] = {"start": "blind-spot", "filter_channels": 2, "filter_layers": 0}


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
    "zs-n2n": lambda: denoise(Y, ZSN2N(steps=3, channels=4)),
    "noise2fast": lambda: denoise(Y, Noise2Fast(steps=3, channels=4)),
    "self2self": lambda: denoise(Y, Self2Self(steps=3, channels=4)),
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
    "b2u": lambda: trained(Blind2Unblind(**SMALL)),
    "cvf-sid": lambda: trained(CVFSID(**SMALL)),
}


@pytest.mark.parametrize("run", RUNS)
def test_a_device_without_float64_computes_everything(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_device(monkeypatch) as device:
        RUNS[run]()
    assert device.waits["copied"], "the work was done on the device"


def fitted(how: Settings) -> Iterator[Step]:
    y = torch.from_numpy(Y[None] / 60).to(DEVICE)
    steps: Iterator[Step] = METHODS[how.method].function()(Plane(y, 0.1), how)
    return steps


def training(how: Trained, share: float) -> Iterator[Step]:
    data = build_dataset(Y).with_noise(how.stabilise)
    how = how.model_copy(update={"filter_share": share})
    state = State(how, 1, DEVICE)
    crops = Crops(
        data, 24, stabilise=True, held_out_share=how.held_out_share, generator=state.generator
    )
    return training_steps(state, crops, {}, every=10)


# What a step does on the device: operations, and copies from the host's memory, which a GPU takes
# from pinned memory without waiting. These may only fall.
STEPS: dict[str, tuple[Callable[[], Iterator[Step]], int, int]] = {
    "blind-spot": (lambda: fitted(BlindSpot(steps=64)), 70, 0),
    "dip": (lambda: fitted(DIP(steps=64)), 365, 0),
    "patchdip": (lambda: fitted(PatchDIP(steps=640)), 290, 1),
    "zs-n2n": (lambda: fitted(ZSN2N(steps=640)), 120, 0),
    "noise2fast": (lambda: fitted(Noise2Fast(steps=640)), 66, 0),
    "self2self": (lambda: fitted(Self2Self(steps=640)), 255, 0),
    "filter": (lambda: training(IDDP(steps=1000), 0.99), 104, 1),
    "iddp": (lambda: training(IDDP(steps=1000), 0.001), 319, 2),
    "n2v": (lambda: training(N2V(steps=1000), 0.001), 110, 3),
    "nb2nb": (lambda: training(Nb2Nb(steps=1000), 0.001), 160, 2),
    "b2u": (lambda: training(Blind2Unblind(steps=1000), 0.001), 270, 1),
    "cvf-sid": (lambda: training(CVFSID(steps=1000), 0.001), 2125, 1),
}


def count_steps(
    begin: Callable[[], Iterator[Step]], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[dict[str, int], int]]:
    """Return waits and operations of steps that neither look at the image nor are a tenth one."""
    done = []
    with fake_device(monkeypatch) as device:
        steps = begin()
        for _ in range(13):
            device.waits.clear()
            device.operations.clear()
            step = next(steps)
            done.append((step, dict(device.waits), device.operations.total()))
    return [  # a step comes when the one after it is done: the last one's answer is finished
        (waits, count)
        for (step, waits, count), (after, *_) in pairwise(done[2:])
        # It did not look at the whole image, nor was it one of every tenth that are read.
        if after.criterion is None and step.index % 10
    ]


@pytest.mark.parametrize("method", STEPS)
def test_a_step_waits_for_nothing_and_does_no_more_than_it_did(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, operations, copies = STEPS[method]
    plain = count_steps(begin, monkeypatch)
    assert len(plain) >= 5
    assert all("read" not in waits for waits, _ in plain), plain
    assert all(waits.get("copied", 0) <= copies for waits, _ in plain), plain
    assert min(count for _, count in plain) <= operations


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
    torch.testing.assert_close(ours.net.weight, theirs.module.weight)
    blend_weights(ours.net, net, 1.0)
    assert torch.equal(ours.net.weight, net.weight)


def test_an_older_torch_does_not_say_how_much_memory_a_mac_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.mps, "recommended_max_memory", raising=False)
    assert free_memory(torch.device("mps")) > 1 << 20


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch as it says that there are two NVIDIA GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.mark.usefixtures("two_gpus")
def test_one_of_several_gpus_is_chosen_by_its_number() -> None:
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda")
    assert pick_device("cuda:1") == pick_device(torch.device("cuda", 1)) == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"machine has 2 CUDA device.*counted from 0.*auto or cpu"):
        pick_device("cuda:2")
    for name in ("cuda:-1", "cuda:one", "gpu"):
        with pytest.raises(ValueError, match="There is no device"):
            pick_device(name)


@pytest.mark.usefixtures("two_gpus")
def test_provenance_names_the_device_its_precision_and_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = torch.get_num_threads()
    gpu = {"device": "cuda:1", "device_name": "GPU cuda:1", "precision": "TF32", "threads": threads}
    assert describe_device(torch.device("cuda:1")) == gpu
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert describe_device(torch.device("cuda:1")) == gpu | {"precision": "float32"}
    assert device_name(torch.device("mps")) == "Apple GPU"
    assert len(device_name(torch.device("cpu"))) > 2
    reduced = MemoryPlan(torch.device("cuda:1"), reduced=True, changes=["changed"])
    assert reduced.to_json()["precision"] == "float16"


def test_every_answer_and_model_says_what_computed_it() -> None:
    model = train(Y, N2V(**SMALL), device="cpu")
    image = Image(Y)
    made = [denoise(image, how, device="cpu").provenance for how in (BlindSpot(steps=2), model)] + [
        model.training
    ]
    wanted = describe_device(torch.device("cpu")).items()
    assert all(wanted <= one.items() for one in made)
