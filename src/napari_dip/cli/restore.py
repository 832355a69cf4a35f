"""The verbs ``inpaint``, ``upscale``, ``guided`` and ``invert``: what they add to the common way over the files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.cli.denoise import run
from napari_dip.errors import UsageError
from napari_dip.images.digest import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_dip.batch.task import Begin
    from napari_dip.cli.call import Call
    from napari_dip.images.image import Image
    from napari_dip.settings import Settings


def inpaint(inputs: Sequence[Path], call: Call, how: Settings, mask: str, keep_known: bool) -> int:
    """Fill missing pixels and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    from napari_dip.images.gaps import FIND, find_gaps
    from napari_dip.restore.inpainting import iter_inpaint

    marks: Any = mask
    if mask != FIND:
        marks, mask = np.asarray(_read(mask, "--mask", f"; give an image file or {FIND}").pixels), sha256(mask)
    begin = partial(iter_inpaint, mask=marks, keep_known=keep_known)
    made = {"task": "inpaint", "mask": mask, "keep_known": keep_known}
    return _run(inputs, call, how, begin, made, check=lambda image: find_gaps(image, marks))


def upscale(inputs: Sequence[Path], call: Call, how: Settings, factor: int, down: Any) -> int:
    """Enlarge and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    from napari_dip.restore.upscaling import iter_upscale, outline

    begin = partial(iter_upscale, factor=factor, down=down)
    made = {"task": "upscale", "factor": factor, "down": down}
    return _run(inputs, call, how, begin, made, outline=partial(outline, factor=factor))


def guided(inputs: Sequence[Path], call: Call, how: Settings, guide: Path) -> int:
    """Denoise with the help of a guide and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    from napari_dip.restore.guiding import iter_restore_guided, lay_beside

    aid = _read(guide, "--guide")
    begin = partial(iter_restore_guided, guide=aid)
    made = {"task": "guided", "guide_sha256": sha256(guide)}
    return _run(inputs, call, how, begin, made, check=lambda image: lay_beside(image, aid))


def invert(inputs: Sequence[Path], call: Call, how: Settings, module: Path, layer: str) -> int:
    """Find images with the same features and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    from napari_dip.restore.inverting import iter_invert_features
    from napari_dip.restore.modules import load_layer

    try:
        net, inner = load_layer(module, layer)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    begin = partial(iter_invert_features, module=net, layer=inner)
    return _run(inputs, call, how, begin, {"task": "invert", "module_sha256": sha256(module), "layer": layer})


def _run(
    inputs: Sequence[Path],
    call: Call,
    how: Settings,
    begin: Begin,
    made: Mapping[str, object],
    check: Callable[[Image], Any] | None = None,
    outline: Callable[[Image], Image] | None = None,
) -> int:
    """Work on the inputs; `made` says beside the settings what the outputs are made from."""
    told = {"settings": how.described(), **made}
    task = call.task(how, begin=begin, check=check, outline=outline, made=told)
    return run(inputs, call.out, task, call.talk)


def _read(path: Any, flag: str, more: str = "") -> Image:
    from napari_dip.images.files import read

    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag}: {str(error).rstrip('.')}{more}.") from error
