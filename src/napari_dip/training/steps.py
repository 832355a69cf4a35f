"""The steps of a training: the recipe's loss on random crops, the average of weights, validation, and the watch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from napari_dip.engine.ladder import Plan, laddered
from napari_dip.engine.loop import SCHEDULES, Step, optimize
from napari_dip.engine.patches import UNIT, Batch, Crops
from napari_dip.methods import iddp, n2n, n2v, nb2nb, supervised
from napari_dip.nets.blurred import BlurredUNet
from napari_dip.settings import IDDP, N2N, N2V, Nb2Nb, Supervised, Trained
from napari_dip.training.state import State
from napari_dip.training.watch import CALM, KEEP_EVERY

LOOKS = 50  # how often the validation error is measured in a training
HIDDEN_SHARE = 0.02  # of the pixels of a validation crop
RADIUS = 2  # how far the value in a hidden pixel's place is taken from


@dataclass
class Progress:
    """What the curves show, as of the last step."""

    measures: dict[str, float] = field(default_factory=dict)


def training_steps(state: State, crops: Crops, progress: Progress) -> Iterator[Step]:
    """Train from where the state stands to the end.

    Yields
    ------
    Step
        Its criterion is the validation error where it was measured.
    """
    s = state.settings
    schedules = SCHEDULES[s.schedule](s.filter_steps), SCHEDULES[s.schedule](s.steps - s.filter_steps)
    seen: dict[str, Tensor] = {}
    held = [Batch(b.noisy.to(state.device)) for b in crops.held_out()]
    look_every = max(1, s.steps // LOOKS)

    def objective(index: int) -> tuple[Tensor, None]:
        nonlocal seen
        batch = _on(crops.draw(s.batch, state.generator), state.device)
        if index <= s.filter_steps:
            assert state.net.filter is not None
            return state.net.filter.likelihood_loss(batch.noisy), None
        if index == s.filter_steps + 1:
            state.settle_filter()
        done = (index - s.filter_steps) / (s.steps - s.filter_steps)
        loss, seen = recipe(state.net, batch, s, state.generator, done)
        return loss, None

    def factor(index: int) -> float:
        calm = CALM**state.watch.returns
        if index <= s.filter_steps:
            return schedules[0](index) * calm * s.filter_learning_rate / s.learning_rate
        return schedules[1](index - s.filter_steps) * calm

    first = torch.zeros(1, device=state.device)
    steps = optimize(
        objective,
        state.net.parameters(),
        s.steps,
        s.learning_rate,
        first,
        schedule=factor,
        clip=1.0,
        adam=state.adam,
        done=state.step,
    )
    for step in steps:
        loss, measures = float(step.loss), {name: float(value) for name, value in seen.items()}
        note = state.watch.see(step.index, loss, measures)
        if note:
            note = state.watch.go_back(note, step.index)
            if state.good:
                state.put_back(state.good)
        else:
            state.average(step.index - (s.filter_steps if step.index > s.filter_steps else 0))
            if state.watch.healthy() and step.index % KEEP_EVERY == 0:
                state.good = state.weights()
        state.step = step.index
        measures |= {"learning_rate": s.learning_rate * factor(step.index)}
        if held and (step.index % look_every == 0 or step.index == s.steps):
            measures["validation"] = validation(state.mean, held, s.seed)
        progress.measures = measures
        yield replace(step, note=note, criterion=measures.get("validation"))


def training_steps_anywhere(state: State, crops: Crops, progress: Progress, plan: Plan) -> Iterator[Step]:
    """Train to the end, on the CPU from where memory runs out on the device."""

    def begin() -> Iterator[Step]:
        if state.device != plan.device:
            state.move(plan.device)
        return training_steps(state, crops, progress)

    return laddered(begin, plan)


def recipe(
    net: BlurredUNet, batch: Batch, s: Trained, generator: torch.Generator, done: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Choose the loss by the type of the settings."""
    match s:
        case IDDP():
            return iddp.loss(net, batch, s, generator, done)
        case N2V():
            return n2v.loss(net, batch, s, generator, done)
        case Nb2Nb():
            return nb2nb.loss(net, batch, s, generator, done)
        case N2N():
            return n2n.loss(net, batch, s, generator, done)
        case Supervised():
            return supervised.loss(net, batch, s, generator, done)
        case _:
            raise ValueError(f"{type(s).__name__} settings cannot train a network; give IDDP settings.")


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


def _on(batch: Batch, device: torch.device) -> Batch:
    return Batch(batch.noisy.to(device), None if batch.target is None else batch.target.to(device))
