"""A training made ready, and its stream of Snapshots with the checkpoints on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from napari_dip.data_sets.dataset import Dataset
from napari_dip.engine.filters import thinned
from napari_dip.engine.loop import Step
from napari_dip.engine.malloc import kept_memory
from napari_dip.engine.out_of_memory import Plan
from napari_dip.models.model import Model, versions
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.snapshot import Snapshot
from napari_dip.training.crops import Crops
from napari_dip.training.preview import Preview
from napari_dip.training.processes import ALONE, Ranks
from napari_dip.training.state import State
from napari_dip.training.steps import Progress, training_steps_anywhere

READ_EVERY = 10  # steps between Snapshots on a GPU, where reading a loss waits for the device
NO_NOISE = "Left out, since no noise could be measured in them: {}."
SMOOTH_NOISE = (
    "The noise of neighbouring pixels is correlated in {}: part of it looks like structure and will stay. Train on the "
    "raw data if there are any, bin them by 2 first, or take the preset correlated of iddp."
)


class Saver:
    """Write a checkpoint when the last one is old."""

    def __init__(self, write: Callable[[], None], every: float) -> None:
        self.write, self.every, self.last = write, every, time.monotonic()

    def now_and_then(self) -> None:
        """Write one if it is time."""
        if time.monotonic() - self.last >= self.every:
            self.write()
            self.last = time.monotonic()


@dataclass
class Stream:
    """A training made ready.

    Attributes
    ----------
    state : State
        Where it stands.
    data, crops : Dataset, Crops
        What it is trained on, and how that is drawn.
    shown : Preview
        What the Snapshots show.
    blank : list of str
        Names of the images that were left out.
    texts : dict of str
        Description and licence of the model.
    save : Saver, optional
        Writes the checkpoints.
    ranks : Ranks
        The processes that train together.
    """

    state: State
    data: Dataset
    crops: Crops
    shown: Preview
    blank: list[str]
    texts: dict[str, str]
    save: Saver | None = None
    ranks: Ranks = ALONE
    progress: Progress = field(default_factory=Progress)

    def snapshots(self) -> Iterator[Snapshot]:
        """Train to the end; a reader that stops leaves a checkpoint."""
        state, save = self.state, self.save
        smooth = self.data.smooth_noise()
        note, statistics = (
            self._remark(smooth),
            self.data.statistics(state.settings.stabilise, bool(smooth)),
        )
        facts = {
            "data": self.data.summary(),
            "device": str(state.device),
            "processes": self.ranks.count,
        }
        model = partial(_model, state, statistics, facts, self.texts)
        every, plan = 1 if state.device.type == "cpu" else READ_EVERY, Plan(state.device)
        if state.step == state.settings.steps:  # it ended, but its model may not have been saved
            unknown = torch.full((), math.nan)
            yield self._snapshot(
                Step(state.step, unknown, None, unknown, state.step), note, model, plan
            )
            return
        try:
            with kept_memory(state.device):
                steps = training_steps_anywhere(
                    state, self.crops, self.progress, plan, self.ranks, every
                )
                for step in thinned(steps, every):
                    yield self._snapshot(step, note, model, plan)
                    note = ""
                    if save:
                        save.now_and_then()
        except GeneratorExit:  # Stop, between two steps
            if save and state.step:
                save.write()
            raise
        state.watch.at_the_end(state.settings.steps)
        if save:
            save.write()

    def _remark(self, smooth: list[str]) -> str:
        """Say what a user should know before; mostly nothing."""
        left_out = [NO_NOISE.format(named(self.blank))] if self.blank else []
        return " ".join(
            [*left_out, *([SMOOTH_NOISE.format(", ".join(smooth[:3]))] if smooth else [])]
        )

    def _snapshot(
        self, step: Step, note: str, model: Callable[[int, BlurredUNet], Model], plan: Plan
    ) -> Snapshot:
        state, net = self.state, self.state.answer()
        settings, device = state.settings.to_json(), str(state.device)
        return Snapshot(
            step=step.index,
            total=state.settings.steps,
            loss=float(step.loss),
            criterion=step.criterion,
            chosen=step.index,
            plane=0,
            planes=1,
            note=" ".join(text for text in (note, step.note) if text),
            provenance={"settings": settings, "device": device, **plan.told(), "steps": step.index},
            make_image=partial(self.shown.denoised, net),
            measures=dict(self.progress.measures),
            noisy=self.shown.noisy,
            make_model=partial(model, step.index, net),
        )


def named(names: list[str]) -> str:
    """Name the first three, and say how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _model(
    state: State,
    statistics: dict[str, Any],
    facts: dict[str, Any],
    texts: dict[str, str],
    steps: int,
    net: BlurredUNet,
) -> Model:
    training = {"steps": steps, **facts, "versions": versions()}
    return Model(deepcopy(net).cpu(), state.settings, state.channels, statistics, training, **texts)
