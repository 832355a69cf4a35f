"""The restorations as what is done to every file: told by plain values, so that a worker elsewhere can do them too."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.errors import UsageError
from napari_dip.files.checksum import sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_dip.batch.task import Task
    from napari_dip.images.image import Image


def restoring(task: Task, verb: str, **options: Any) -> Task:
    """Return a task that restores: fills, enlarges, takes a guide, or inverts features.

    Parameters
    ----------
    task : Task
        With the settings of the verb.
    verb : {"inpaint", "upscale", "guided", "invert"}
        What is done.
    **options
        Of the verb, plain values: ``mask`` and ``keep_known``; ``factor`` and ``down``; ``guide``; ``module`` and
        ``layer``. Files are named by their paths.

    Raises
    ------
    UsageError
        For a file that cannot be used.
    """
    made: dict[str, object] = {"settings": task.settings.to_json(), "task": verb}
    prepare: dict[str, Callable[..., Task]]
    prepare = {"inpaint": _inpaint, "upscale": _upscale, "guided": _guided, "invert": _invert}
    return prepare[verb](replace(task, made=made, restoration={"verb": verb, **options}), **options)


def _inpaint(task: Task, mask: str | Path, keep_known: bool) -> Task:
    from napari_dip.restore.inpaint import iter_inpaint
    from napari_dip.restore.missing_pixels import FIND, find_missing_pixels

    marks: Any = mask
    if mask != FIND:
        marks, mask = (
            np.asarray(_read(mask, "--mask", f"; give an image file or {FIND}").pixels),
            sha256(mask),
        )
    begin = partial(iter_inpaint, mask=marks, keep_known=keep_known)
    task = _made(task, mask=mask, keep_known=keep_known)
    return replace(task, begin=begin, check=lambda image: find_missing_pixels(image, marks))


def _upscale(task: Task, factor: int, down: Any) -> Task:
    from napari_dip.restore.upscale import iter_upscale, outline

    begin = partial(iter_upscale, factor=factor, down=down)
    return replace(
        _made(task, factor=factor, down=down), begin=begin, outline=partial(outline, factor=factor)
    )


def _guided(task: Task, guide: str | Path) -> Task:
    from napari_dip.restore.guided import iter_restore_guided, match_guide

    aid = _read(guide, "--guide")
    begin = partial(iter_restore_guided, guide=aid)
    return replace(
        _made(task, guide_sha256=sha256(guide)),
        begin=begin,
        check=lambda image: match_guide(image, aid),
    )


def _invert(task: Task, module: str | Path, layer: str) -> Task:
    from napari_dip.restore.invert import iter_invert_features
    from napari_dip.restore.network_layer import load_network_layer

    try:
        net, inner = load_network_layer(Path(module), layer)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    begin = partial(iter_invert_features, module=net, layer=inner)
    return replace(_made(task, module_sha256=sha256(module), layer=layer), begin=begin)


def _made(task: Task, **more: object) -> Task:
    """Add by what else an output tells that it was made this way."""
    return replace(task, made={**(task.made or {}), **more})


def _read(path: str | Path, flag: str, more: str = "") -> Image:
    from napari_dip.files.read_write import read

    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag}: {str(error).rstrip('.')}{more}.") from error
