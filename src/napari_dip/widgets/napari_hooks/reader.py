"""What napari does with a file that is dropped on it.

A trained model opens the dock "Denoise". Images get a layer with axes, scale, units and provenance;
napari asks for that where its Preferences or the manifest of another plugin name this reader.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_dip.files.read_write import list_series, read
from napari_dip.files.registry import format_of
from napari_dip.models.model import peek
from napari_dip.widgets.layers.open_files import image_to_layer_data


def get_reader(path: str | list[str]) -> Callable[[Any], list[Any]] | None:
    """Return the function that opens a trained model or an image, None for other files."""
    if not isinstance(path, str):
        return None
    if format_of(Path(path)) is not None:
        return open_image
    try:
        peek(Path(path))
    except (OSError, ValueError):
        return None
    return open_model


def open_image(path: str) -> list[tuple[Any, dict[str, Any], str]]:
    """Return the image in a file as a layer; of a file that holds several, one each."""
    series = range(len(list_series(path)))
    return [(*image_to_layer_data(read(path, series=number)), "image") for number in series]


def open_model(path: str) -> list[tuple[None]]:
    """Open the dock "Denoise" with the model chosen; no layer is made."""
    import napari

    viewer: Any = napari.current_viewer()
    if viewer is not None:
        _, widget = viewer.window.add_plugin_dock_widget("napari-dip", "Denoise")
        widget.use_model(Path(path))
    return [(None,)]
