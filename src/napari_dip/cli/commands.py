"""The command line of all verbs; each stands in the file of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cyclopts import App

from napari_dip.cli.demo import demo_verb
from napari_dip.cli.denoise import denoise_verb
from napari_dip.cli.doctor import doctor
from napari_dip.cli.export import export
from napari_dip.cli.info import info
from napari_dip.cli.noise import noise
from napari_dip.cli.restore import restoration_verbs
from napari_dip.cli.score import score
from napari_dip.cli.train import train_verb
from napari_dip.methods.method import Method, TrainedMethod
from napari_dip.methods.registry import METHODS, TRAINED

HELP = """Denoise microscopy images without clean training data.

By default a network learns from the one image to predict each pixel from its neighbours
(blind-spot); Deep Image Prior (dip), PatchDIP and networks trained on your own images are one
choice away.

Start with `napari-dip demo`. Exit codes: 0 done, 1 some input failed, 2 wrong usage."""


def build(tokens: Sequence[str]) -> App:
    """Return the command line for the method that `tokens` name: only its settings are flags."""
    app = App(name="napari-dip", help=HELP, version=_version, suppress_keyboard_interrupt=False)
    verbs: dict[str, Callable[..., int]] = {
        "demo": demo_verb(next(iter(METHODS.values())).settings),
        "denoise": denoise_verb(chosen_method(tokens, METHODS)),
        "train": train_verb(chosen_method(tokens, TRAINED)),
        "export": export,
        **restoration_verbs(),
        "noise": noise,
        "score": score,
        "info": info,
        "doctor": doctor,
    }
    for name, verb in verbs.items():
        app.command(verb, name=name)
    return app


def chosen_method(
    tokens: Sequence[str], methods: Mapping[str, Method] | Mapping[str, TrainedMethod]
) -> Any:
    """Return the Settings class that ``--method`` names, the first one for a name that is none."""
    for word, following in zip(tokens, [*tokens[1:], ""], strict=False):
        name = following if word == "--method" else word.removeprefix("--method=")
        if name in methods and name != word:
            return methods[name].settings
    first: Any = next(iter(methods.values()))
    return first.settings


def _version() -> str:
    from importlib.metadata import version

    return version("napari-dip")
