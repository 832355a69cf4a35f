"""A task as plain values, ready for JSON, so that it can travel to a worker on another machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_dip.batch.restore_tasks import restoring
from napari_dip.batch.task import Task, with_model
from napari_dip.methods.registry import METHODS, RESTORATIONS


def task_to_json(task: Task) -> dict[str, Any]:
    """Return a task as plain values, which a worker on another machine can take."""
    return {
        "settings": task.settings.to_json(),
        "model": _plain(task.model),
        "restoration": task.restoration
        and {key: _plain(value) for key, value in task.restoration.items()},
        "device": task.device,
        "axes": task.axes,
        "dtype": task.dtype,
        "overwrite": task.overwrite,
        "std": task.std,
    }


def task_from_json(order: Mapping[str, Any]) -> Task:
    """Return the task that `task_to_json` was given."""
    shared = {key: order[key] for key in ("device", "axes", "dtype", "overwrite", "std")}
    settings, restoration = dict(order["settings"]), order["restoration"]
    if order["model"] is not None:
        return with_model(
            Task(next(iter(METHODS.values())).settings(), **shared), Path(order["model"])
        )
    method = settings.pop("method")
    if restoration is not None:
        return restoring(
            Task(RESTORATIONS[restoration["verb"]].settings(**settings), **shared), **restoration
        )
    return Task(METHODS[method].settings(**settings), **shared)


def _plain(value: object) -> object:
    """Return a path as the text that holds on every machine."""
    return str(value.absolute()) if isinstance(value, Path) else value
