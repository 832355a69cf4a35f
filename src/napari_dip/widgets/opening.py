"""An image file as a layer, with its scale, units and axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dip.batch.plan import Job


def open_job(viewer: Any, job: Job) -> str:
    """Add a job's image, and its result where there is one, as layers; return what there is to say.

    The result gets the image's contrast, so that the eye compares the two.
    """
    try:
        source = open_file(viewer, job.source)
        if not job.target.exists():
            return f"{job.source.name} has no result yet."
        limits = None if source.rgb else source.contrast_limits
        open_file(viewer, job.target, f"{job.source.stem} denoised", limits, np.dtype(source.dtype))
    except (OSError, ValueError) as error:
        return str(error)
    return f"Opened {job.source.name} and its result."


def open_file(viewer: Any, path: Path, name: str = "", limits: Any = None, colours: Any = None) -> Any:
    """Add an image file as a layer and return that.

    Parameters
    ----------
    limits : tuple of float, optional
        The contrast limits.
    colours : dtype, optional
        The type that RGB is shown in: napari takes float colours to lie in [0, 1].
    """
    from napari_dip.images.cast import cast_pixels
    from napari_dip.images.files import read

    image = read(path)
    end = -1 if image.is_rgb else None
    pixels: Any = image.pixels
    if image.is_rgb and colours is not None and colours.kind in "ui":
        pixels = cast_pixels(np.asarray(pixels), colours)[0]
    return viewer.add_image(
        pixels,
        name=name or path.stem,
        scale=image.scale[:end],
        units=image.units[:end],
        axis_labels=tuple(image.axes[:end].lower()),
        rgb=image.is_rgb,
        multiscale=False,
        metadata={"napari_dip": dict(image.provenance)} if image.provenance else {},
        **({} if limits is None else {"contrast_limits": limits}),
    )
