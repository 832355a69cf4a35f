"""The verbs ``inpaint``, ``upscale``, ``guided`` and ``invert``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from napari_dip.cli.file_options import FileOptions
from napari_dip.cli.flags import FILES, Inputs, build_settings, flag, with_settings
from napari_dip.methods.registry import RESTORATIONS
from napari_dip.settings import Settings


def restoration_verbs() -> dict[str, Callable[..., int]]:
    """Return the verbs by name."""
    verbs: list[Callable[..., int]] = [inpaint, upscale, guided, invert]
    names = [verb.__name__ for verb in verbs]
    return {
        name: with_settings(verb, RESTORATIONS[name].settings)
        for name, verb in zip(names, verbs, strict=True)
    }


def inpaint(
    inputs: Inputs,
    /,
    *,
    options: FileOptions,
    mask: Annotated[
        str,
        flag(
            "An image file that is not 0 where pixels are MISSING, of the image's shape or one "
            "plane's; or `auto`.",
            group=FILES,
        ),
    ] = "auto",
    denoise_known: Annotated[
        bool, flag("Denoise the known pixels too; else they stay as they are.")
    ] = False,
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Fill missing pixels: those of a mask, or found ones: NaN, hot, dead and saturated pixels."""
    path = mask if mask == "auto" else Path(mask)
    return _run("inpaint", inputs, options, preset, how, mask=path, keep_known=not denoise_known)


def upscale(
    inputs: Inputs,
    /,
    *,
    options: FileOptions,
    factor: Annotated[
        Literal["2", "3", "4", "8"], flag("How many times as high and as wide the answer is.")
    ],
    down: Annotated[
        Literal["lanczos", "binning"],
        flag(
            "How the image is thought to have become coarse: by an anti-aliased resize, or by the "
            "mean over a camera's pixel."
        ),
    ] = "lanczos",
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Enlarge images: find one that is natural and, made coarse again, is the one given."""
    return _run("upscale", inputs, options, preset, how, factor=int(factor), down=down)


def guided(
    inputs: Inputs,
    /,
    *,
    options: FileOptions,
    guide: Annotated[
        Path, flag("An image file of the same size, such as a bright channel.", group=FILES)
    ],
    guide_channel: Annotated[
        str | None,
        flag("Which channel of the guide, number or name; by default as --channel.", group=FILES),
    ] = None,
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Denoise images with the help of a better one of the same place (flash / no-flash)."""
    return _run("guided", inputs, options, preset, how, guide=guide, guide_channel=guide_channel)


def invert(
    inputs: Inputs,
    /,
    *,
    options: FileOptions,
    module: Annotated[
        Path,
        flag(
            "A model trained here (.safetensors), or a TorchScript file (torch.jit.save). Such a "
            "file is a program: take only what you trust. Pickled modules are never loaded.",
            group=FILES,
        ),
    ],
    layer: Annotated[
        str, flag("The name of a layer, such as features.16; by default the network's output.")
    ] = "",
    preset: str = "fast",
    how: Settings | None = None,
) -> int:
    """Show what a layer of a network keeps: find a natural image with the same features."""
    from napari_dip.models.model import SUFFIX

    if module.suffix.lower() != SUFFIX and module.is_file():
        options.output.note(f"{module} is a program, whose code is run: take only what you trust.")
    return _run("invert", inputs, options, preset, how, module=module, layer=layer)


def _run(
    verb: str,
    inputs: list[Path],
    options: FileOptions,
    preset: str,
    how: Settings | None,
    **more: Any,
) -> int:
    from napari_dip.batch.restore_tasks import restoration_task
    from napari_dip.cli import run_files

    workers = options.spread()
    settings = build_settings(RESTORATIONS[verb].settings, preset, how)
    task = restoration_task(options.task(settings), verb, **more)
    return run_files.run(inputs, options.out, task, options.output, workers)
