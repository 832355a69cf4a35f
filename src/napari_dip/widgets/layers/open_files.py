"""Image files as layers, with their scale, units and axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_dip.batch.jobs import Job
from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.read_write import read
from napari_dip.images.image import Image

MAX_PIXELS = 2**26  # that are searched for their range; of larger stacks one plane is


def open_job(viewer: Any, job: Job, read_job: Callable[[Job], Image]) -> str:
    """Add a job's image, and its result if there is one, as layers; return a sentence about it.

    The result gets the image's contrast, so that the eye compares the two.
    """
    try:
        source = _add(viewer, read_job(job), job.source.stem)
        if not job.target.exists():
            return f"{job.source.name} has no result yet."
        limits = None if source.rgb else source.contrast_limits
        open_file(viewer, job.target, f"{job.source.stem} denoised", limits, np.dtype(source.dtype))
    except (OSError, ValueError) as error:
        return str(error)
    return f"Opened {job.source.name} and its result."


def open_file(
    viewer: Any, path: Path, name: str = "", limits: Any = None, rgb_dtype: Any = None
) -> Any:
    """Add an image file as a layer and return that.

    `limits` are its contrast limits, by default the range of the values. RGB is shown as integers
    of `rgb_dtype` where that is given: napari takes float colours to lie in [0, 1].
    """
    return _add(viewer, read(path), name or path.stem, limits, rgb_dtype)


def _add(viewer: Any, image: Image, name: str, limits: Any = None, rgb_dtype: Any = None) -> Any:
    pixels, look = image_to_layer_data(image, limits, rgb_dtype)
    return viewer.add_image(pixels, **{**look, "name": name})


def image_to_layer_data(
    image: Image, limits: Any = None, rgb_dtype: Any = None
) -> tuple[Any, dict[str, Any]]:
    """Return an image's pixels and the arguments of ``add_image``; see `open_file`."""
    end = -1 if image.is_rgb else None
    pixels: Any = image.pixels
    if limits is None and not image.is_rgb:
        limits = _value_range(pixels)
    if image.is_rgb and rgb_dtype is not None and rgb_dtype.kind in "ui":
        pixels = cast_pixels(np.asarray(pixels), rgb_dtype)[0]
    look = {
        "name": image.name,
        "scale": image.scale[:end],
        "units": image.units[:end],
        "axis_labels": tuple(image.axes[:end].lower()),
        "rgb": image.is_rgb,
        "multiscale": False,
        "metadata": {"napari_dip": dict(image.provenance)} if image.provenance else {},
    }
    if any(channel.get("Inverted") for channel in image.details.channels):
        look["colormap"] = "gray_r"  # zero is white in the file
    return pixels, look if limits is None else {**look, "contrast_limits": limits}


def _value_range(pixels: Any) -> tuple[float, float] | None:
    """Return the range of 8-bit values, for which napari takes 0 to 255; None for other types."""
    if pixels.dtype != np.uint8:
        return None
    small = pixels.size <= MAX_PIXELS
    values = np.asarray(pixels if small else pixels[tuple(n // 2 for n in pixels.shape[:-2])])
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else None
