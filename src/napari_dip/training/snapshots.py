"""A training as a stream of Snapshots, with checkpoints on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

import torch

from napari_dip.data_sets.dataset import Dataset, list_names
from napari_dip.engine.device import describe_device
from napari_dip.engine.filters import thinned
from napari_dip.engine.loop import Step
from napari_dip.engine.malloc import keep_freed_memory
from napari_dip.engine.out_of_memory import MemoryPlan
from napari_dip.methods.registry import TRAINED
from napari_dip.models.model import Model, versions
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.snapshot import Snapshot
from napari_dip.training.crops import Crops
from napari_dip.training.preview import Preview
from napari_dip.training.processes import ALONE, ProcessGroup
from napari_dip.training.state import State
from napari_dip.training.steps import training_steps_anywhere

READ_EVERY = 10  # steps between Snapshots on a GPU, where reading a loss waits for the device
CORRELATED_NOISE = (
    "The noise of neighbouring pixels is correlated in {}, up to {} pixels far: such images have a "
    "network of their own, which learns from noise drawn with that correlation."
)
CORRELATED_NOISE_STAYS = (
    "The noise of neighbouring pixels is correlated in {}: part of it looks like structure and "
    "will stay. Take the start blind-spot, which has a network of its own for such images."
)


class CheckpointWriter:
    """Write a checkpoint when the last one is old."""

    def __init__(self, write: Callable[[], None], every: float) -> None:
        self.write, self.every, self.last = write, every, time.monotonic()

    def write_if_old(self) -> None:
        """Write one if `every` seconds have passed."""
        if time.monotonic() - self.last >= self.every:
            self.write()
            self.last = time.monotonic()


@dataclass
class TrainingRun:
    """A training that is ready to start; `checkpoints` only in the process that writes them."""

    state: State
    data: Dataset
    crops: Crops
    preview: Preview
    texts: dict[str, str]
    checkpoints: CheckpointWriter | None = None
    group: ProcessGroup = ALONE
    measures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        device, what = self.state.device, "previews and validation go on"
        self.plan, self.aside = MemoryPlan(device), MemoryPlan(device, what=what)

    def snapshots(self) -> Iterator[Snapshot]:
        """Train to the end; a reader that stops leaves a checkpoint."""
        state, checkpoints, group = self.state, self.checkpoints, self.group
        every = 1 if state.device.type == "cpu" else READ_EVERY
        smooth = self.data.correlated_noise(state.settings.stabilise)
        note, make_model = self._note(smooth), self._model_maker(smooth)
        if state.step == state.settings.steps:  # it ended, but its model may not have been saved
            unknown = torch.full((), math.nan)
            end = Step(state.step, unknown, None, unknown, state.step)
            yield self._snapshot(end, note, make_model)
            return
        try:
            with keep_freed_memory(state.device):
                steps = training_steps_anywhere(
                    state, self.crops, self.measures, self.plan, self.aside, group, every
                )
                for step in thinned(steps, every):
                    yield self._snapshot(step, note, make_model)
                    note = ""
                    if checkpoints:
                        checkpoints.write_if_old()
        except GeneratorExit:  # Stop, between two steps
            if checkpoints and state.step:
                checkpoints.write()
            raise
        state.watch.check_end(state.settings.steps)
        if checkpoints:
            checkpoints.write()

    def _note(self, smooth: list[str]) -> str:
        """Return what a user should know before; mostly nothing."""
        s, hole, notes = self.state.settings, self.state.net.holes[-1], list(self.data.notes)
        if smooth and hole:
            notes.append(CORRELATED_NOISE.format(list_names(smooth), hole))
        elif smooth and not TRAINED[s.method].target:
            notes.append(CORRELATED_NOISE_STAYS.format(list_names(smooth)))
        return " ".join(notes)

    def _model_maker(self, smooth: list[str]) -> Callable[[int, BlurredUNet], Model]:
        """Return a function that makes the Model of a step and its network."""
        state = self.state
        statistics = self.data.statistics(state.settings.stabilise, bool(smooth))
        facts = {
            "data": self.data.summary(),
            **describe_device(state.device),
            "processes": self.group.world_size,
        }

        def make(step: int, net: BlurredUNet) -> Model:
            training = {"steps": step, **facts, "versions": versions()}
            copy = deepcopy(net).cpu()
            copy.beside = None
            return Model(copy, state.settings, state.channels, statistics, training, **self.texts)

        return make

    def _snapshot(
        self, step: Step, note: str, make_model: Callable[[int, BlurredUNet], Model]
    ) -> Snapshot:
        state, net = self.state, self.state.average_net()
        made_by = {"settings": state.settings.to_json(), **describe_device(state.device)}
        return Snapshot(
            step=step.index,
            total=state.settings.steps,
            loss=float(step.loss),
            criterion=step.criterion,
            chosen=step.index,
            plane=0,
            planes=1,
            note=" ".join(text for text in (note, step.note, self.aside.news()) if text),
            provenance={**made_by, **self.plan.to_json(), "steps": step.index},
            make_image=partial(self.preview.denoise, net, self.aside),
            measures=dict(self.measures),
            noisy=self.preview.noisy,
            make_model=partial(make_model, step.index, net),
        )
