"""The loop, the only one: gradient steps as an iterator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor

from napari_dip.engine.device import one_on
from napari_dip.engine.threads import threads, threads_for

# Steps over which a linear schedule rises: Adam's first estimates of its moments are rough.
WARM_UP = 20


# Takes the step's index, from 1; returns the loss, without a graph where its gradients are there
# already (`napari_dip.engine.out_of_memory.add_gradients`), and, where this step looked at the
# whole image, two or three images: output, answer, and the answer's standard deviation where the
# method knows it.
Objective = Callable[[int], tuple[Tensor, "tuple[Tensor, ...] | None"]]


@dataclass(frozen=True, eq=False)
class Step:
    """One gradient step, tensors on the device.

    Attributes
    ----------
    index : int
        From 1.
    loss : Tensor
        Scalar.
    output : Tensor or None
        The network's own image, shape (C, Y, X); None in a step that did not look at the whole
        image.
    answer : Tensor
        What would be shown, shape (C, Y, X): the output, or what the method makes of it. Filters
        rewrite it.
    chosen : int
        The index of the step that `answer` belongs to.
    criterion : float or None
        What the stopping rule watches.
    note : str
        A sentence for the user, mostly empty.
    std : Tensor or None
        How far off the answer may be: a standard deviation, of its shape; None where nothing says
        so.
    planned : int or None
        Steps of this fit at most, where the fit knows; by default those that were asked for.
    """

    index: int
    loss: Tensor
    output: Tensor | None
    answer: Tensor
    chosen: int
    criterion: float | None = None
    note: str = ""
    std: Tensor | None = None
    planned: int | None = None


def optimize(
    objective: Objective,
    parameters: Iterable[torch.nn.Parameter],
    steps: int,
    learning_rate: float,
    first: Tensor,
    *,
    schedule: str | Callable[[int], float] = "constant",
    clip: float | None = None,
    adam: torch.optim.Adam | None = None,
    done: int = 0,
    gather: Callable[[list[torch.nn.Parameter]], None] | None = None,
    values: int | None = None,
) -> Iterator[Step]:
    """Minimise an objective with Adam (Kingma and Ba, arXiv:1412.6980), one Step at a time.

    Parameters
    ----------
    first : Tensor
        The answer before any output exists: the noisy image, shape (C, Y, X).
    schedule : {"constant", "linear", "to-zero"} or callable
        A callable takes the step's index and returns the factor on the learning rate.
    clip : float, optional
        The longest gradient that is believed; longer ones are shortened to it, so that one odd
        batch cannot throw the fit away.
    adam : Adam, optional
        One made by `adam_for`, where its state is to be kept or was; by default a new one.
    done : int
        Steps that were done before, in a training that goes on.
    gather : callable, optional
        Called after the gradients are computed, to average them over several processes.
    values : int, optional
        Of a layer, pixels times channels: a step gets no more threads than they are worth.
    """
    parameters = list(parameters)
    step_threads = torch.get_num_threads() if values is None else threads_for(values)
    adam = adam or adam_for(parameters, learning_rate)
    factor = schedule if callable(schedule) else SCHEDULES[schedule](steps)
    answer, chosen = first, 0
    std: Tensor | None = None
    for index in range(done + 1, steps + 1):
        for group in adam.param_groups:
            group["lr"] = learning_rate * factor(index)
        with threads(step_threads):
            adam.zero_grad(set_to_none=True)
            loss, images = objective(index)
            if loss.requires_grad:
                loss.backward(one_on(loss.device))  # type: ignore[no-untyped-call]
            if gather is not None:
                gather(parameters)
            if clip is not None:
                clip_gradients(parameters, clip)
            adam.step()
        output = None
        if images is not None:
            output, answer, *more = (image.detach() for image in images)
            std = more[0] if more else None
            chosen = index
        yield Step(index, loss.detach(), output, answer, chosen, std=std, planned=steps)


@torch.no_grad()
def clip_gradients(parameters: Iterable[torch.nn.Parameter], longest: float) -> None:
    """Shorten the gradient to a length, all parameters together.

    As `torch.nn.utils.clip_grad_norm_`, which goes through them one by one on some devices.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if gradients:
        length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_div_(gradients, (length / longest).clamp(min=1))


def adam_for(
    parameters: Iterable[torch.nn.Parameter], learning_rate: float, beta2: float = 0.999
) -> torch.optim.Adam:
    """Make the optimiser that `optimize` uses.

    `beta2` is the weight of the past in the running mean of the squared gradients. However much
    longer than usual one gradient is, Adam moves each weight by up to ``0.1 / ((1 - 0.9 /
    beta2**0.5) * (1 - beta2)**0.5)`` learning rates for it (from 0.9 on): 32 for 0.999, 10 for
    0.99.
    """
    parameters = list(parameters)
    fused = parameters[0].device.type in ("cpu", "cuda")
    return _Adam(parameters, lr=learning_rate, betas=(0.9, beta2), fused=fused)


class _Adam(torch.optim.Adam):
    """Adam without torch's compiler.

    Methods of torch's optimisers are wrapped for it and load it at their first call, which takes
    two seconds of processor time. It is not used here.
    """

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        return unwrap(torch.optim.Adam.step)(self, closure)


def constant(steps: int) -> Callable[[int], float]:
    """Return the schedule that never changes."""
    return lambda index: 1.0


def linear(steps: int) -> Callable[[int], float]:
    """Return the schedule that rises for 20 steps, is flat to the half and falls to a fiftieth."""
    return lambda index: min(1.0, index / WARM_UP, 2 * (1 - (index - 1) / steps) + 0.02)


def to_zero(steps: int) -> Callable[[int], float]:
    """Return the schedule that is flat to the half and falls to zero behind the last step."""
    return lambda index: min(1.0, 2 * (1 - (index - 1) / steps))


SCHEDULES: dict[str, Callable[[int], Callable[[int], float]]] = {
    "constant": constant,
    "linear": linear,
    "to-zero": to_zero,
}
