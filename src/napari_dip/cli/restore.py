"""The verbs ``inpaint``, ``upscale``, ``guided`` and ``invert``: how they are called.

(No ``from __future__ import annotations``: cyclopts reads the annotations, and many are made at run time.)
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from napari_dip.cli.file_flags import Call
from napari_dip.cli.flags import FILES, INPUTS, annotated, common, flag, settings_of
from napari_dip.methods.registry import RESTORATIONS
from napari_dip.settings import Settings

MASK = flag(
    str,
    "An image file that is not 0 where pixels are MISSING, of the image's shape or one plane's; or `auto`.",
    group=FILES,
)
DENOISE = flag(bool, "Denoise the known pixels too; else they stay as they are.", "--denoise-known")
FACTOR = flag(Literal["2", "3", "4", "8"], "How many times as high and as wide the answer is.")
DOWN = flag(
    Literal["lanczos", "binning"],
    "How the image is thought to have become coarse: by an anti-aliased resize, or by the mean over a camera's pixel.",
)
GUIDE = flag(Path, "An image file of the same size, such as a bright channel.", group=FILES)
MODULE = flag(
    Path,
    "A model trained here (.safetensors), or a TorchScript file (torch.jit.save). Such a file is a program: take only "
    "what you trust. Pickled modules are never loaded.",
    group=FILES,
)
LAYER = flag(str, "The name of a layer, such as features.16; by default the network's output.")


def commands() -> list[tuple[str, Callable[..., int]]]:
    """Return the verbs by name."""
    return [
        ("inpaint", _verb(inpaint, "inpaint", mask=MASK, denoise_known=DENOISE)),
        ("upscale", _verb(upscale, "upscale", factor=FACTOR, down=DOWN)),
        ("guided", _verb(guided, "guided", guide=GUIDE)),
        ("invert", _verb(invert, "invert", module=MODULE, layer=LAYER)),
    ]


def inpaint(
    inputs: list[Path],
    /,
    *,
    call: Call,
    mask: str = "auto",
    denoise_known: bool = False,
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Fill missing pixels: those of a mask, or found ones (auto): NaN, hot, dead and saturated pixels."""
    from napari_dip.restore.missing_pixels import FIND

    marks = mask if mask == FIND else Path(mask)
    return _run("inpaint", inputs, call, preset, how, mask=marks, keep_known=not denoise_known)


def upscale(
    inputs: list[Path],
    /,
    *,
    call: Call,
    factor: str,
    down: str = "lanczos",
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Enlarge images: find one that is natural and, made coarse again, is the one given."""
    return _run("upscale", inputs, call, preset, how, factor=int(factor), down=down)


def guided(
    inputs: list[Path],
    /,
    *,
    call: Call,
    guide: Path,
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Denoise images with the help of a better one of the same place (flash / no-flash)."""
    return _run("guided", inputs, call, preset, how, guide=guide)


def invert(
    inputs: list[Path],
    /,
    *,
    call: Call,
    module: Path,
    layer: str = "",
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Show what a layer of a network keeps of an image: find a natural image with the same features."""
    return _run("invert", inputs, call, preset, how, module=module, layer=layer)


def _run(
    verb: str, inputs: list[Path], call: Call, preset: str, how: Settings | None, **options: Any
) -> int:
    from napari_dip.batch.restore_tasks import restoration_task
    from napari_dip.cli.denoise import run

    to = call.to
    task = restoration_task(
        call.task(settings_of(RESTORATIONS[verb].settings, preset, how)), verb, **options
    )
    return run(inputs, call.out, task, call.talk, to)


def _verb(verb: Callable[..., int], task: str, **flags: Any) -> Callable[..., int]:
    """Add the flags that all restorations share, beside those of `Call`."""
    shared = common(RESTORATIONS[task].settings)
    return annotated(verb, inputs=INPUTS, preset=shared["preset"], how=shared["how"], **flags)
