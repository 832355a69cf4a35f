"""What napari does with a model file that is dropped on it: it offers the dock "Denoise"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def get_reader(path: str | list[str]) -> Callable[[Any], list[tuple[None]]] | None:
    """Return the function that takes a trained model, None for other files."""
    if not isinstance(path, str):
        return None
    from napari_dip.models.model import peek

    try:
        peek(Path(path))
    except (OSError, ValueError):
        return None
    return open_model


def open_model(path: str) -> list[tuple[None]]:
    """Open the dock "Denoise" with the model chosen; no layer is made."""
    import napari

    viewer: Any = napari.current_viewer()
    if viewer is not None:
        _, widget = viewer.window.add_plugin_dock_widget("napari-dip", "Denoise")
        widget.extra.row.path = Path(path)
    return [(None,)]
