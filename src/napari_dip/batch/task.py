"""What is done to every file of a run, and how it is told to other machines and by the outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.errors import UsageError
from napari_dip.settings import METHODS, RESTORATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_dip.images.image import Image
    from napari_dip.images.part import Part
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
        What else than denoising is done: the verb and its options, see `napari_dip.batch.restoring`.
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
    from napari_dip.model import load_model

    try:
        model = load_model(path)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error

    def begin(image: Image, how: Settings, device: str, part: Part | None = None) -> Iterator[Snapshot]:
        from napari_dip.api import iter_part

        return iter_part(image, model, device, part)

    made: dict[str, object] = {"settings": model.settings.described(), "model": model.told()}
    return replace(task, settings=model.settings, begin=begin, made=made, model=path)


def made_by(task: Task) -> dict[str, object]:
    """Return by what an output tells that it was made by a task; empty where it cannot."""
    made = task.made or ({} if task.begin else {"settings": task.settings.described()})
    return {**made, **asked(task)} if made else {}


def asked(task: Task) -> dict[str, object]:
    """Return what of the call an output tells, beside the settings."""
    return {"values": task.dtype, "axes_given": task.axes}


def ordered(task: Task) -> dict[str, Any]:
    """Return a task as plain values, which a worker on another machine can take."""
    return {
        "settings": task.settings.described(),
        "model": _plain(task.model),
        "restoration": task.restoration and {key: _plain(value) for key, value in task.restoration.items()},
        "device": task.device,
        "axes": task.axes,
        "dtype": task.dtype,
        "overwrite": task.overwrite,
        "std": task.std,
    }


def task_of(order: Mapping[str, Any]) -> Task:
    """Return the task that `ordered` was given."""
    shared = {key: order[key] for key in ("device", "axes", "dtype", "overwrite", "std")}
    settings, restoration = dict(order["settings"]), order["restoration"]
    if order["model"] is not None:
        return with_model(Task(next(iter(METHODS.values()))(), **shared), Path(order["model"]))
    method = settings.pop("method")
    if restoration is not None:
        from napari_dip.batch.restoring import restoring

        return restoring(Task(RESTORATIONS[restoration["verb"]](**settings), **shared), **restoration)
    return Task(METHODS[method](**settings), **shared)


def _plain(value: object) -> object:
    """Return a path as the text that holds on every machine."""
    return str(value.absolute()) if isinstance(value, Path) else value
