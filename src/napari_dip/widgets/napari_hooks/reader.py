"""What napari does with a model file that is dropped on it: it offers to apply it, in the dock "Denoise"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PLUGIN, DOCK = "napari-dip", "Denoise"


def get_reader(path: str | list[str]) -> Callable[[Any], list[tuple[None]]] | None:
    """Return the function that takes a trained model, None for other files."""
    if not isinstance(path, str):
        return None
    from napari_dip.models.model import peek

    try:
        peek(Path(path))
    except (OSError, ValueError):
        return None
    return offer


def offer(path: str) -> list[tuple[None]]:
    """Open the dock "Denoise" with the model chosen; no layer is made."""
    import napari

    viewer: Any = napari.current_viewer()
    if viewer is not None:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
        widget.extra.row.path = Path(path)
    return [(None,)]
