"""The loss of a training step, and its gradients, in parts of the batch where memory is short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from napari_dip.engine.loop import SCHEDULES
from napari_dip.engine.out_of_memory import MemoryPlan, add_gradients
from napari_dip.methods.registry import TRAINED
from napari_dip.training import collapse
from napari_dip.training.crops import Crops
from napari_dip.training.processes import ProcessGroup, ShareDraws
from napari_dip.training.state import State

# Of the network for correlated noise: it learns the noise of few images by heart, in four of
# 512 x 512 after about 20 times all pixels.
EPOCHS, LEAST_STEPS = 12, 150
LARGEST_SHARE = 1 / 3  # of these steps, in a training on both kinds of noise


class Objective:
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
