"""The verbs ``inpaint``, ``upscale``, ``guided`` and ``invert``: what they add to the common way over the files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.batch.work import Task
from napari_dip.cli.denoise import run
from napari_dip.cli.talk import Talk
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_dip.images.image import Image
    from napari_dip.settings import Settings


@dataclass(frozen=True)
class Call:
    """The flags that all restorations share."""

    settings: Settings
    device: str
    axes: str | None
    dtype: str
    overwrite: bool

    def task(self, **of_its_own: Any) -> Task:
        """Return what is done to every file."""
        return Task(**{**asdict(self), "settings": self.settings}, **of_its_own)


def inpaint(inputs: Sequence[Path], out: Path, call: Call, mask: str, keep_known: bool, talk: Talk) -> int:
    """Fill missing pixels and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    from napari_dip.images.gaps import FIND, find_gaps
    from napari_dip.restore.inpainting import iter_inpaint

    marks: Any = mask if mask == FIND else _read(mask, "--mask", f"; give an image file or {FIND}")
    begin = partial(iter_inpaint, mask=marks if mask == FIND else np.asarray(marks.pixels), keep_known=keep_known)
    check = lambda image: find_gaps(image, begin.keywords["mask"])  # noqa: E731
    return run(inputs, out, call.task(begin=begin, check=check), talk)


def upscale(inputs: Sequence[Path], out: Path, call: Call, factor: int, down: Any, talk: Talk) -> int:
    """Enlarge and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    from napari_dip.restore.upscaling import iter_upscale, outline

    begin = partial(iter_upscale, factor=factor, down=down)
    return run(inputs, out, call.task(begin=begin, outline=partial(outline, factor=factor)), talk)


def guided(inputs: Sequence[Path], out: Path, call: Call, guide: Path, talk: Talk) -> int:
    """Denoise with the help of a guide and return the exit code.

    Raises
    ------
    UsageError
        Before any work, when the call itself is wrong.
    """
    from napari_dip.restore.guiding import iter_restore_guided, lay_beside

    aid = _read(guide, "--guide")
    begin = partial(iter_restore_guided, guide=aid)
    return run(inputs, out, call.task(begin=begin, check=lambda image: lay_beside(image, aid)), talk)


def invert(inputs: Sequence[Path], out: Path, call: Call, module: Path, layer: str, talk: Talk) -> int:
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
    return run(inputs, out, call.task(begin=begin), talk)


def _read(path: Any, flag: str, more: str = "") -> Image:
    from napari_dip.images.files import read

    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag}: {str(error).rstrip('.')}{more}.") from error
