"""No knob turns nothing: each setting of each method is read by one of its networks or rules."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from torch import nn

from napari_dip import (
    iter_denoise,
    iter_inpaint,
    iter_invert_features,
    iter_restore_guided,
    iter_upscale,
    last,
)
from napari_dip.methods import registry
from napari_dip.settings import FitSettings, Settings

METHODS = registry.settings_classes(registry.METHODS)
RESTORATIONS = registry.settings_classes(registry.RESTORATIONS)

RNG = np.random.default_rng(0)
IMAGE = RNG.poisson(40, (20, 22)).astype(np.float32)
MASK = RNG.random(IMAGE.shape) < 0.2
QUICK = {"steps": 3, "channels": 4, "scales": 2}
START = {
    "inpaint": lambda how: iter_inpaint(IMAGE, MASK, how, device="cpu"),
    "upscale": lambda how: iter_upscale(IMAGE, 2, how, device="cpu"),
    "guided": lambda how: iter_restore_guided(IMAGE, IMAGE[::-1].copy(), how, device="cpu"),
    "invert": lambda how: iter_invert_features(IMAGE, nn.Conv2d(1, 2, 3), "", how, device="cpu"),
}


@pytest.mark.parametrize(
    "method", [*METHODS.values(), *RESTORATIONS.values()], ids=lambda cls: cls.title
)
def test_every_knob_is_read_in_a_fit(
    method: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = set(method.model_fields)
    start: Any = {RESTORATIONS[name]: begin for name, begin in START.items()}.get(
        method, lambda how: iter_denoise(IMAGE, how, device="cpu")
    )
    hows = []
    nets = choices(method, "net") if "net" in fields else ("",)
    stops = choices(method, "stop") if "stop" in fields else ("",)
    for net, stop in product(nets, stops):
        for more in ({}, {"z": "noise"}) if "z" in fields else ({},):
            try:
                values = {**QUICK, **more, "net": net, "stop": stop}
                hows.append(method(**{k: v for k, v in values.items() if k in fields}))
            except ValueError:  # does not go together
                continue
    read: set[str] = set()
    plain = method.__getattribute__

    def spy(self: Settings, name: str) -> Any:
        read.add(name)
        return plain(self, name)

    monkeypatch.setattr(method, "__getattribute__", spy)
    for how in hows:
        last(start(how))
    assert fields - read == set()


def test_defaults_that_several_classes_name_are_the_own_ones() -> None:
    """With several parents pydantic takes the first one's fields, also inherited ones."""
    rates = {
        name: cls.model_fields["learning_rate"].default
        for name, cls in {**METHODS, **RESTORATIONS}.items()
        if issubclass(cls, FitSettings)
    }
    assert rates == {
        "blind-spot": 0.006,
        "dip": 0.02,
        "patchdip": 0.004,
        "inpaint": 0.004,
        "upscale": 0.01,
        "guided": 0.006,
        "invert": 0.01,
    }
    averaging = [
        cls.model_fields["averaging"].default for cls in (METHODS["dip"], *RESTORATIONS.values())
    ]
    assert averaging == [0.98, 0.99, 0.98, 0.97, 0.98]


def choices(method: type[Settings], name: str) -> tuple[str, ...]:
    return method.model_fields[name].annotation.__args__  # type: ignore[union-attr]
