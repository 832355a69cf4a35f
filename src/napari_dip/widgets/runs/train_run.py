"""One training as a dock runs it: begun in the worker, its preview shaped as the layer, its model saved at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_dip.images.image import Image
    from napari_dip.settings import Trained
    from napari_dip.snapshot import Snapshot

SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Training:
    """What is trained on, and where the model goes."""

    data: Any
    targets: Any
    model: Path
    resume: bool

    @property
    def checkpoint(self) -> Path:
        """Where a training that was stopped is kept."""
        return checkpoint_of(self.model)

    def begin(self, image: Image, how: Trained, *, device: str) -> Iterator[Snapshot]:
        """Train, and show `image` denoised; called as `iter_denoise`."""
        from napari_dip.training.train import iter_train

        stream = iter_train(
            self.data,
            how,
            targets=self.targets,
            preview=image,
            device=device,
            checkpoint=self.checkpoint,
            resume=self.resume,
        )
        return _shaped(stream, image)

    def finish(self, last: Snapshot) -> str:
        """Save the model, and say where it is."""
        last.model.save(self.model, overwrite=True)
        if last.step < last.total:
            return f"The model so far is {self.model.name}; it can be resumed."
        with suppress(OSError):
            self.checkpoint.unlink(missing_ok=True)
        return f"The model is {self.model.name}: choose it in the dock Denoise."

    def drop(self) -> None:
        """Leave nothing of a training that was discarded."""
        if not self.resume:
            with suppress(OSError):
                self.checkpoint.unlink(missing_ok=True)


def checkpoint_of(model: Path) -> Path:
    """Return the name of the checkpoint beside a model."""
    return (
        model.parent / f"{model.stem}.checkpoint{SUFFIX}"
    )  # also of "/" and ".", which have no name


def _shaped(stream: Iterator[Snapshot], image: Image) -> Iterator[Snapshot]:
    """Give the previews the axes of the layer, whose plane may have singletons."""
    try:
        for snapshot in stream:
            yield replace(snapshot, make_image=partial(_picture, snapshot, image))
    finally:
        stream.close()  # type: ignore[attr-defined]  # a generator: this writes the checkpoint


def _picture(snapshot: Snapshot, image: Image) -> Image:
    preview = snapshot.image
    pixels = np.asarray(preview.pixels)
    if image.is_rgb and preview.axes == "CYX":
        pixels = np.moveaxis(pixels, 0, -1)
    return image.with_pixels(pixels.reshape(image.shape))
