"""Layers and answers become TIFF files that keep axes, scale, units and provenance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_dip.images.image import Image


def write_layer(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer, as npe2 asks for it; napari's dialog has asked before a file is replaced.

    Parameters
    ----------
    path : str
        Where to; ends with .tif or .tiff.
    data : array-like
        The layer's pixels; of a multiscale layer the finest level is written.
    meta : mapping
        napari's description of the layer.

    Returns
    -------
    list of str
        The path written.

    Raises
    ------
    OSError
        If the file cannot be written; then no half file stands under `path`.
    """
    from napari_dip.files.formats import write
    from napari_dip.widgets.layers.source import image_of

    write(path, image_of(data, meta), overwrite=True)
    return [path]


def write_beside(image: Image, name: str, folder: str, result: str = "denoised") -> str:
    """Write the answer beside others, never over one; return why not, as a sentence, or nothing."""
    from napari_dip.files.formats import write

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
