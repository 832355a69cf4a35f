"""The restorations as tasks: named by plain values, so that a worker elsewhere can do them too."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.errors import UsageError
from napari_dip.files.checksum import sha256
from napari_dip.images.part import Part, take_part
from napari_dip.methods.registry import RESTORATIONS

if TYPE_CHECKING:
    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image


def restoration_task(task: Task, verb: str, **options: Any) -> Task:
    """Return a task that restores: fills, enlarges, takes a guide, or inverts features.

    Parameters
    ----------
    task : Task
        With the settings of the verb.
    verb : str
        The name of the restoration.
    **options
        Of the verb, plain values: ``mask`` and ``keep_known``; ``factor`` and ``down``; ``guide``
        and ``guide_channel``; ``module`` and ``layer``. Files are named by their paths. Of a mask
        or a guide the part is taken that is taken of the images, along the axes it has, unless it
        has that size already.

    Raises
    ------
    UsageError
        For a file that cannot be used.
    """
    fields = resolve_name(RESTORATIONS[verb].prepare)(task.part, **options)
    made = {"settings": task.settings.to_json(), "task": verb, **fields.pop("made")}
    return replace(task, made=made, restoration={"verb": verb, **options}, **fields)


def prepare_inpaint(part: Part, mask: str | Path, keep_known: bool) -> dict[str, Any]:
    from napari_dip.restore.inpaint import prepare
    from napari_dip.restore.missing_pixels import FIND, find_missing_pixels

    if mask == FIND:
        whole: Image | None = None
    else:
        whole = _read(mask, part, "mask", f"; give an image file or {FIND}")
        mask = sha256(mask)

    def missing(image: Image) -> Any:
        return FIND if whole is None else np.asarray(_part_for(image, whole, part).pixels)

    return {
        "prepare": lambda image, **more: prepare(
            image, missing(image), keep_known=keep_known, **more
        ),
        "check": lambda image: find_missing_pixels(image, missing(image)),
        "made": {"mask": mask, "keep_known": keep_known},
    }


def prepare_upscale(part: Part, factor: int, down: Any) -> dict[str, Any]:
    from napari_dip.restore.upscale import outline, prepare

    return {
        "prepare": partial(prepare, factor=factor, down=down),
        "outline": partial(outline, factor=factor),
        "made": {"factor": factor, "down": down},
    }


def prepare_guided(
    part: Part, guide: str | Path, guide_channel: int | str | None = None
) -> dict[str, Any]:
    from napari_dip.restore.guided import check_differs, match_guide, prepare

    chosen = replace(part, channel=part.channel if guide_channel is None else guide_channel)
    whole = _read(guide, chosen, "guide")

    def fitting(image: Image) -> Image:
        return _part_for(image, whole, chosen)

    return {
        "prepare": lambda image, **more: prepare(image, fitting(image), **more),
        "check": lambda image: check_differs(image, match_guide(image, fitting(image))),
        "made": {"guide_sha256": sha256(guide), "guide_channel": guide_channel},
    }


def prepare_invert(part: Part, module: str | Path, layer: str) -> dict[str, Any]:
    from napari_dip.restore.invert import prepare
    from napari_dip.restore.network_layer import load_network_layer

    try:
        net, inner = load_network_layer(Path(module), layer)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    return {
        "prepare": partial(prepare, module=net, layer=inner),
        "made": {"module_sha256": sha256(module), "layer": layer},
    }


def _read(path: str | Path, part: Part, option: str, more: str = "") -> Image:
    """Read a mask or a guide; of one that holds several images the one of the same series."""
    from napari_dip.files.read_write import list_series, read

    try:
        series = part.series if part.series and len(list_series(path)) > 1 else None
        return read(path, series=series)
    except (OSError, ValueError) as error:
        problem = f"cannot be used: {str(error).rstrip('.')}{more}."
        raise UsageError(problem, option=option) from error


def _part_for(image: Image, whole: Image, part: Part) -> Image:
    """Return the part of a mask or a guide that belongs to `image`, a part of a file itself."""
    if whole.shape == image.shape:
        return whole
    return take_part(whole, part.along(whole.axes).of_image())
