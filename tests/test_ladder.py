"""Memory runs out at every stage: the answer comes all the same, and it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_dip import (
    DIP,
    IDDP,
    BlindSpot,
    Inpaint,
    Model,
    denoise,
    iter_denoise,
    iter_inpaint,
    iter_train,
)
from napari_dip.engine import free_memory as room
from napari_dip.engine import out_of_memory as ladder
from napari_dip.engine.device import describe_device
from napari_dip.engine.free_memory import free_memory
from napari_dip.engine.loop import Step
from napari_dip.engine.out_of_memory import MemoryPlan, with_fallbacks
from napari_dip.errors import lack_of_memory
from napari_dip.models import tiled_apply as applying
from napari_dip.models.model import build
from napari_dip.snapshot import Snapshot

CPU, GPU = torch.device("cpu"), torch.device("cuda")
RANDOM = np.random.default_rng(0)
STACK = RANDOM.poisson(20, (3, 40, 56)).astype(np.float32)
ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB."),
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you "
        "tried to ..."
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
)


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_lack_of_memory_is_known_whoever_says_it(error: Exception) -> None:
    assert lack_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), ValueError("out of memory"), KeyError("memory")]
)
def test_other_errors_are_others(error: Exception) -> None:
    assert not lack_of_memory(error)


def test_some_memory_is_free() -> None:
    assert 1 << 20 < free_memory(CPU) < 1 << 50


def test_the_ladder_has_every_rung_once_and_an_end() -> None:
    plan = MemoryPlan(GPU, may_reduce=True)
    said = []
    plan.used = plan.pixels(512 * 512)
    while plan.fall_back(ERRORS[0]):
        said.append(plan.news())
        plan.used = 0 if plan.device == CPU else plan.pixels(512 * 512)
    assert [text.split("goes on ")[1].split()[0] for text in said] == ["in"] * 5 + ["on"]
    assert "half precision" in said[-2]
    assert "CPU" in said[-1]
    assert len(set(said)) == len(said)
    assert plan.changes == said
    assert plan.to_json() == {**describe_device(CPU), "out_of_memory": said}
    assert (plan.limit, plan.reduced) == (None, False)  # on the CPU all begins anew


def test_nothing_fitted_is_reduced() -> None:
    plan = MemoryPlan(GPU)
    plan.pixels(ladder.LEAST)
    assert plan.fall_back(ERRORS[0])
    assert "CPU" in plan.news()
    assert not plan.news()


def test_other_errors_and_the_last_rung_come_through() -> None:
    def failing(error: Exception) -> Iterator[Step]:
        raise error
        yield

    for error in (RuntimeError("shape mismatch"), MemoryError()):
        with pytest.raises(type(error)):
            next(with_fallbacks(lambda e=error: failing(e), MemoryPlan(CPU)))


@pytest.fixture(autouse=True)
def named_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))


@pytest.fixture
def model() -> Model:
    settings = IDDP(channels=4, depth=1, start="blur", orientations=2, unshuffle=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build(settings, 1)
    nn.init.normal_(net.unet.last.weight, std=0.1)
    return Model(net.eval(), settings, 1, {}, {}, "", "")


def failing_at(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, fails: Callable[..., bool]
) -> list[int]:
    """Let a method run out of memory where `fails` says so, given call number and arguments."""
    original, calls = getattr(owner, name), []

    def method(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if fails(len(calls), *args, **kwargs):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, method)
    return calls


def changes(final: Snapshot) -> list[str]:
    return list(final.image.provenance.get("out_of_memory", []))


def run(how: Any, image: np.ndarray = STACK) -> tuple[Snapshot, list[str]]:
    notes, final = [], None
    for final in iter_denoise(image, how, device="cpu"):
        notes.append(final.note)
    assert final is not None
    return final, [note for note in notes if "ran out of memory" in note]


def test_applying_a_model_goes_on_in_smaller_tiles_from_the_second_plane(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = denoise(STACK, model, device="cpu")
    monkeypatch.setattr(ladder, "LEAST", 16 * 16)
    net_class = type(model.net)
    sizes = []

    def too_large(call: int, net: nn.Module, x: Tensor, *_: Any) -> bool:
        sizes.append(x.shape[-2] * x.shape[-1])
        return call > 2 and sizes[-1] > 1500  # the first plane, in two orientations, goes well

    failing_at(monkeypatch, net_class, "forward", too_large)
    final, said = run(model)
    assert len(said) == 1
    assert said[0].count("ran out of memory") == len(changes(final)) > 0
    np.testing.assert_allclose(np.asarray(final.image.pixels), whole, rtol=1e-5)
    failed = [n for n in sizes[2:] if n > 1500]
    assert len(failed) == len(
        changes(final)
    )  # remembered: the third plane asks for no more than it gets


def test_a_model_too_large_for_the_device_goes_to_the_cpu(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = denoise(STACK, model, device="cpu")
    monkeypatch.setattr("napari_dip.engine.device.pick_device", lambda name: GPU)
    monkeypatch.setattr("napari_dip.planes.walk.READ_EVERY", 1, raising=False)
    failing_at(monkeypatch, Tensor, "to", lambda _, tensor, *args, **more: GPU in args)
    final, said = run(model)
    assert len(said) == 1
    assert "CPU" in said[0]
    assert final.image.provenance["device"] == "cpu"
    np.testing.assert_allclose(np.asarray(final.image.pixels), whole, rtol=1e-5)


FITS = [
    BlindSpot(steps=6, channels=4, layers=1),
    DIP(net="skip", steps=6, channels=4, scales=2, skip_channels=2, input_channels=2),
]


@pytest.mark.parametrize("how", FITS, ids=lambda how: how.method)
@pytest.mark.parametrize("call", [1, 4], ids=["first step", "mid-fit"])
def test_a_fit_that_runs_out_of_memory_on_a_gpu_ends_on_the_cpu(
    how: DIP, call: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    whole = denoise(STACK[:2], how, device="cpu")
    request.getfixturevalue("on_a_gpu")
    gone: list[bool] = []
    failing_at(
        monkeypatch, torch.optim.Adam, "step", lambda n, *_: n == call and not gone.append(True)
    )
    final, said = run(how, STACK[:2])
    assert final.image.shape == (2, 40, 56)
    assert len(said) == len(changes(final)) == 1
    assert final.image.provenance["device"] == "cpu"
    np.testing.assert_allclose(np.asarray(final.image.pixels), whole, rtol=1e-4)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is a CPU."""
    original, module = Tensor.to, nn.Module.to

    def to(tensor: Tensor, *args: Any, **more: Any) -> Tensor:
        return original(tensor, *(CPU if a == GPU else a for a in args), **more)

    monkeypatch.setattr(Tensor, "to", to)
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, device=CPU, **more: zeros(*size, **more))
    monkeypatch.setattr(
        nn.Module, "to", lambda net, device: module(net, CPU if device == GPU else device)
    )
    # The first imports the module, which would otherwise keep the second for good.
    monkeypatch.setattr("napari_dip.training.processes.pick_device", lambda name: GPU)
    monkeypatch.setattr("napari_dip.engine.device.pick_device", lambda name: GPU)


@pytest.mark.usefixtures("on_a_gpu")
def test_a_training_that_runs_out_of_memory_goes_on_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    how = IDDP(
        steps=12, channels=4, depth=1, filter_channels=4, filter_layers=1, crop=16, filter_share=0.5
    )
    failing_at(monkeypatch, torch.optim.Adam, "step", lambda n, *_: n == 8)
    made = list(iter_train(STACK, how))
    assert [snapshot.step for snapshot in made][-1] == 12
    assert sum("ran out of memory" in snapshot.note for snapshot in made) == 1
    assert made[-1].provenance["device"] == "cpu"
    assert denoise(STACK[0], made[-1].model, device="cpu").shape == STACK[0].shape


@pytest.mark.usefixtures("on_a_gpu")
def test_a_restoration_that_runs_out_of_memory_ends_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = STACK[:2].copy()
    image[:, 5:8, 9] = np.nan
    failing_at(monkeypatch, torch.optim.Adam, "step", lambda n, *_: n == 3)
    made = list(iter_inpaint(image, how=Inpaint(steps=4, channels=4, layers=1)))
    assert sum("ran out of memory" in snapshot.note for snapshot in made) == 1
    assert len(changes(made[-1])) == 1
    assert np.isfinite(np.asarray(made[-1].image.pixels)).all()


def test_tiles_are_as_large_as_memory_allows(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = []
    for megabytes in (1, 50, 200, 100_000):
        monkeypatch.setattr(room, "free_memory", lambda device, n=megabytes: n << 20)
        sides.append(applying.tile_side(model.net, CPU, 1, 10_000))
    assert sides == sorted(sides)
    assert sides[0] == 128
    assert sides[-1] == applying.TILE
    assert sides[1] < sides[2]
    assert applying.tile_side(model.net, CPU, 1, 300) == 300


@pytest.mark.parametrize("how", FITS, ids=lambda how: how.method)
def test_an_image_too_large_for_one_fit_goes_in_tiles(
    how: DIP, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = RANDOM.poisson(30, (150, 210)).astype(np.float32)
    image[:, 100:] *= 3
    monkeypatch.setattr(ladder, "LEAST", 64 * 64)
    monkeypatch.setattr("napari_dip.engine.tiled_fit.LEAST", 64 * 64)
    monkeypatch.setattr(room, "free_memory", lambda device: 0)
    notes, steps = [], []
    for final in iter_denoise(image, how, device="cpu"):
        steps.append(final.step)
        notes += [final.note] if "tiles" in final.note else []
        assert final.chosen <= final.step <= final.total == how.steps
    assert steps == sorted(steps)
    assert len(notes) == 1
    (told,) = final.image.provenance["for_lack_of_memory"]
    assert told in notes[0]  # so short a fit from noise is also told to be too bright
    assert np.asarray(final.image.pixels).shape == image.shape


@pytest.mark.parametrize("shape", [(20, 21), (17, 40), (40, 41)])
def test_an_image_that_fits_goes_at_once_whatever_its_shape(shape: tuple[int, int]) -> None:
    final = None
    for final in iter_denoise(
        RANDOM.poisson(30, shape).astype(np.float32), BlindSpot(steps=2, channels=4), device="cpu"
    ):
        assert "tiles" not in final.note
    assert final is not None and "for_lack_of_memory" not in final.image.provenance


def test_tiles_blend_into_one_image() -> None:
    from napari_dip.engine.plane import Plane
    from napari_dip.engine.tiled_fit import _fit_tiles
    from napari_dip.engine.tiles import Tiles

    y = torch.from_numpy(RANDOM.normal(size=(1, 90, 130)))

    def fit(tile: Plane) -> Iterator[Step]:
        part = tile.y
        for index in range(1, 5):
            yield Step(index, part.mean(), part, part / 2, index, std=torch.ones_like(part))

    tiles = Tiles(90, 130, 50, 40)
    *_, end = _fit_tiles(fit, Plane(y, 0.1), 4, tiles, tiles, 1)
    torch.testing.assert_close(end.answer, y / 2)
    torch.testing.assert_close(end.std, torch.ones_like(y))
    assert (end.index, end.chosen) == (4, 4)


def test_a_fit_in_tiles_keeps_the_brightness_and_shows_no_seam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flat = RANDOM.poisson(100, (96, 160)).astype(np.float32)
    how = BlindSpot(steps=30, channels=8, layers=2)
    whole = denoise(flat, how, device="cpu")
    monkeypatch.setattr("napari_dip.engine.tiled_fit.LEAST", 64 * 64)
    monkeypatch.setattr(room, "free_memory", lambda device: 0)
    pieces = denoise(flat, how, device="cpu")
    assert abs(pieces.mean() - flat.mean()) < 0.3
    assert pieces.std() < 1.3 * whole.std() + 0.3
