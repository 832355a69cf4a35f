"""The steps of a training: the recipe's loss on random crops, the average of weights, validation, and the watch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_dip.engine.loop import SCHEDULES, Step, optimize
from napari_dip.engine.out_of_memory import Plan, laddered
from napari_dip.methods.registry import TRAINED
from napari_dip.noise.units import UNIT
from napari_dip.training.collapse import CALM, KEEP_EVERY
from napari_dip.training.crops import Batch, Crops
from napari_dip.training.losses import n2v
from napari_dip.training.processes import ALONE, Ranks
from napari_dip.training.state import State

LOOKS = 50  # how often the validation error is measured in a training
HIDDEN_SHARE = 0.02  # of the pixels of a validation crop
RADIUS = 2  # how far the value in a hidden pixel's place is taken from


@dataclass
class Progress:
    """What the curves show, as of the last step that was read."""

    measures: dict[str, float] = field(default_factory=dict)


def training_steps(
    state: State, crops: Crops, progress: Progress, ranks: Ranks = ALONE, every: int = 1
) -> Iterator[Step]:
    """Train from where the state stands to the end.

    Parameters
    ----------
    state : State
        What is trained.
    crops : Crops
        What it is trained on.
    progress : Progress
        Is kept up to date.
    ranks : Ranks
        The processes that share every batch.
    every : int
        The figures of so many steps are read, and judged, at once: reading them waits for the device.

    Yields
    ------
    Step
        Its criterion is the validation error where it was measured.
    """
    s = state.settings
    work, figures = _Work(state, crops, ranks), _Figures()
    held = [batch.on(state.device) for batch in crops.held_out()]
    look_every = max(1, s.steps // LOOKS)
    for step in work.steps():
        figures.add(step, work.seen)
        look = bool(held) and (step.index % look_every == 0 or step.index == s.steps)
        read = (
            figures.read(ranks) if look or step.index % every == 0 or step.index == s.steps else []
        )
        note = _judged(state, read)
        if not note:
            state.average(step.index - (s.filter_steps if step.index > s.filter_steps else 0))
            if read and state.watch.healthy() and step.index % KEEP_EVERY == 0:
                state.good = state.weights()
        state.step = step.index
        if read:
            progress.measures = {
                **read[-1].measures,
                "learning_rate": s.learning_rate * work.factor(step.index),
            }
            if look:
                progress.measures["validation"] = validation(state.mean, held, s.seed)
            step = replace(step, loss=torch.tensor(read[-1].loss))
        yield replace(step, note=note, criterion=progress.measures["validation"] if look else None)


def training_steps_anywhere(
    state: State, crops: Crops, progress: Progress, plan: Plan, ranks: Ranks = ALONE, every: int = 1
) -> Iterator[Step]:
    """Train to the end, on the CPU from where memory runs out on the device; of several processes none goes alone."""

    def begin() -> Iterator[Step]:
        if state.device != plan.device:
            state.move(plan.device)
        return training_steps(state, crops, progress, ranks, every)

    return laddered(begin, plan) if ranks.count == 1 else begin()


class _Work:
    """What every step does: the recipe's loss on the share of a batch, and the learning rate."""

    def __init__(self, state: State, crops: Crops, ranks: Ranks) -> None:
        self.state, self.crops, self.ranks, s = state, crops, ranks, state.settings
        self.seen: dict[str, Tensor] = {}
        self.loss = TRAINED[s.method].function()
        schedule = SCHEDULES[s.schedule]
        self.schedules = schedule(s.filter_steps), schedule(s.steps - s.filter_steps)

    def steps(self) -> Iterator[Step]:
        state, s = self.state, self.state.settings
        return optimize(
            self.objective,
            state.net.parameters(),
            s.steps,
            s.learning_rate,
            torch.zeros(1, device=state.device),
            schedule=self.factor,
            clip=s.clip,
            adam=state.adam,
            done=state.step,
            gather=self.ranks.average_gradients,
        )

    def objective(self, index: int) -> tuple[Tensor, None]:
        state, s = self.state, self.state.settings
        batch = self.crops.draw(s.batch, state.generator, self.ranks).on(state.device)
        if index <= s.filter_steps:
            assert state.net.filter is not None
            return state.net.filter.likelihood_loss(batch.noisy), None
        if index == s.filter_steps + 1:
            state.settle_filter()
        done = (index - s.filter_steps) / (s.steps - s.filter_steps)
        loss, self.seen = self.loss(state.net, batch, s, state.generator, done)
        return loss, None

    def factor(self, index: int) -> float:
        s, calm = self.state.settings, CALM**self.state.watch.returns
        if index <= s.filter_steps:
            return self.schedules[0](index) * calm * s.filter_learning_rate / s.learning_rate
        return self.schedules[1](index - s.filter_steps) * calm


class _Read(NamedTuple):
    """The figures of a step."""

    step: int
    loss: float
    measures: dict[str, float]


class _Figures:
    """Losses and measures that lie on the device until they are read, all at once."""

    def __init__(self) -> None:
        self.unread: list[tuple[int, Tensor, dict[str, Tensor]]] = []

    def add(self, step: Step, seen: dict[str, Tensor]) -> None:
        self.unread.append((step.index, step.loss, seen))

    def read(self, ranks: Ranks) -> list[_Read]:
        """Wait for the device, and return a step's figures after the other; of several processes, their means."""
        tensors = [value for _, loss, seen in self.unread for value in (loss, *seen.values())]
        values = iter(ranks.mean(torch.stack(tensors)).cpu().tolist())
        read = [
            _Read(index, next(values), {name: next(values) for name in seen})
            for index, _, seen in self.unread
        ]
        self.unread = []
        return read


def _judged(state: State, read: list[_Read]) -> str:
    """Show the figures to the watch; where one is alarming, go back to the last good state, and say so."""
    for index, loss, measures in read:
        note = state.watch.see(index, loss, measures)
        if note:
            note = state.watch.go_back(note, index)
            if state.good:
                state.put_back(state.good)
            return note
    return ""


def validation(net: nn.Module, held: list[Batch], seed: int) -> float:
    """Return the mean squared error on hidden pixels, in units of the noise's variance as it was estimated."""
    generator = torch.Generator().manual_seed(seed)  # the same pixels at every look
    total = count = 0.0
    with torch.no_grad():
        for batch in held:
            hidden, filled = n2v.hide(batch.noisy, HIDDEN_SHARE, RADIUS, generator)
            total += float(((net(filled) - batch.noisy).square() * hidden).sum())
            count += float(hidden.sum()) * batch.noisy.shape[1]
    return total / max(count, 1.0) * UNIT**2
