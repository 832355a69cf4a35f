"""Super-resolution: an image whose coarse version is the one that was measured."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_dip.denoising import fit_image
from napari_dip.images.as_image import as_image
from napari_dip.images.image import ArrayLike, Image
from napari_dip.restore.common import checked, run, typed_like_input
from napari_dip.restore.enlarge import enlarged, enlarged_plane, enlarged_size
from napari_dip.settings import Upscale
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

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
    device: str = "auto",
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
    axes, device
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
    return run(image, iter_upscale(image, factor, how, down=down, axes=axes, device=device))


def iter_upscale(
    image: Image | ArrayLike,
    factor: int = 2,
    how: Upscale | None = None,
    *,
    down: Literal["lanczos", "binning"] = "lanczos",
    axes: str | None = None,
    device: str = "auto",
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
    how = checked(how, Upscale)
    check_factor(factor, down)
    source = as_image(image, axes)
    # Not stabilised: the transform and the mean over pixels do not commute.
    return fit_image(
        source,
        how,
        device,
        fit=partial(fit, factor=factor, down=down),
        factor=factor,
        canvas=enlarged(source, factor),
        record={"task": "upscale", "factor": factor, "down": down},
    )


def check_factor(factor: Any, down: Any = DOWN[0]) -> None:
    """Refuse what is no factor, or no way to make an image coarse.

    Raises
    ------
    ValueError
        With those that there are.
    """
    if not isinstance(factor, int) or isinstance(factor, bool) or factor not in FACTORS:
        raise ValueError(
            f"factor is {factor!r}; give {', '.join(map(str, FACTORS[:-1]))} or {FACTORS[-1]}."
        )
    if down not in DOWN:
        raise ValueError(f"down is {down!r}; give {' or '.join(map(repr, DOWN))}.")


def outline(image: Image, factor: int) -> Image:
    """Return an image of the answer's shape, axes and scale that takes no memory."""
    shape, scale = enlarged_size(image, factor)
    return image.with_pixels(np.broadcast_to(np.float32(0), shape), scale=scale)


def fit(plane: Plane, s: Upscale, *, factor: int, down: str) -> Iterator[Step]:
    """Fit one plane: the network's image, made coarse, is to be the plane."""
    import torch

    from napari_dip.engine.operators import Downsampled
    from napari_dip.methods import dip
    from napari_dip.nets.base import AMPLITUDE

    y, generator = plane.y, torch.Generator().manual_seed(s.seed)
    z: Tensor | int = s.input_channels
    if s.z == "enlarged":
        large = torch.as_tensor(enlarged_plane(y.cpu().double().numpy(), factor)).float()
        noise = AMPLITUDE * torch.rand((s.input_channels, *large.shape[1:]), generator=generator)
        z = torch.cat([large, noise]).to(y.device)
    return dip.fit_measurement(y, s, generator, z, Downsampled(factor, down))
