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
        Of the verb, plain values: ``mask`` and ``keep_known``; ``factor`` and ``down``; ``guide``;
        ``module`` and ``layer``. Files are named by their paths.

    Raises
    ------
    UsageError
        For a file that cannot be used.
    """
    fields = resolve_name(RESTORATIONS[verb].prepare)(**options)
    made = {"settings": task.settings.to_json(), "task": verb, **fields.pop("made")}
    return replace(task, made=made, restoration={"verb": verb, **options}, **fields)


def prepare_inpaint(mask: str | Path, keep_known: bool) -> dict[str, Any]:
    from napari_dip.restore.inpaint import iter_inpaint
    from napari_dip.restore.missing_pixels import FIND, find_missing_pixels

    missing: Any = mask
    if mask != FIND:
        missing = np.asarray(_read(mask, "mask", f"; give an image file or {FIND}").pixels)
        mask = sha256(mask)
    return {
        "begin": partial(iter_inpaint, mask=missing, keep_known=keep_known),
        "check": lambda image: find_missing_pixels(image, missing),
        "made": {"mask": mask, "keep_known": keep_known},
    }


def prepare_upscale(factor: int, down: Any) -> dict[str, Any]:
    from napari_dip.restore.upscale import iter_upscale, outline

    return {
        "begin": partial(iter_upscale, factor=factor, down=down),
        "outline": partial(outline, factor=factor),
        "made": {"factor": factor, "down": down},
    }


def prepare_guided(guide: str | Path) -> dict[str, Any]:
    from napari_dip.restore.guided import iter_restore_guided, match_guide

    image_of_guide = _read(guide, "guide")
    return {
        "begin": partial(iter_restore_guided, guide=image_of_guide),
        "check": lambda image: match_guide(image, image_of_guide),
        "made": {"guide_sha256": sha256(guide)},
    }


def prepare_invert(module: str | Path, layer: str) -> dict[str, Any]:
    from napari_dip.restore.invert import iter_invert_features
    from napari_dip.restore.network_layer import load_network_layer

    try:
        net, inner = load_network_layer(Path(module), layer)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    return {
        "begin": partial(iter_invert_features, module=net, layer=inner),
        "made": {"module_sha256": sha256(module), "layer": layer},
    }


def _read(path: str | Path, option: str, more: str = "") -> Image:
    from napari_dip.files.read_write import read

    try:
        return read(path)
    except (OSError, ValueError) as error:
        problem = f"cannot be used: {str(error).rstrip('.')}{more}."
        raise UsageError(problem, option=option) from error
