"""Several fits of one image, each from other random weights, and their average."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from napari_dip.engine.loop import Step
from napari_dip.settings import Settings

APART = 1_000_003  # between the seeds of two restarts
SEEDS = 2**31  # of a Settings
S = TypeVar("S", bound=Settings)


def run_restarts(how: S, restarts: int, fit: Callable[[S], Iterator[Step]]) -> Iterator[Step]:
    """Run several fits that differ by their seeds; the first has the settings' own seed."""
    seeds = [(how.seed + number * APART) % SEEDS for number in range(restarts)]
    fits = [fit(how.model_copy(update={"seed": seed})) for seed in seeds]
    return fits[0] if len(fits) == 1 else join_fits(fits, apart=how.std_from == "restarts")


def join_fits(fits: Sequence[Iterator[Step]], *, apart: bool = False) -> Iterator[Step]:
    """Join a step of every fit to one, in turn; fits that have ended keep their answer.

    The standard deviation is the mean of the fits' own, or with `apart` how far their answers lie
    apart.
    """
    running = dict(enumerate(fits))
    latest: dict[int, Step] = {}
    while running:
        moved: list[Step] = []
        for number in list(running):
            step = next(running[number], None)
            if step is None:
                del running[number]
            else:
                latest[number] = step
                moved.append(step)
        if moved:
            yield _join_fits(list(latest.values()), moved, apart)


def _join_fits(latest: Sequence[Step], moved: Sequence[Step], apart: bool) -> Step:
    answers = torch.stack([step.answer for step in latest])
    stds = [step.std for step in latest if step.std is not None]
    own = torch.stack(stds).mean(0) if stds and len(stds) == len(latest) else None
    criteria = [step.criterion for step in moved if step.criterion is not None]
    planned = [step.planned for step in latest if step.planned is not None]
    return replace(
        moved[0],
        index=max(step.index for step in latest),  # one may have ended early, ahead of the others
        loss=torch.stack([step.loss for step in moved]).mean(),
        answer=answers.mean(0),
        chosen=round(sum(step.chosen for step in latest) / len(latest)),
        criterion=sum(criteria) / len(criteria) if criteria else None,
        note=" ".join(dict.fromkeys(step.note for step in moved if step.note)),
        std=answers.std(0) if apart else own,
        planned=max(planned, default=None),
    )
