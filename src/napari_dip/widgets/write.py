"""The writer: an image layer becomes a TIFF that keeps axes, scale, units and provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    from napari_dip.images.files import write
    from napari_dip.widgets.layers import image_of

    write(path, image_of(data, meta), overwrite=True)
    return [path]
