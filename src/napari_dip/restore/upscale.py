"""Upscaling (super-resolution): find an image whose coarse version is the one that was measured.

    theta* = argmin || A f_theta(z) - y ||^2,    A = a Lanczos resize, or the mean over a pixel

Reference: Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925 (section on
super-resolution).

What differs from the paper: by default z holds the image enlarged by splines beside random numbers,
so that fewer steps are needed; the preset ``paper`` has the random numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_dip.images.as_image import as_image
from napari_dip.images.image import ArrayLike, Image
from napari_dip.restore.common import (
    Restoration,
    check_settings,
    prepare_restoration,
    run_to_end,
    typed_like_input,
)
from napari_dip.settings import Upscale
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_dip.engine.device import Device
    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane

FACTORS = (2, 3, 4, 8)
DOWN = ("lanczos", "binning")


@typed_like_input
def upscale(
    image: Image | ArrayLike,
    factor: int = 2,
    how: Upscale | None = None,
    *,
    down: Literal["lanczos", "binning"] = "lanczos",
    axes: str | None = None,
    device: Device = "auto",
    progress: bool = False,
) -> Image | NDArray[np.float32]:
    """Enlarge an image: find one that is natural and, made coarse again, is the one given.

    Parameters
    ----------
    image : Image or array-like
        As for `denoise`.
    factor : {2, 3, 4, 8}
        How many times as high and as wide the answer is; Z, T and C stay.
    how : Upscale, optional
        Settings, ``Upscale()`` by default.
    down : {"lanczos", "binning"}
        How the image is thought to have become coarse: ``"lanczos"`` by an anti-aliased resize
        (Pillow's and most programs'), ``"binning"`` by the mean over a camera's pixel.
    axes, device, progress
        As for `denoise`.

    Returns
    -------
    Image or float32 array
        What was given, enlarged along Y and X; the scale of an Image is divided by `factor` there.

    Raises
    ------
    ValueError
        Before any work starts: for another factor or `down`, and what `denoise` refuses.
    DenoiseError
        If the work breaks, for instance for lack of memory.

    Notes
    -----
    Detail that the measurement has lost is invented, in the likeness of the rest: look at it, do
    not measure it.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dip import Upscale, upscale
    >>> upscale(np.random.default_rng(0).poisson(20, (16, 20)), 2, Upscale(steps=2)).shape
    (32, 40)
    """
    snapshots = iter_upscale(image, factor, how, down=down, axes=axes, device=device)
    return run_to_end(image, snapshots, progress)


def iter_upscale(
    image: Image | ArrayLike,
    factor: int = 2,
    how: Upscale | None = None,
    *,
    down: Literal["lanczos", "binning"] = "lanczos",
    axes: str | None = None,
    device: Device = "auto",
) -> Iterator[Snapshot]:
    """Enlarge an image step by step.

    Parameters
    ----------
    image, factor, how, down, axes, device
        As for `upscale`.

    Yields
    ------
    Snapshot
        One a step. `Snapshot.image` is the answer if the work stopped there; planes not reached yet
        show the input, enlarged by cubic splines.

    Raises
    ------
    ValueError, DenoiseError
        As for `upscale`, a ValueError at the call.
    """
    return prepare(as_image(image, axes), factor, how, down=down, device=device).work(None)


def prepare(
    source: Image,
    factor: int,
    how: Upscale | None = None,
    *,
    down: Literal["lanczos", "binning"] = "lanczos",
    device: Device = "auto",
) -> Restoration:
    """Check and measure what `upscale` is given; return what enlarges it, or a range of it."""
    _check_options(factor, down)
    return prepare_restoration(
        source,
        check_settings(how, Upscale),
        device,
        fit=partial(fit, factor=factor, down=down),
        factor=factor,
        canvas=partial(enlarge, factor=factor),
        provenance={"factor": factor, "down": down},
    )


def _check_options(factor: Any, down: Any) -> None:
    if not isinstance(factor, int) or isinstance(factor, bool) or factor not in FACTORS:
        raise ValueError(
            f"factor is {factor!r}; give {', '.join(map(str, FACTORS[:-1]))} or {FACTORS[-1]}."
        )
    if down not in DOWN:
        raise ValueError(f"down is {down!r}; give {' or '.join(map(repr, DOWN))}.")


def outline(image: Image, factor: int) -> Image:
    """Return an image of the answer's shape, axes and scale that takes no memory."""
    factors = [factor if axis in "YX" else 1 for axis in image.axes]
    shape = tuple(n * f for n, f in zip(image.shape, factors, strict=True))
    scale = tuple(s / f for s, f in zip(image.scale, factors, strict=True))
    return image.with_pixels(np.broadcast_to(np.float32(0), shape), scale=scale)


def enlarge(image: Image, factor: int) -> Image:
    """Enlarge an image by cubic splines, as float32.

    A pixel becomes `factor` x `factor` pixels that cover the same place.
    """
    canvas = outline(image, factor)
    pixels = np.empty(canvas.shape, np.float32)
    for index in image.plane_indices():
        pixels[index] = canvas.plane_like(enlarge_plane(image.plane(index), factor))
    return canvas.with_pixels(pixels)


def enlarge_plane(plane: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Enlarge (C, Y, X) along Y and X by cubic splines, within the plane's own range."""
    from scipy import ndimage

    large = ndimage.zoom(plane, (1, factor, factor), order=3, mode="nearest", grid_mode=True)
    return np.asarray(np.clip(large, plane.min(), plane.max()), dtype=np.float64)


def fit(plane: Plane, s: Upscale, *, factor: int, down: str) -> Iterator[Step]:
    """Fit a plane: the network's image, made coarse, is to equal the plane.

    It is not variance-stabilised: the transform and the mean over pixels do not commute.
    """
    import torch

    from napari_dip.engine.operators import Downsampled
    from napari_dip.methods import dip
    from napari_dip.nets.base import AMPLITUDE

    y, generator = plane.y, torch.Generator().manual_seed(s.seed)
    z: Tensor | int = s.input_channels
    if s.z == "enlarged":
        large = torch.as_tensor(enlarge_plane(y.cpu().double().numpy(), factor)).float()
        noise = AMPLITUDE * torch.rand((s.input_channels, *large.shape[1:]), generator=generator)
        z = torch.cat([large, noise]).to(y.device)
    return dip.fit_measurement(y, s, generator, z, Downsampled(factor, down))
