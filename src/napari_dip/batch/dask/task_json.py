"""A task as plain values, ready for JSON, so that it can travel to a worker on another machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_dip.batch.restore_tasks import restoration_task
from napari_dip.batch.task import Task, with_model
from napari_dip.images.part import Part
from napari_dip.methods.registry import METHODS, RESTORATIONS
from napari_dip.settings import BlindSpot

OPTIONS = (
    "device",
    "axes",
    "dtype",
    "overwrite",
    "std",
    "orientations",
    "compression",
    "ome_zarr",
)


def task_to_json(task: Task) -> dict[str, Any]:
    """Return a task as plain values, which a worker on another machine can take."""
    return {
        "settings": task.settings.to_json(),
        "model": _plain(task.model),
        "restoration": {key: _plain(value) for key, value in (task.restoration or {}).items()},
        "part": task.part.given(),
        **{name: getattr(task, name) for name in OPTIONS},
    }


def task_from_json(values: Mapping[str, Any]) -> Task:
    """Return the task that `task_to_json` was given."""
    options = {name: values[name] for name in OPTIONS} | {"part": Part(**values["part"])}
    if values["model"] is not None:
        return with_model(Task(BlindSpot(), **options), Path(values["model"]))
    settings = dict(values["settings"])
    record = {**METHODS, **RESTORATIONS}[settings.pop("method")]
    task = Task(record.settings(**settings), **options)
    return restoration_task(task, **values["restoration"]) if values["restoration"] else task


def _plain(value: object) -> object:
    """Return a path as the text that holds on every machine."""
    return str(value.absolute()) if isinstance(value, Path) else value
