"""The verbs and their flags. What a verb does stands in the file of its name; here is only how it is called.

(No ``from __future__ import annotations``: cyclopts reads the annotations, and many are made at run time.)
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from napari_dip.cli import export, training
from napari_dip.cli import restore as restoring
from napari_dip.cli.file_flags import Call
from napari_dip.cli.flags import (
    AFFINE,
    CLEAN,
    CONFIG,
    DATA_RANGE,
    DEMO_OUT,
    FILE,
    INPUTS,
    JSON,
    MODEL,
    QUIET,
    RESTORED,
    SAVE_CONFIG,
    STD,
    annotated,
    choice,
    common,
    flag,
    methods_help,
    settings_of,
)
from napari_dip.cli.output import Talk
from napari_dip.errors import UsageError
from napari_dip.methods.method import Method, TrainedMethod
from napari_dip.methods.registry import METHODS, TRAINED
from napari_dip.settings import Settings

HELP = """Denoise microscopy images without clean training data.

By default a network learns from the one image to predict each pixel from its neighbours (blind-spot);
Deep Image Prior (dip), PatchDIP and networks trained on your own images are one choice away.

Start with `napari-dip demo`. Exit codes: 0 done, 1 some input failed, 2 wrong usage."""


def build(tokens: Sequence[str]) -> App:
    """Make the command line for the method that `tokens` name, so that only its settings are flags."""
    app = App(name="napari-dip", help=HELP, version=_version, suppress_keyboard_interrupt=False)
    method = chosen_method(tokens, METHODS)
    for name, verb in (
        ("demo", demo_command(next(iter(METHODS.values())).settings)),
        ("denoise", denoise_command(method)),
        ("train", training.command(chosen_method(tokens, TRAINED))),
        ("export", export.command()),
        *restoring.commands(),
        (
            "score",
            annotated(
                score,
                clean=CLEAN,
                restored=RESTORED,
                data_range=DATA_RANGE,
                affine=AFFINE,
                json=JSON,
            ),
        ),
        ("info", annotated(info, file=FILE, json=JSON)),
        ("doctor", annotated(doctor, json=JSON)),
    ):
        app.command(verb, name=name)
    return app


def chosen_method(
    tokens: Sequence[str], methods: Mapping[str, Method] | Mapping[str, TrainedMethod]
) -> Any:
    """Find the Settings class that ``--method`` names; a wrong name is refused when the flags are parsed."""
    for word, following in zip(tokens, [*tokens[1:], ""], strict=False):
        name = following if word == "--method" else word.removeprefix("--method=")
        if name in methods and name != word:
            return methods[name].settings
    first: Any = next(iter(methods.values()))
    return first.settings


def denoise_command(method: type[Settings]) -> Callable[..., int]:
    """Make the verb ``denoise`` with the flags of one method."""

    def denoise(
        inputs: list[Path],
        /,
        *,
        call: Call,
        method_name: str = method.method,
        model: Path | None = None,
        preset: str = next(iter(method.presets)),
        std: bool = False,
        config: Path | None = None,
        save_config: Path | None = None,
        how: Settings | None = None,
    ) -> int:
        """Denoise images; a stack goes plane by plane.

        Ctrl-C keeps the answer so far: it is written, and the files not yet begun are left.
        """
        from napari_dip.cli.denoise import asked, run

        to, settings = call.to, settings_of(method, preset, how)
        if model is not None and (how is not None or preset != next(iter(method.presets))):
            raise UsageError(
                "--model brings its own settings: leave out --preset and the settings of a fit."
            )
        return run(
            inputs, call.out, asked(call, settings, preset, model, std, save_config), call.talk, to
        )

    shared = common(method)
    return annotated(
        denoise,
        inputs=INPUTS,
        method_name=flag(choice(METHODS), methods_help(), "--method"),
        model=MODEL,
        preset=shared["preset"],
        std=STD,
        config=CONFIG,
        save_config=SAVE_CONFIG,
        how=shared["how"],
    )


def demo_command(method: type[Settings]) -> Callable[..., int]:
    """Make the verb ``demo``, which runs one method on the image that comes with the package."""

    def demo(
        *,
        out: Path = Path("napari-dip-demo"),
        preset: str = next(iter(method.presets)),
        device: str = "auto",
        json: bool = False,
        quiet: bool = False,
        how: Settings | None = None,
    ) -> int:
        """Denoise the image that comes with the package and compare with its ground truth.

        A confocal capture of a zebrafish embryo and the average of 50 (FMD, Zhang et al., CVPR 2019).
        """
        from napari_dip.cli.demo import run

        return run(out, settings_of(method, preset, how), device, Talk(json, quiet))

    return annotated(demo, out=DEMO_OUT, quiet=QUIET, **common(method))


def score(
    clean: Path,
    restored: Path,
    /,
    *,
    data_range: float | None = None,
    affine: bool = False,
    json: bool = False,
) -> int:
    """Print PSNR and SSIM of an image against a clean one, and the range that they refer to."""
    from napari_dip.cli.score import run

    return run(clean, restored, data_range, affine, Talk(json))


def info(file: Path, /, *, json: bool = False) -> int:
    """Print what a file holds: axes, shape, type, pixel size, and what made it."""
    from napari_dip.cli.info import run

    return run(file, Talk(json))


def doctor(*, json: bool = False) -> int:
    """Print versions, the devices found, why CUDA is not used where it is not, and a short speed test."""
    from napari_dip.cli.doctor import run

    return run(Talk(json))


def _version() -> str:
    from importlib.metadata import version

    return version("napari-dip")
