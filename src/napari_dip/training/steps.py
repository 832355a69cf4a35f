"""The steps of a training: a method's loss on crops, averaged weights, validation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from napari_dip.engine.loop import SCHEDULES, Step, optimize
from napari_dip.engine.out_of_memory import MemoryPlan, add_gradients, compute, with_fallbacks
from napari_dip.methods.registry import TRAINED
from napari_dip.nets.correlated_noise import MORE
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.noise.units import UNIT
from napari_dip.training import collapse
from napari_dip.training.crops import Batch, Crops
from napari_dip.training.losses.n2v import hide
from napari_dip.training.processes import ALONE, ProcessGroup, ShareDraws
from napari_dip.training.state import State

VALIDATIONS = 50  # how often the validation error is measured in a training
HIDDEN_SHARE = 0.02  # of the pixels of a validation crop
# Of the network for correlated noise: it learns the noise of few images by heart, in four of
# 512 x 512 after about 20 times all pixels.
EPOCHS, LEAST_STEPS = 12, 150
LARGEST_SHARE = 1 / 3  # of these steps, in a training on both kinds of noise
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
    objective, unread = _Objective(state, crops, plan, group), _Figures()
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


def _optimize(state: State, objective: _Objective, group: ProcessGroup) -> Iterator[Step]:
    s = state.settings
    return optimize(
        objective,
        state.net.parameters(),
        s.steps,
        s.learning_rate,
        torch.zeros(1, device=state.device),
        schedule=objective.rate_factor,
        clip=s.clip,
        adam=state.adam,
        done=state.step,
        gather=group.average_gradients,
    )


class _Objective:
    """The loss of a step: first that of the learned filter, then that of the method.

    `measures` is what `collapse.measure` returned for the last step.
    """

    def __init__(self, state: State, crops: Crops, plan: MemoryPlan, group: ProcessGroup) -> None:
        self.state, self.crops, self.plan, self.group = state, crops, plan, group
        s = state.settings
        self.measures: dict[str, Tensor] = {}
        schedule = SCHEDULES[s.schedule]
        self.filter_steps = state.filter_steps
        self.schedules = schedule(self.filter_steps), schedule(s.steps - self.filter_steps)
        self.loss = TRAINED[s.method].function()
        # With independent noise as well, in the half in which the learning rate falls.
        self.correlated_from = 0 if state.net.holes[0] else self.filter_steps // 2
        self.correlated_every = self._correlated_every()
        self.correlated_loss = torch.zeros((), device=state.device)

    def __call__(self, index: int) -> tuple[Tensor, None]:
        drawn = self.state.generator.get_state()
        try:
            return self._loss(index), None
        except Exception:
            self.state.generator.set_state(drawn)  # the step may be done again
            raise

    def _loss(self, index: int) -> Tensor:
        correlated = self._correlated_noise(index)
        if self.state.net.holes[0]:  # no independent noise
            return correlated
        # The networks for the two kinds share no weight: the gradients are as if trained apart, and
        # the figures are those of independent noise alone.
        return self._independent_noise(index) + (correlated - correlated.detach())

    def _parts(self, count: int, drawn: Tensor) -> Iterator[ProcessGroup]:
        """Divide a batch as if among processes, which all draw the same (one process only)."""
        for number in range(count):
            self.state.generator.set_state(drawn)
            yield ProcessGroup(number, count)

    def _correlated_every(self) -> int:
        """Return at which of the steps the network for correlated noise learns."""
        net, s = self.state.net, self.state.settings
        if net.correlated is None:
            return 0
        pixels = float(self.crops.areas[self.crops.correlated].sum())
        wanted = max(EPOCHS * pixels / (s.batch * self.crops.wider**2), LEAST_STEPS)
        share = 1.0 if net.holes[0] else LARGEST_SHARE
        return max(round((self.filter_steps - self.correlated_from) / wanted), round(1 / share))

    def _correlated_noise(self, index: int) -> Tensor:
        """Return the loss of the network for noise that pixels share; the last where it rests."""
        state, net = self.state, self.state.net.correlated
        if net is None:
            return self.correlated_loss
        due = self.correlated_from < index <= self.filter_steps
        if not due or index % self.correlated_every:
            return self.correlated_loss + 0 * net.mixture.sum()
        batch, before = state.settings.batch, state.generator.get_state()

        def loss_of(part: ProcessGroup) -> Tensor:
            crops = self.crops.draw(batch, state.generator, part, correlated=True)
            seen = crops.on(state.device)
            assert seen.correlation is not None
            with ShareDraws(part) if part.world_size > 1 else nullcontext():
                return net.loss(seen.noisy, seen.correlation, state.generator)

        def losses(parts: int) -> Iterator[Tensor]:
            return (loss_of(part) / parts for part in self._parts(parts, before))

        if self.group.world_size > 1:
            loss = loss_of(self.group)
        else:
            loss = add_gradients(losses, batch, list(net.parameters()), self.plan)
        self.correlated_loss = loss.detach()
        return loss

    def _independent_noise(self, index: int) -> Tensor:
        """Return the loss of the filter, or of the method."""
        state, group = self.state, self.group
        if index == self.filter_steps + 1:
            state.settle_filter()
        if group.world_size > 1:  # a sum and a number: those of all processes count
            loss, count, seen = self._evaluate(index, group)
            self.measures = collapse.measure(seen, group)
            least = 1 / group.world_size
            return loss if count is None else loss / group.mean(count).clamp_min(least)
        apart = set(state.net.correlated.parameters() if state.net.correlated else ())
        parameters = [weight for weight in state.net.parameters() if weight not in apart]
        losses = partial(self._losses, index, state.generator.get_state())
        return add_gradients(losses, state.settings.batch, parameters, self.plan)

    def _losses(self, index: int, drawn: Tensor, parts: int) -> Iterator[Tensor]:
        """Yield the losses of the parts of a batch; then there are the measures of all of it."""
        counted = self._count(index, drawn, parts) if parts > 1 else None
        looks: list[dict[str, Tensor]] = []
        for part in self._parts(parts, drawn):
            loss, count, seen = self._evaluate(index, part)
            looks.append({name: image.detach() for name, image in seen.items()})
            if count is not None:
                loss = loss / (count if counted is None else counted).clamp_min(1 / parts)
            yield loss / parts if parts > 1 else loss
        seen = looks[0]
        if parts > 1:
            seen = {name: torch.cat([look[name] for look in looks]) for name in seen}
        self.measures = collapse.measure(seen, self.group)

    @torch.no_grad()
    def _count(self, index: int, drawn: Tensor, parts: int) -> Tensor | None:
        """Return the mean, over the parts, of the numbers that losses are divided by, if any."""
        counts = []
        for part in self._parts(parts, drawn):
            count = self._evaluate(index, part)[1]
            if count is None:
                return None
            counts.append(count)
        return torch.stack(counts).mean()

    def _evaluate(
        self, index: int, group: ProcessGroup
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Return the loss on the crops of a process, what it is to be divided by, what is seen."""
        state, s = self.state, self.state.settings
        batch = self.crops.draw(s.batch, state.generator, group).on(state.device)
        if index <= self.filter_steps:
            assert state.net.filter is not None
            return state.net.filter.likelihood_loss(batch.noisy), None, {}
        progress = (index - self.filter_steps) / (s.steps - self.filter_steps)
        with ShareDraws(group) if group.world_size > 1 else nullcontext():
            loss, seen = self.loss(
                state.net, batch.noisy, batch.target, s, state.generator, progress
            )
        return (*loss, seen) if isinstance(loss, tuple) else (loss, None, seen)

    def rate_factor(self, index: int) -> float:
        """Return the factor on the learning rate."""
        s, calm = self.state.settings, collapse.RATE_FACTOR**self.state.watch.returns
        if index <= self.filter_steps:
            return self.schedules[0](index) * calm * s.filter_learning_rate / s.learning_rate
        return self.schedules[1](index - self.filter_steps) * calm


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
