"""Layers and answers as TIFF files that keep axes, scale, units and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_dip.files.read_write import write
from napari_dip.images.image import RGB_SIZES, Image
from napari_dip.widgets.layers.source import axes_from_labels

OWN_SUFFIX = ".denoised.tif"  # of files that napari opens by our reader


def write_layer(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write one image layer, as npe2 asks for it; napari's dialog has asked before it replaces.

    Of a multiscale layer the finest level is written. An OSError leaves no half file at `path`.
    """
    write(path, image_from_layer(data, meta), overwrite=True)
    return [path]


def write_beside(image: Image, name: str, folder: str, result: str = "denoised") -> str:
    """Write an answer into a folder, never over another; return why not, or an empty sentence."""
    stem = f"{name} {result}".replace(":", "")
    stem = "".join(c if c.isalnum() or c in " -_." else "_" for c in stem).strip()
    place = Path(folder).expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True)
        number, path = 1, place / f"{stem}.tif"
        while path.exists():
            number += 1
            path = place / f"{stem} {number}.tif"
        write(path, image)
    except (OSError, ValueError) as error:
        return f"The answer is on its layer, but was not written to {place}: {error}"
    return ""


def image_from_layer(data: Any, meta: Mapping[str, Any]) -> Image:
    """Build an Image from a layer's data and metadata, as npe2 hands them to a writer."""
    pixels = data[0] if meta.get("multiscale") else data
    rgb = bool(meta.get("rgb")) and pixels.shape[-1] in RGB_SIZES
    ndim = len(pixels.shape) - rgb
    labels = meta.get("axis_labels") or [str(i) for i in range(-ndim, 0)]
    scale = np.abs(np.asarray(meta.get("scale", np.ones(ndim)), dtype=float))
    units = [str(unit) for unit in (meta.get("units") or ["pixel"] * ndim)]
    return Image(
        pixels,
        axes_from_labels(pixels.shape[:ndim], labels) + ("C" if rgb else ""),
        (*scale.tolist(), *([1.0] if rgb else [])),
        (*units, *(["pixel"] if rgb else [])),
        str(meta.get("name", "")),
        dict((meta.get("metadata") or {}).get("napari_dip", {})),
    )
