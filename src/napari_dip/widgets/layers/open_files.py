"""An image file as a layer, with its scale, units and axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dip.batch.jobs import Job

MOST = 2**26  # pixels that are looked at for their range; of larger stacks one plane is


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


def open_file(
    viewer: Any, path: Path, name: str = "", limits: Any = None, colours: Any = None
) -> Any:
    """Add an image file as a layer and return that.

    Parameters
    ----------
    limits : tuple of float, optional
        The contrast limits; by default what the values range over.
    colours : dtype, optional
        The type that RGB is shown in: napari takes float colours to lie in [0, 1].
    """
    from napari_dip.files.dtypes import cast_pixels
    from napari_dip.files.formats import read

    image = read(path)
    end = -1 if image.is_rgb else None
    pixels: Any = image.pixels
    if limits is None and not image.is_rgb:
        limits = _limits(pixels)
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


def _limits(pixels: Any) -> tuple[float, float] | None:
    """Return the range of 8-bit values, for which napari takes 0 to 255 whatever they are; None leaves it to napari."""
    if pixels.dtype != np.uint8:
        return None
    shown = np.asarray(
        pixels if pixels.size <= MOST else pixels[tuple(n // 2 for n in pixels.shape[:-2])]
    )
    low, high = float(shown.min()), float(shown.max())
    return (low, high) if low < high else None
