"""The loop and its filters, most of them on plain lists of steps."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
import torch

from napari_dip import DIP, BlindSpot, DenoiseError, Image, iter_denoise, last
from napari_dip.denoising import fit_image
from napari_dip.engine.device import pick_device, seeded
from napari_dip.engine.filters import (
    averaged,
    backtracked,
    early_stopped,
    ended_at_nan,
    finished,
    held_out_error,
    moving_variance,
    thinned,
)
from napari_dip.engine.loop import Step, adam_for, optimize
from napari_dip.engine.plane import Plane
from napari_dip.settings import Settings


def steps(values: list[float | None]) -> Iterator[Step]:
    """One step a value; None is a step that did not look at the image."""
    answer = torch.zeros(1, 1, 1)
    for index, value in enumerate(values, 1):
        output = None if value is None else torch.full((1, 1, 1), float(value))
        answer = answer if output is None else output
        yield Step(index, torch.tensor(1.0), output, answer, index)


def test_averaged_forgets_the_start_averages_plainly_and_forgets_later() -> None:
    out = [s.answer.item() for s in averaged(steps([100, 1, 3, 5, None, 7]), 0.75)]
    assert out == pytest.approx([100, 1, 2, 3, 3, 4])
    out = [s.answer.item() for s in averaged(steps([0.0] * 50 + [1.0]), 0.9)]
    assert out[-1] == pytest.approx(0.1)


def test_averaged_with_no_memory_changes_nothing() -> None:
    assert [s.answer.item() for s in averaged(steps([1, 5, 2]), 0.0)] == [1, 5, 2]


def test_early_stopped_keeps_the_best_and_ends_after_patience() -> None:
    seen = list(early_stopped(steps([5, 3, 1, 2, 4, 6, 0]), lambda s: s.output.item(), patience=3))
    assert [s.index for s in seen] == [1, 2, 3, 4, 5, 6]
    assert [s.chosen for s in seen] == [1, 2, 3, 3, 3, 3]
    assert seen[-1].answer.item() == 1


def test_early_stopped_reads_only_outputs() -> None:
    seen = list(
        early_stopped(steps([4, None, 2, None, None]), lambda s: s.output.item(), patience=9)
    )
    assert [s.chosen for s in seen] == [1, 1, 3, 3, 3]
    assert [s.criterion for s in seen] == [4, None, 2, None, None]


def test_early_stopped_never_takes_a_nan() -> None:
    seen = list(early_stopped(steps([4, math.nan, 2]), lambda s: s.output.item(), patience=9))
    assert [s.chosen for s in seen] == [1, 1, 3]


def test_early_stopped_follows_the_newest_answer_while_the_criterion_cannot_judge() -> None:
    values = iter([math.inf, math.inf, 3.0, 5.0])
    seen = list(early_stopped(steps([4, 7, 2, 9]), lambda _: next(values), patience=9))
    assert [s.chosen for s in seen] == [1, 2, 3, 3]


def test_only_the_last_answer_is_finished() -> None:
    def finish(step: Step) -> Step:
        return replace(step, answer=step.answer + 10)

    assert [s.answer.item() for s in finished(steps([1, 2, None]), finish)] == [1, 2, 12]
    assert list(finished(steps([]), finish)) == []


def test_held_out_error_looks_at_hidden_pixels_alone() -> None:
    noisy = torch.tensor([[[1.0, 2.0, 3.0]]])
    hidden = torch.tensor([[[False, True, False]]])
    answer = torch.tensor([[[100.0, 2.5, -100.0]]])
    step = Step(1, torch.tensor(0.0), answer, answer, 1)
    assert held_out_error(noisy, hidden, attrgetter("answer"))(step) == pytest.approx(0.25)


def test_moving_variance_is_lowest_where_outputs_stand_still() -> None:
    torch.manual_seed(0)
    width = [1.0] * 150 + [0.1] * 150 + [1.0] * 150
    criterion = moving_variance()
    values = []
    for index, w in enumerate(width, 1):
        output = w * torch.randn(1, 8, 8)
        values.append(criterion(Step(index, torch.tensor(0.0), output, output, index)))
    assert all(math.isinf(v) for v in values[:99])
    assert 150 < values.index(min(values)) < 300


def test_backtracked_restores_the_weights_after_a_jump() -> None:
    net = torch.nn.Linear(1, 1)

    def diverging() -> Iterator[Step]:
        one = torch.ones(1, 1, 1)
        for index in range(1, 4):
            loss = torch.tensor([1.0, 1.0, 9.0][index - 1])
            with torch.no_grad():
                net.weight.fill_(float(index))
            yield Step(index, loss, one, one, index)

    notes = [s.note for s in backtracked(diverging(), net, every=1)]
    assert notes[:2] == ["", ""]
    assert "went back" in notes[2]
    assert net.weight.item() == 2


@pytest.mark.parametrize("broken", [20, 21])  # the image is looked at in every third step
@pytest.mark.parametrize("stop", ["never", "held-out"])
def test_a_fit_whose_loss_is_no_number_ends_with_a_sentence(
    stop: str, broken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, count = torch.optim.Adam.step, iter(range(1, 1000))

    def breaking(adam: torch.optim.Adam, *args: object) -> object:
        if next(count) == broken:
            for group in adam.param_groups:
                for weight in group["params"]:
                    weight.data.fill_(math.nan)
        return step(adam, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", breaking)
    image = np.random.default_rng(0).poisson(30, (32, 32)).astype(np.float32)
    how = BlindSpot(steps=60, channels=4, crop=16, stop=stop, seed=1)
    final = last(iter_denoise(image, how, device="cpu"))
    assert final.step < 60 and "no number any more" in final.note
    assert np.isfinite(np.asarray(final.image.pixels)).all()


def test_a_fit_that_breaks_before_an_answer_is_an_error() -> None:
    broken = [replace(s, loss=torch.tensor(math.nan)) for s in steps([1.0])]
    with pytest.raises(DenoiseError, match="at step 1 its loss is no number any more"):
        list(ended_at_nan(broken))


def test_an_answer_with_pixels_that_are_no_numbers_is_an_error_though_the_loss_is_one() -> None:
    image = Image(np.random.default_rng(0).poisson(30, (32, 32)).astype(np.float32))

    def fit(plane: Plane, how: Settings) -> Iterator[Step]:
        answer = plane.y.clone()
        answer[0, 3, 4] = math.inf
        yield Step(1, torch.tensor(0.5), plane.y, answer, 1)

    with pytest.raises(DenoiseError, match="pixels that are no numbers"):
        last(fit_image(image, BlindSpot(steps=1), "cpu", fit=fit))


def test_thinned_keeps_every_nth_those_with_a_note_and_the_last() -> None:
    noted = [replace(s, note="!" if s.index == 4 else "") for s in steps([0.0] * 8)]
    assert [s.index for s in thinned(noted, 3)] == [3, 4, 6, 8]
    assert [s.index for s in thinned(noted[:6], 3)] == [3, 4, 6]
    assert [s.index for s in thinned(noted, 1)] == list(range(1, 9))
    judged = [replace(s, criterion=0.5 if s.index == 5 else None) for s in steps([0.0] * 8)]
    assert [s.index for s in thinned(judged, 4)] == [4, 5, 8]


def test_optimize_goes_downhill_and_follows_the_schedule() -> None:
    x = torch.nn.Parameter(torch.tensor([3.0]))
    image = torch.zeros(1, 1, 1)

    def objective(index: int) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor] | None]:
        loss = (x - 1).square().sum()
        return loss, (image + loss, image - loss) if index % 2 == 0 else None

    seen = list(optimize(objective, [x], 200, 0.1, image, schedule="linear", clip=1.0))
    assert seen[-1].loss < 1e-3 < seen[0].loss
    assert seen[0].output is None
    assert seen[0].chosen == 0
    assert seen[2].chosen == 2
    assert seen[2].answer.item() == pytest.approx(-seen[1].loss.item())
    assert not seen[1].answer.requires_grad


@pytest.mark.parametrize(("beta2", "least", "most"), [(0.99, 5, 11), (0.999, 20, 32)])
def test_how_far_one_odd_gradient_moves_a_weight(beta2: float, least: float, most: float) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))

    def objective(index: int) -> tuple[torch.Tensor, None]:
        size = 1e4 if index == 500 else 1.0
        return (weight * size * (-1) ** index).sum(), None

    moved = [
        weight.item()
        for _ in optimize(
            objective, [weight], 600, 0.001, torch.zeros(1), adam=adam_for([weight], 0.001, beta2)
        )
    ]
    assert least < abs(moved[-1] - moved[498]) / 0.001 < most


def test_seeded_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with seeded(0):
        torch.rand(100)
    assert torch.rand(1) == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:99", "cpu:1"])
def test_unknown_devices_get_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"[Dd]evice.*\."):
        pick_device(name)


def test_auto_finds_a_device() -> None:
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


def test_no_context_leaks_between_yields() -> None:
    noisy = torch.rand(24, 24, generator=torch.Generator().manual_seed(0)).numpy()
    for how in (BlindSpot(steps=3, channels=4, crop=16), DIP.preset("paper", steps=3, channels=4)):
        for _ in iter_denoise(noisy, how, device="cpu"):
            assert torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()


def test_adam_is_that_of_torch_also_from_where_it_was_saved() -> None:
    start = torch.randn(7, generator=torch.Generator().manual_seed(0))
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    adams = [adam_for([ours], 0.1), torch.optim.Adam([theirs], lr=0.1)]
    for index in range(6):
        if index == 3:
            state = adams[0].state_dict()
            adams[0] = adam_for([ours], 0.1)
            adams[0].load_state_dict(state)
        for adam, weight in zip(adams, (ours, theirs), strict=True):
            adam.zero_grad()
            weight.cos().sum().backward()
            adam.step()
    torch.testing.assert_close(ours, theirs)


def test_a_fit_does_not_load_the_compiler_of_torch() -> None:
    code = (
        "import sys, torch; from napari_dip.engine.loop import optimize; "
        "w = torch.nn.Parameter(torch.ones(1)); "
        "list(optimize(lambda i: (w.square().sum(), None), [w], 2, 0.1, w, clip=1.0)); "
        "print(w.item() < 1, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
