"""All that a training needs to go on: weights, optimiser, random state; and its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn

from napari_dip.engine.average_weights import blend_weights
from napari_dip.engine.device import seeded
from napari_dip.engine.loop import adam_for
from napari_dip.methods.registry import TRAINED
from napari_dip.models.model import FORMAT, OLDER, build, check_format, check_known
from napari_dip.models.safetensors_file import (
    check_tensors,
    read_record,
    read_tensors,
    write_tensors,
)
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import Trained
from napari_dip.settings.trained import renamed
from napari_dip.training.collapse import CollapseWatch

KEY = "napari-dip-checkpoint"
WHAT = "checkpoint of a training of napari-dip"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class State:
    """A training as it stands.

    Random numbers are drawn on the CPU, so that every device draws the same.
    """

    def __init__(
        self,
        settings: Trained,
        channels: int,
        device: torch.device,
        holes: tuple[int, ...] = (0,),
    ) -> None:
        self.settings, self.channels, self.device = settings, channels, device
        # Where all noise is correlated there are no steps of the method's own.
        self.filter_steps = settings.filter_steps if 0 in holes else settings.steps
        with seeded(settings.seed):
            self.net = build(settings, channels, holes=holes)
            beside = TRAINED[settings.method].beside
            self.net.beside = resolve_name(beside)(settings, channels) if beside else None
        self.net.to(device)
        self.mean = deepcopy(self.net).requires_grad_(False)
        self.adam = adam_for(self.net.parameters(), settings.learning_rate, settings.beta2)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.watch = CollapseWatch()
        self.step = 0
        self.good: dict[str, Tensor] = {}

    def move(self, device: torch.device) -> None:
        """Go on on another device from where it stands."""
        parts = {name: value.to(device) for name, value in self._parts().items()}
        self.good = {name: value.to(device) for name, value in self.good.items()}
        self.device, self.net, self.mean = device, self.net.to(device), self.mean.to(device)
        self.adam = adam_for(
            self.net.parameters(), self.settings.learning_rate, self.settings.beta2
        )
        self.restore_weights(parts)

    def settle_filter(self) -> None:
        """Take the average of the learned filter for the filter itself; then it stays as it is."""
        if self.net.filter is not None and self.mean.filter is not None:
            self.net.filter.load_state_dict(self.mean.filter.state_dict())

    def average(self, index: int) -> None:
        """Take the weights into the average: plainly at first, to forget the start.

        `index` is that of the step, from 1, counted from where the filter was settled.
        """
        share = 1 - min(self.settings.averaging, 1 - 1 / index)
        blend_weights(self.mean, self.net, share)

    def weights(self) -> dict[str, Tensor]:
        """Return copies of the weights, their averages and the optimiser's moments, by name."""
        return {name: value.clone() for name, value in self._parts().items()}

    def _parts(self) -> dict[str, Tensor]:
        parts = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        parts |= {f"mean.{name}": value for name, value in self.mean.state_dict().items()}
        for number, moments in self.adam.state_dict()["state"].items():
            if all(name in moments for name in _MOMENTS):  # else memory ran out as they were made
                parts |= {f"adam.{number}.{name}": moments[name] for name in _MOMENTS}
        return {name: value.detach() for name, value in parts.items()}

    def restore_weights(self, parts: Mapping[str, Tensor]) -> None:
        """Set weights, averages and moments to what `weights` returned."""
        for prefix, net in (("net.", self.net), ("mean.", self.mean)):
            net.load_state_dict(
                {n.removeprefix(prefix): v for n, v in parts.items() if n.startswith(prefix)}
            )
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in parts.items():
            if name.startswith("adam."):
                _, number, moment = name.split(".")
                moments.setdefault(int(number), {})[moment] = value.clone()
        self.adam.load_state_dict({**self.adam.state_dict(), "state": moments})

    def average_net(self) -> BlurredUNet:
        """Return a copy of the averaged network, which later steps leave as it is."""
        return deepcopy(self.mean).eval()

    def save(self, path: Path, fingerprint: str) -> None:
        """Write a checkpoint, whole or not at all; `fingerprint` tells the training data."""
        tensors = {f"now.{name}": value for name, value in self.weights().items()}
        tensors |= {f"good.{name}": value for name, value in self.good.items()}
        tensors["generator"] = self.generator.get_state()
        record = {
            "format": FORMAT,
            "step": self.step,
            "settings": self.settings.to_json(),
            "channels": self.channels,
            "data": fingerprint,
            "holes": list(self.net.holes),
            "watch": {
                k: None if isinstance(v, float) and math.isnan(v) else v
                for k, v in asdict(self.watch).items()
            },
        }
        write_tensors(path, tensors, KEY, record)

    def load(self, path: Path, fingerprint: str) -> None:
        """Go on from a checkpoint; refuse one that is damaged or of other settings or data."""
        record, found = read_record(path, KEY, WHAT)
        self._check(record, path, fingerprint)
        plain = {name: value.to("meta") for name, value in _shapes(self.net).items()}
        kinds = [
            kind for kind in ("now", "good") if any(name.startswith(f"{kind}.") for name in found)
        ]
        wanted = {f"{kind}.{name}": value for kind in kinds for name, value in plain.items()}
        # Weights that had no step yet have no moments.
        moments = {name.rpartition(".")[0] for name in found}
        wanted = {
            n: v for n, v in wanted.items() if ".adam." not in n or n.rpartition(".")[0] in moments
        }
        check_tensors(found, {**wanted, "generator": self.generator.get_state().to("meta")}, path)
        tensors = read_tensors(path)
        try:
            self.generator.set_state(tensors.pop("generator"))
            figures: dict[str, Any] = {
                k: math.nan if v is None else v for k, v in record["watch"].items()
            }
            self.watch = CollapseWatch(**figures)
        except (RuntimeError, TypeError, AttributeError, KeyError):
            raise ValueError(f"{path.name} is damaged; start the training anew.") from None
        parts: dict[str, dict[str, Tensor]] = {"now": {}, "good": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = value.to(self.device)
        self.restore_weights(parts["now"])
        self.good, self.step = parts["good"], record["step"]

    def _check(self, record: Mapping[str, Any], path: Path, fingerprint: str) -> None:
        check_format(record, path, WHAT)
        mine = self.settings.to_json()
        theirs = record.get("settings")
        if not isinstance(theirs, dict) or record.get("channels") != self.channels:
            raise ValueError(
                f"{path.name} belongs to images with other channels; start the training anew."
            )
        known = {name: value for name, value in theirs.items() if name != "method"}
        if theirs.get("method") == self.settings.method:
            check_known(known, type(self.settings), path)
            defaults = {
                name: field.default for name, field in type(self.settings).model_fields.items()
            }
            theirs = renamed(
                {**defaults, **OLDER, **theirs}
            )  # of a version without some of the settings
        differ = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
        if differ:
            raise ValueError(
                f"{path.name} belongs to other settings ({', '.join(differ)}); give those, or "
                "start anew."
            )
        holes = list(self.net.holes)  # of arrays with the same names and shapes
        if record.get("data") != fingerprint or record.get("holes", holes) != holes:
            raise ValueError(
                f"{path.name} belongs to other training data, or a file has changed; start anew."
            )
        step = record.get("step")
        if not isinstance(step, int) or not 0 < step <= self.settings.steps:
            raise ValueError(f"{path.name} is damaged: it stands at step {step}.")


def _shapes(net: nn.Module) -> dict[str, Tensor]:
    """Return the names and shapes of what `State.weights` returns after a step."""
    state = net.state_dict()
    parts = {f"{kind}.{name}": value for kind in ("net", "mean") for name, value in state.items()}
    for number, weight in enumerate(net.parameters()):
        parts |= {f"adam.{number}.{name}": weight for name in _MOMENTS[:2]}
        parts[f"adam.{number}.step"] = torch.zeros((), dtype=torch.float32)
    return {name: value.detach() for name, value in parts.items()}
