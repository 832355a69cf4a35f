"""Layers and answers as TIFF files that keep axes, scale, units and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_dip.images.image import Image
from napari_dip.widgets.layers.source import image_from_layer_data


def write_layer(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer, as npe2 asks for it; napari's dialog has asked before it replaces.

    Of a multiscale layer the finest level is written. An OSError leaves no half file at `path`.
    """
    from napari_dip.files.read_write import write

    write(path, image_from_layer_data(data, meta), overwrite=True)
    return [path]


def write_beside(image: Image, name: str, folder: str, result: str = "denoised") -> str:
    """Write an answer into a folder, never over another; return why not, or an empty sentence."""
    from napari_dip.files.read_write import write

    stem = "".join(c if c.isalnum() or c in " -_." else "_" for c in name).strip() or "image"
    place = Path(folder).expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True)
        number, path = 1, place / f"{stem} {result}.tif"
        while path.exists():
            number += 1
            path = place / f"{stem} {result} {number}.tif"
        write(path, image)
    except (OSError, ValueError) as error:
        return f"The answer is on its layer, but was not written to {place}: {error}"
    return ""
