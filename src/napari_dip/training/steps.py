"""The steps of a training: its loss, averaged weights, validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from napari_dip.engine.loop import Step, optimize
from napari_dip.engine.out_of_memory import MemoryPlan, compute, with_fallbacks
from napari_dip.nets.correlated_noise import MORE
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.noise.units import UNIT
from napari_dip.training import collapse
from napari_dip.training.crops import Batch, Crops
from napari_dip.training.losses.n2v import hide
from napari_dip.training.objective import Objective
from napari_dip.training.processes import ALONE, ProcessGroup
from napari_dip.training.state import State

VALIDATIONS = 50  # how often the validation error is measured in a training
HIDDEN_SHARE = 0.02  # of the pixels of a validation crop
RADIUS = 2  # how far the value in a hidden pixel's place is taken from


def training_steps(
    state: State,
    crops: Crops,
    measures: dict[str, float],
    group: ProcessGroup = ALONE,
    every: int = 1,
    plan: MemoryPlan | None = None,
    aside: MemoryPlan | None = None,
) -> Iterator[Step]:
    """Train from where the state stands to the end.

    `measures` is filled with what the curves show, as of the last step that was read. The figures
    of `every` steps are read, and judged, at once: reading them waits for the device. A step's
    criterion is the validation error where it was measured. The plan `aside` is that of
    the validation.
    """
    s = state.settings
    plan, aside = plan or MemoryPlan(state.device), aside or MemoryPlan(state.device)
    objective, unread = Objective(state, crops, plan, group), _Figures()
    held_out = [batch.on(state.device) for batch in crops.held_out()]
    look_every, done = max(1, s.steps // VALIDATIONS), state.filter_steps
    for step in _optimize(state, objective, group):
        unread.add(step, objective.measures)
        at_end = step.index == s.steps
        look = bool(held_out) and (step.index % look_every == 0 or at_end)
        figures = unread.read(group) if look or at_end or step.index % every == 0 else []
        note = _judge(state, figures)
        if not note:
            state.average(step.index - (done if step.index > done else 0))
            if figures and state.watch.is_healthy() and step.index % collapse.SAVE_EVERY == 0:
                state.good = state.weights()
        state.step = step.index
        if figures:
            measures.clear()
            measures.update(figures[-1].measures)
            measures["learning_rate"] = s.learning_rate * objective.rate_factor(step.index)
            if look:
                measures["validation"] = compute(partial(_validate, state, held_out, aside), aside)
            step = replace(step, loss=torch.tensor(figures[-1].loss))
        yield replace(step, note=note, criterion=measures["validation"] if look else None)


def training_steps_anywhere(
    state: State,
    crops: Crops,
    measures: dict[str, float],
    plan: MemoryPlan,
    aside: MemoryPlan,
    group: ProcessGroup = ALONE,
    every: int = 1,
) -> Iterator[Step]:
    """Train to the end; one process goes on on the CPU from where a device runs out of memory."""

    def begin() -> Iterator[Step]:
        if state.device != plan.device:
            state.move(plan.device)
        return training_steps(state, crops, measures, group, every, plan, aside)

    return with_fallbacks(begin, plan) if group.world_size == 1 else begin()


def _optimize(state: State, objective: Objective, group: ProcessGroup) -> Iterator[Step]:
    s = state.settings
    return optimize(
        objective,
        state.net.parameters(),
        s.steps,
        s.learning_rate,
        torch.zeros(1, device=state.device),
        schedule=objective.rate_factor,
        clip=s.clip or None,
        adam=state.adam,
        done=state.step,
        gather=group.average_gradients,
    )


class _Read(NamedTuple):
    """The figures of a step."""

    step: int
    loss: float
    measures: dict[str, float]


class _Figures:
    """Losses and measures that stay on the device until they are read, all at once."""

    def __init__(self) -> None:
        self.unread: list[tuple[int, Tensor, dict[str, Tensor]]] = []

    def add(self, step: Step, measures: dict[str, Tensor]) -> None:
        self.unread.append((step.index, step.loss, measures))

    def read(self, group: ProcessGroup) -> list[_Read]:
        """Wait for the device; return the figures of each step, means over the processes."""
        tensors = [value for _, loss, seen in self.unread for value in (loss, *seen.values())]
        values = iter(group.mean(torch.stack(tensors)).cpu().tolist())
        read = [
            _Read(index, next(values), {name: next(values) for name in seen})
            for index, _, seen in self.unread
        ]
        self.unread = []
        return read


def _judge(state: State, figures: list[_Read]) -> str:
    """Look for collapse; where there is one, go back to the last good state and return a note."""
    for index, loss, measures in figures:
        alarm = state.watch.update(index, loss, measures)
        if alarm:
            note = state.watch.go_back(alarm, index)
            if state.good:
                state.restore_weights(state.good)
            return note
    return ""


def _validate(state: State, held_out: list[Batch], plan: MemoryPlan) -> float:
    net = plan.place(state.mean)
    if net is not state.mean:
        held_out = [batch.on(plan.device) for batch in held_out]
    return validation_error(net, held_out, state.settings.seed)


@torch.no_grad()
def validation_error(net: BlurredUNet, held_out: list[Batch], seed: int) -> float:
    """Return the mean squared error on hidden pixels, in units of the noise's variance."""
    generator = torch.Generator().manual_seed(seed)  # the same pixels at every look
    total = count = 0.0
    for batch in held_out:
        y = net.middle(batch.noisy)
        hidden, filled = hide(y, HIDDEN_SHARE, RADIUS, generator)
        if batch.correlation is not None and net.correlated is not None:
            error = net.correlated.loss(batch.noisy, batch.correlation, generator)
            pixels = HIDDEN_SHARE * y.numel()
            total += pixels * (float(error) - 1 / (MORE * UNIT) ** 2)  # without the target's own
            count += pixels
            continue
        answer = net(net.with_middle(batch.noisy, filled))
        total += float(((answer - y).square() * hidden).sum())
        count += float(hidden.sum()) * y.shape[1]
    return total / max(count, 1.0) * UNIT**2
