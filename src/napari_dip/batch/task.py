"""What is done to every file of a run, and how it is told to other machines and by the outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dip.images.image import Image
    from napari_dip.planes.chunk import Chunk
    from napari_dip.settings import Settings
    from napari_dip.snapshot import Snapshot

    Begin = Callable[..., Iterator[Snapshot]]


@dataclass(frozen=True)
class Task:
    """What is done to every file.

    Attributes
    ----------
    begin : callable, optional
        Starts the work on an image, called as `iter_denoise`, which it is by default.
    check : callable, optional
        Raises a ValueError for an image that the work cannot be done on.
    outline : callable, optional
        Returns an image of the answer's shape, where that is another.
    made : dict, optional
        By what the provenance of an output tells that it was made this way, where `begin` is given: put there, and
        asked for where the output exists already.
    model : Path, optional
        The trained model that is applied.
    restoration : dict, optional
        What else than denoising is done: the verb and its options, see `napari_dip.batch.restore_tasks`.
    std : bool
        Whether the standard deviation of every pixel is written beside each output.
    pattern, recursive
        Which images of a folder, see `plan`.
    """

    settings: Settings
    device: str = "auto"
    axes: str | None = None
    dtype: str = "float32"
    overwrite: bool = False
    dry_run: bool = False
    shard: str | None = None
    begin: Begin | None = None
    check: Callable[[Image], object] | None = None
    outline: Callable[[Image], Image] | None = None
    made: dict[str, object] | None = None
    model: Path | None = None
    restoration: dict[str, Any] | None = None
    std: bool = False
    pattern: str = "*"
    recursive: bool = True


def with_model(task: Task, path: Path) -> Task:
    """Apply a trained model instead of a fit.

    Raises
    ------
    UsageError
        If the file is no model.
    """
    from napari_dip.models.model import load_model

    try:
        model = load_model(path)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error

    def begin(
        image: Image, how: Settings, device: str, chunk: Chunk | None = None
    ) -> Iterator[Snapshot]:
        from napari_dip.api import iter_chunk

        return iter_chunk(image, model, device, chunk)

    made: dict[str, object] = {"settings": model.settings.to_json(), "model": model.told()}
    return replace(task, settings=model.settings, begin=begin, made=made, model=path)


def made_by(task: Task) -> dict[str, object]:
    """Return by what an output tells that it was made by a task; empty where it cannot."""
    made = task.made or ({} if task.begin else {"settings": task.settings.to_json()})
    return {**made, **asked(task)} if made else {}


def asked(task: Task) -> dict[str, object]:
    """Return what of the call an output tells, beside the settings."""
    return {"values": task.dtype, "axes_given": task.axes}
