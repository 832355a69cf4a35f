"""The verbs and their flags. What a verb does stands in the file of its name; here is only how it is called.

(No ``from __future__ import annotations``: cyclopts reads the annotations, and many are made at run time.)
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from napari_dip.cli.talk import Talk, UsageError
from napari_dip.settings import METHODS, Settings


def _flag(kind: Any, text: str, *names: str) -> Any:
    """Return the annotation of one flag; a switch has no ``--no-`` twin."""
    return Annotated[kind, Parameter(name=names or None, help=text, negative="" if kind is bool else None)]


INPUTS = _flag(list[Path], "Images (TIFF, PNG, JPEG) or folders of them.")
OUT = _flag(Path, "A file for one image; a folder for several or for a folder, whose tree is kept.", "--out", "-o")
AXES = _flag(str | None, "A letter of TZCYX for each axis, such as ZYX; by default read off the file.")
DTYPE = _flag(Literal["float32", "same"], "Type of the values written; `same` rounds and clips to the input's.")
OVERWRITE = _flag(bool, "Replace files that exist.")
DEVICE = _flag(str, "auto, cpu, cuda:0 (or another number) or mps; auto takes the first GPU, else the CPU.")
JSON = _flag(bool, "Print one JSON object last on stdout; other text goes to stderr.", "--json")
QUIET = _flag(bool, "Show no progress.", "--quiet", "-q")
DEMO_OUT = _flag(Path, "Folder for the TIFF and the picture.", "--out", "-o")
CLEAN = _flag(Path, "The ground truth, or the best there is.")
RESTORED = _flag(Path, "The image to judge, of the same shape.")
DATA_RANGE = _flag(
    float | None,
    "Span of possible values, in gray levels; by default that of the clean image's integer type.",
)
AFFINE = _flag(bool, "First match gain and offset to the clean image by least squares.")
FILE = _flag(Path, "An image file.")

HELP = """Denoise microscopy images without clean training data, by Deep Image Prior.

Start with `napari-dip demo`. Exit codes: 0 done, 1 some input failed, 2 wrong usage."""


def build(tokens: Sequence[str]) -> App:
    """Make the command line for the method that `tokens` name, so that only its settings are flags."""
    app = App(name="napari-dip", help=HELP, version=_version, suppress_keyboard_interrupt=False)
    method = chosen_method(tokens)
    for name, verb in (
        ("demo", demo_command(next(iter(METHODS.values())))),
        ("denoise", denoise_command(method)),
        (
            "score",
            _annotated(score, clean=CLEAN, restored=RESTORED, data_range=DATA_RANGE, affine=AFFINE, json=JSON),
        ),
        ("info", _annotated(info, file=FILE, json=JSON)),
        ("doctor", _annotated(doctor, json=JSON)),
    ):
        app.command(verb, name=name)
    return app


def chosen_method(tokens: Sequence[str]) -> type[Settings]:
    """Find the Settings class that ``--method`` names; a wrong name is refused when the flags are parsed."""
    for word, following in zip(tokens, [*tokens[1:], ""], strict=False):
        name = following if word == "--method" else word.removeprefix("--method=")
        if name in METHODS and name != word:
            return METHODS[name]
    return next(iter(METHODS.values()))


def settings_of(method: type[Settings], preset: str, given: Settings | None) -> Settings:
    """Build the settings: the preset's, with the flags that were given on top.

    Raises
    ------
    UsageError
        When they do not go together.
    """
    changes = {name: getattr(given, name) for name in given.model_fields_set} if given else {}
    try:
        return method.preset(preset, **changes)
    except ValueError as error:  # flags that are fine one by one but not together
        raise UsageError(str(error)) from error


def denoise_command(method: type[Settings]) -> Callable[..., int]:
    """Make the verb ``denoise`` with the flags of one method."""

    def denoise(
        inputs: list[Path],
        /,
        *,
        out: Path,
        method_name: str = method.method,
        preset: str = next(iter(method.presets)),
        device: str = "auto",
        axes: str | None = None,
        dtype: str = "float32",
        overwrite: bool = False,
        json: bool = False,
        quiet: bool = False,
        how: Settings | None = None,
    ) -> int:
        """Denoise images; a stack goes plane by plane.

        Ctrl-C keeps the answer so far: it is written, and the files not yet begun are left.
        """
        from napari_dip.cli.denoise import Task, run

        settings = settings_of(method, preset, how)
        task = Task(settings=settings, device=device, axes=axes, dtype=dtype, overwrite=overwrite)
        return run(inputs, out, task, Talk(json, quiet))

    names = _flag(_choice(METHODS), _methods_help(), "--method")
    return _annotated(
        denoise,
        inputs=INPUTS,
        out=OUT,
        method_name=names,
        axes=AXES,
        dtype=DTYPE,
        overwrite=OVERWRITE,
        quiet=QUIET,
        **_common(method),
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

    return _annotated(demo, out=DEMO_OUT, quiet=QUIET, **_common(method))


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


def _common(method: type[Settings]) -> dict[str, Any]:
    """Return the flags that the verbs which fit share: preset, device, every setting of the method."""
    optional: Any = method | None
    settings = Annotated[optional, Parameter(name="*", group=f"Settings of {method.title}")]
    preset = _flag(_choice(method.presets), _presets_help(method))
    return {"preset": preset, "device": DEVICE, "json": JSON, "how": settings}


def _annotated(verb: Callable[..., int], **flags: Any) -> Callable[..., int]:
    """Put the flags in the place of the plain types, which are there for the type checker."""
    verb.__annotations__.update(flags)
    return verb


def _choice(names: Any) -> Any:
    return Literal[tuple(names)]


def _methods_help() -> str:
    return "What denoises: " + "; ".join(f"{name}: {cls.title}" for name, cls in METHODS.items()) + "."


def _presets_help(method: type[Settings]) -> str:
    """Say what each preset changes, so that the help shows the values that will be used."""
    texts = []
    for name, values in method.presets.items():
        changes = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in values.items())
        texts.append(f"{name} ({changes or 'the defaults below'})")
    return "Where the settings start: " + "; ".join(texts) + ". Flags given beside it win."


def _version() -> str:
    from importlib.metadata import version

    return version("napari-dip")
