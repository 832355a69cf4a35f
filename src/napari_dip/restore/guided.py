"""Guided restoration (flash / no-flash): the network looks at another image of the same place.

    theta* = argmin || f_theta(z) - y ||^2,    z = the guide

Reference: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925 (section on
flash / no-flash reconstruction).

As published the guide is the network's input z (presets ``flash`` and ``paper``). What differs: the
default shows it to the blind-spot network beside the image, and mixes it into the blur that the fit
starts at (`napari_dip.nets.neighbours`). What is made of the guide has to predict the image's own
pixels; a guide that does not help is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.as_image import as_image
from napari_dip.images.image import ArrayLike, Image, PlaneIndex
from napari_dip.planes.image_statistics import measure_image
from napari_dip.restore.common import (
    Restoration,
    check_settings,
    prepare_restoration,
    run_to_end,
    typed_like_input,
)
from napari_dip.settings import Guided
from napari_dip.settings.restore import BLIND_SPOT
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.engine.device import Device
    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane


NO_HELP = "The guide does not help to predict the image: it is left out."
OWN_NOISE = (
    "The guide has the image's own noise, as what was made of it has: it is left out. Give "
    "another channel or capture."
)


@typed_like_input
def restore_guided(
    image: Image | ArrayLike,
    guide: Image | ArrayLike,
    how: Guided | None = None,
    *,
    axes: str | None = None,
    device: Device = "auto",
    progress: bool = False,
) -> Image | NDArray[np.float32]:
    """Denoise an image with the help of a better one of the same place, such as a bright channel.

    Parameters
    ----------
    image : Image or array-like
        The noisy image, as for `denoise`.
    guide : Image or array-like
        Of the same shape, or of that of one plane, which then guides all planes alike; of RGB
        colour, colour may be left out. Any intensity range.
    how : Guided, optional
        Settings, ``Guided()`` by default.
    axes, device, progress
        As for `denoise`.

    Returns
    -------
    Image or float32 array
        What was given, denoised: same shape, axes, intensity scale and units.

    Raises
    ------
    ValueError
        Before any work starts: for a guide of another size, or that is the image itself, and what
        `denoise` refuses.
    DenoiseError
        If the work breaks, for instance for lack of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dip import Guided, restore_guided
    >>> rng = np.random.default_rng(0)
    >>> bright, dim = rng.poisson(900, (32, 32)), rng.poisson(9, (32, 32))
    >>> restore_guided(dim, bright, Guided(steps=2)).shape
    (32, 32)
    """
    snapshots = iter_restore_guided(image, guide, how, axes=axes, device=device)
    return run_to_end(image, snapshots, progress)


def iter_restore_guided(
    image: Image | ArrayLike,
    guide: Image | ArrayLike,
    how: Guided | None = None,
    *,
    axes: str | None = None,
    device: Device = "auto",
) -> Iterator[Snapshot]:
    """Denoise an image with the help of a better one, step by step.

    Parameters
    ----------
    image, guide, how, axes, device
        As for `restore_guided`.

    Yields
    ------
    Snapshot
        One a step. `Snapshot.image` is the answer if the work stopped there.

    Raises
    ------
    ValueError, DenoiseError
        As for `restore_guided`, a ValueError at the call.
    """
    return prepare(as_image(image, axes), guide, how, device=device).work(None)


def prepare(
    source: Image, guide: Image | ArrayLike, how: Guided | None = None, *, device: Device = "auto"
) -> Restoration:
    """Check and measure what `restore_guided` is given; return what restores it, or a range."""
    how = check_settings(how, Guided)
    aid = match_guide(source, guide)
    check_differs(source, aid)
    try:
        stats = measure_image(aid, stabilise=how.stabilise)
        if stats.blank_planes:
            raise ValueError("It has planes without any number (all NaN).")
    except ValueError as error:
        raise ValueError(f"The guide cannot be used. {error}") from None
    indices = aid.plane_indices()

    def inputs(index: PlaneIndex) -> dict[str, NDArray[np.float64]]:
        of_guide = indices[0] if len(indices) == 1 else index[: len(aid.axes)]
        return {"guide": stats.unit_range(aid, of_guide).to_unit(aid.plane(of_guide))}

    made = {"guide": aid.name}
    return prepare_restoration(source, how, device, inputs=inputs, provenance=made)


def match_guide(image: Image, guide: Image | ArrayLike) -> Image:
    """Return the guide as an Image with a plane for each plane of `image`, or one for all."""
    aid = as_image(guide, None if isinstance(guide, Image) else _axes_of(image, guide))
    without_colour = image.axes.removesuffix("C") if image.is_rgb else image.axes
    plane = "".join(axis for axis in image.axes if axis in "YX")
    sizes = dict(zip(image.axes, image.shape, strict=True))

    def has_sizes_of(axes: str) -> bool:
        return aid.shape[: len(axes)] == tuple(sizes[axis] for axis in axes)

    if aid.axes in (image.axes, without_colour) and has_sizes_of(aid.axes):
        return aid
    if aid.axes.removesuffix("C") == plane and has_sizes_of(plane) and len(aid.axes) < 4:
        return aid
    raise ValueError(
        f"The guide has the shape {aid.shape} ({aid.axes}); the image's is {image.shape} "
        f"({image.axes}): give a guide of the same size, or one plane of it."
    )


def check_differs(image: Image, guide: Image) -> None:
    """Refuse an image that is its own guide: its noise would be taken for structure.

    Of others one plane is read.
    """
    if guide.axes != image.axes:
        return
    differ = False
    for index in image.plane_indices():
        pixels = image.plane(index)
        if not np.array_equal(pixels, guide.plane(index), equal_nan=True):
            return
        differ = differ or pixels.min() < pixels.max()
    if differ:
        raise ValueError(
            "The image is its own guide (it holds the same pixels): give another channel or "
            "capture of the same place."
        )


def _axes_of(image: Image, guide: ArrayLike) -> str | None:
    """Return the axes of a bare array: those of the image where it has as many."""
    ndim = len(getattr(guide, "shape", np.shape(guide)))
    return image.axes if ndim == len(image.axes) else None


def fit(plane: Plane, s: Guided) -> Iterator[Step]:
    """Fit a plane with the help of its guide, which a network of z takes as z."""
    import torch

    from napari_dip.engine.filters import noted
    from napari_dip.methods import blind_spot, dip
    from napari_dip.nets.neighbours import Judge, fit_brightness

    assert plane.guide is not None
    if s.net != BLIND_SPOT:
        generator = torch.Generator().manual_seed(s.seed)
        return dip.fit_measurement(plane.y, s, generator, plane.guide)
    guide = fit_brightness(plane.guide, plane.y)
    x, seen = ((image - plane.y.mean()) / plane.noise for image in (plane.y, guide))
    colours = [Judge(colour[None], plane.hole) for colour in x]
    shared = any(one.shares_noise(channel[None]) for one in colours for channel in seen)
    said = "own noise" if shared else Judge(x, plane.hole).says(seen)
    note = {"own noise": OWN_NOISE, "no help": NO_HELP, "helps": ""}[said]
    return noted(blind_spot.fit(replace(plane, others=None if note else guide), s), note)
