"""Filters: Iterator[Step] -> Iterator[Step]. None of them needs a network to be tested."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from operator import attrgetter

import torch
from torch import Tensor, nn

from napari_dip.engine.loop import Step
from napari_dip.errors import DenoiseError
from napari_dip.settings import FitSettings

Criterion = Callable[[Step], float]

NO_NUMBER = (
    "The fit broke: at step {} its loss is no number any more. Take a smaller learning rate."
)


def averaged(steps: Iterable[Step], weight: float) -> Iterator[Step]:
    """Replace each answer and its standard deviation by their exponential averages so far.

    `weight` is that of the past, in [0, 1); 0 changes nothing. See `running_mean`.
    """
    mean, mean_std = (running_mean(weight, attrgetter(name)) for name in ("answer", "std"))
    answer: Tensor | None = None
    std: Tensor | None = None
    for step in steps:
        if step.output is not None:
            answer = mean(step)
            std = None if step.std is None else mean_std(step)
        yield step if answer is None else replace(step, answer=answer, std=std)


def spread(steps: Iterable[Step], weight: float) -> Iterator[Step]:
    """Set each step's standard deviation to that of the latest outputs around their mean.

    It is not known before the second output. `weight` is that of the past, in [0, 1).
    """
    mean: Tensor | None = None
    variance: Tensor | None = None
    seen = 0
    for step in steps:
        if step.output is not None:
            seen += 1
            mean = step.output if mean is None else mean
            new = 1 - min(weight, 1 - 1 / seen)
            change = step.output - mean
            mean = mean + new * change
            variance = (1 - new) * (new * change.square() + (0 if variance is None else variance))
        yield step if variance is None or seen < 2 else replace(step, std=variance.sqrt())


def finished(steps: Iterable[Step], finish: Callable[[Step], Step]) -> Iterator[Step]:
    """Replace the last step by what `finish` makes of it, once there is no other."""
    last: Step | None = None
    for step in steps:
        if last is not None:
            yield last
        last = step
    if last is not None:
        yield finish(last)


def running_mean(
    weight: float, image: Callable[[Step], Tensor] = attrgetter("output")
) -> Callable[[Step], Tensor]:
    """Return a function from Steps in turn to the exponential average of their images so far.

    The first image is that of the start, which the average forgets at the second; the next
    ``1 / (1 - weight)`` are averaged plainly.
    """
    mean: Tensor | None = None
    seen = 0

    def update(step: Step) -> Tensor:
        nonlocal mean, seen
        new = image(step)
        past = min(weight, 1 - 1 / max(seen, 1))
        mean = new if mean is None else torch.lerp(new, mean, past)
        seen += 1
        return mean

    return update


def backtracked(
    steps: Iterable[Step], net: nn.Module, *, every: int = 50, jump: float = 3.16
) -> Iterator[Step]:
    """Put the network back to its last good state when the fit gets suddenly worse.

    Adam on an untrained network now and then throws the fit away. As in the published code, a fall
    of 5 dB of the fit (the loss growing by a factor of 10^0.5 = 3.16) brings the weights of the
    last check back, `every` steps ago.
    """
    saved: dict[str, Tensor] = {}
    good = math.inf
    for step in steps:
        if step.index % every == 0:
            loss = step.loss.item()
            if saved and loss > jump * good:
                net.load_state_dict(saved)
                note = f"The fit got worse at step {step.index}; it went back {every} steps."
                step = replace(step, note=note)
            elif math.isfinite(loss):
                good = loss
                saved = {name: value.detach().clone() for name, value in net.state_dict().items()}
        yield step


def early_stopped(
    steps: Iterable[Step], criterion: Criterion, patience: int, *, every: int = 1
) -> Iterator[Step]:
    """Keep the answer of the step with the lowest criterion; end `patience` steps after it.

    The criterion is evaluated at every so many outputs: on a GPU each time waits for the device.
    """
    best = math.inf
    best_answer: Tensor | None = None
    std: Tensor | None = None
    chosen = evaluated = outputs = 0
    for step in steps:
        value: float | None = None
        if step.output is not None:
            outputs += 1
            if outputs % every == 0 or best_answer is None:
                value, evaluated = criterion(step), step.index
                unjudged = value == best == math.inf  # then the newest is taken
                if value < best or best_answer is None or unjudged:
                    best, best_answer, std, chosen = value, step.answer, step.std, step.index
        if best_answer is not None:
            std = step.std if std is None else std  # of the first output there is no spread yet
            step = replace(step, answer=best_answer, std=std, chosen=chosen, criterion=value)
        yield step
        if best_answer is not None and evaluated - chosen >= patience:
            return


def choose_step(
    steps: Iterable[Step],
    s: FitSettings,
    y: Tensor,
    hidden: Tensor,
    *,
    averaging: float,
    spreading: float,
    image: Callable[[Step], Tensor] | None = None,
    every: int = 1,
) -> Iterator[Step]:
    """Average the outputs, and choose a step by the settings' rule.

    Parameters
    ----------
    y, hidden, image
        As for `held_out_error`; `image` is by default the average of the outputs.
    averaging, spreading : float
        Weights of the past, in [0, 1), in the average and in the spread of outputs.
    every : int
        As for `early_stopped`, with the held-out error.
    """
    steps = averaged(steps, averaging)
    if s.std_from == "iterates":  # before the stop, which keeps the spread of the chosen step
        steps = spread(steps, spreading)
    if s.stop == "held-out" and bool(hidden.any()):
        criterion = held_out_error(y, hidden, image or running_mean(averaging))
        return early_stopped(steps, criterion, s.patience, every=every)
    if s.stop == "variance":
        return early_stopped(steps, moving_variance(), s.patience)
    return steps


def ended_at_nan(steps: Iterable[Step]) -> Iterator[Step]:
    """End a fit whose loss is no number any more; Adam's moments are none either from there on.

    With a note where an earlier answer stands. It reads the loss, which waits for a GPU.

    Raises
    ------
    DenoiseError
        Where there is no answer.
    """
    before: Step | None = None
    for step in steps:
        if math.isfinite(step.loss.item()):
            yield step
            before = step
            continue
        if before is None or before.chosen == 0 or not bool(torch.isfinite(before.answer).all()):
            raise DenoiseError(NO_NUMBER.format(step.index))
        note = f"The loss is no number any more at step {step.index}: the answer is an earlier one."
        yield replace(before, index=step.index, loss=step.loss, output=None, note=note)
        return


def noted(steps: Iterable[Step], note: str) -> Iterator[Step]:
    """Add a sentence for the user to the first step."""
    for step in steps:
        yield replace(step, note=f"{step.note} {note}".strip()) if note else step
        note = ""


def thinned(steps: Iterable[Step], every: int) -> Iterator[Step]:
    """Let one step in `every` through, those with a note or a criterion, and the last.

    Reading a loss waits for the device: on a GPU the reader asks for one in ten.
    """
    skipped: Step | None = None
    for step in steps:
        if step.index % every == 0 or step.note or step.criterion is not None:
            skipped = None
            yield step
        else:
            skipped = step
    if skipped is not None:
        yield skipped


def held_out_error(noisy: Tensor, hidden: Tensor, image: Callable[[Step], Tensor]) -> Criterion:
    """Return the criterion: mean squared error on pixels that the loss never saw.

    Their noise is independent of the image, so this is the error against the clean image plus a
    constant. `noisy` is (C, Y, X), `hidden` (1, Y, X) and True where the loss did not look; `image`
    takes a Step and returns the (C, Y, X) that was made without the hidden pixels.
    """
    mask = hidden.expand_as(noisy)
    target = noisy[mask]

    def criterion(step: Step) -> float:
        return (image(step)[mask] - target).square().mean().item()

    return criterion


def moving_variance(memory: float = 0.9) -> Criterion:
    """Return the criterion: how much the raw outputs still move (ES-EMV).

    The variance of the outputs over the last steps falls while the image is learnt, is lowest near
    the best image and rises when noise is learnt. `memory` is the weight of the past in it.

    Reference: Wang et al., Early Stopping for Deep Image Prior, TMLR 2023, arXiv:2112.06074.
    """
    mean: Tensor | None = None
    variance = 0.0
    count = 0

    def criterion(step: Step) -> float:
        nonlocal mean, variance, count
        output = step.output
        assert output is not None
        if mean is None:
            mean = output
        count += 1
        change = (output - mean).square().mean().item()
        variance = memory * (variance + (1 - memory) * change)
        mean = torch.lerp(output, mean, memory)
        filled = count > 10 / (1 - memory)  # before that it is still filling up
        return variance if filled else math.inf

    return criterion
