"""One training of the dock Train: started in the worker, its model saved at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_dip.images.image import Image
from napari_dip.models.model import SUFFIX
from napari_dip.settings import Trained
from napari_dip.snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class TrainRun:
    """What is trained on, where the model goes, and whether a stopped training goes on."""

    data: Any
    targets: Any
    model: Path
    resume: bool

    def begin(self, image: Image, how: Trained, *, device: str) -> Iterator[Snapshot]:
        """Train, and show `image` denoised, in its axes; called as `iter_denoise`."""
        from napari_dip.training.train import iter_train

        stream = iter_train(
            self.data,
            how,
            targets=self.targets,
            preview=image,
            device=device,
            checkpoint=checkpoint_of(self.model),
            resume=self.resume,
        )
        return _with_layer_axes(stream, image)

    def finish(self, last: Snapshot) -> str:
        """Save the model, and return where it is."""
        last.model.save(self.model, overwrite=True)
        if last.step < last.total:
            return f"The model so far is {self.model.name}; it can go on later."
        self._delete_checkpoint()
        return f"The model is {self.model.name}: press Use it to denoise with it."

    def drop(self) -> None:
        """Leave nothing of a training that was discarded."""
        if not self.resume:
            self._delete_checkpoint()

    def _delete_checkpoint(self) -> None:
        with suppress(OSError):
            checkpoint_of(self.model).unlink(missing_ok=True)


def checkpoint_of(model: Path) -> Path:
    """Return the path of the checkpoint beside a model; also of "/" and ".", which have no name."""
    return model.parent / f"{model.stem}.checkpoint{SUFFIX}"


def _with_layer_axes(stream: Any, image: Image) -> Iterator[Snapshot]:
    """Give the previews the axes of the layer, whose plane may have singletons."""
    try:
        for snapshot in stream:
            yield replace(snapshot, make_image=partial(_preview, snapshot, image))
    finally:
        stream.close()  # this writes the checkpoint


def _preview(snapshot: Snapshot, image: Image) -> Image:
    preview = snapshot.image
    pixels = np.asarray(preview.pixels)
    if image.is_rgb and preview.axes == "CYX":
        pixels = np.moveaxis(pixels, 0, -1)
    return image.with_pixels(pixels.reshape(image.shape))
