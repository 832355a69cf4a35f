"""Inpainting: missing pixels are filled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from napari_dip.api import as_image
from napari_dip.images.image import ArrayLike, Image, PlaneIndex
from napari_dip.planes.image_statistics import measure_image
from napari_dip.planes.walk import Work, translated, walk
from napari_dip.restore.common import answered, checked
from napari_dip.restore.find_gaps import FIND, Gaps, find_gaps
from napari_dip.settings import Inpaint
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.noise.anscombe import UnitRange


NO_GAPS = "No missing pixel was found; the image is left as it is."
FULL = "Planes left as they are, all their pixels being missing, such as saturated: {}."
SPARSE = "Planes of which more than half was found to be missing: {}. What is filled in there is a guess."


@overload
def inpaint(
    image: Image,
    mask: Any = ...,
    how: Inpaint | None = ...,
    *,
    keep_known: bool = ...,
    axes: str | None = ...,
    device: str = ...,
) -> Image: ...
@overload
def inpaint(
    image: ArrayLike,
    mask: Any = ...,
    how: Inpaint | None = ...,
    *,
    keep_known: bool = ...,
    axes: str | None = ...,
    device: str = ...,
) -> NDArray[np.float32]: ...
def inpaint(
    image: Image | ArrayLike,
    mask: Any = FIND,
    how: Inpaint | None = None,
    *,
    keep_known: bool = True,
    axes: str | None = None,
    device: str = "auto",
) -> Image | NDArray[np.float32]:
    """Fill missing pixels, such as dead ones, dust or bubbles.

    Parameters
    ----------
    image : Image or array-like
        As for `denoise`, but NaN and infinite pixels are allowed: they count as missing.
    mask : array-like or "auto"
        True (or not 0) where a pixel is MISSING; of the shape of the image or of one plane. ``"auto"`` finds hot,
        dead and saturated pixels; where there are none the image is left as it is, as is a plane of nothing else.
    how : Inpaint, optional
        Settings, ``Inpaint()`` by default; ``Inpaint.preset("holes")`` for gaps wider than about 20 pixels.
    keep_known : bool
        Whether known pixels stay as they are, to the bit (as float32); else they are denoised too.
    axes, device
        As for `denoise`.

    Returns
    -------
    Image or float32 array
        What was given, filled: same shape, axes, intensity scale and units.

    Raises
    ------
    ValueError
        Before any work starts: for a mask of another shape, one that marks nothing or all of a plane, an image without
        any number, and what `denoise` refuses.
    DenoiseError
        If the work breaks, for instance for lack of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dip import Inpaint, inpaint
    >>> image = np.random.default_rng(0).poisson(20, (32, 32)).astype(float)
    >>> image[3, 4:9] = np.nan
    >>> filled = inpaint(image, how=Inpaint(steps=2))
    >>> bool(np.isfinite(filled).all()), bool((filled[10:] == image[10:]).all())
    (True, True)
    """
    return answered(
        image, iter_inpaint(image, mask, how, keep_known=keep_known, axes=axes, device=device)
    )


def iter_inpaint(
    image: Image | ArrayLike,
    mask: Any = FIND,
    how: Inpaint | None = None,
    *,
    keep_known: bool = True,
    axes: str | None = None,
    device: str = "auto",
) -> Iterator[Snapshot]:
    """Fill missing pixels step by step.

    Parameters
    ----------
    image, mask, how, keep_known, axes, device
        As for `inpaint`.

    Yields
    ------
    Snapshot
        One a step. `Snapshot.image` is the answer if the work stopped there; missing pixels not reached yet show
        their nearest known neighbour.

    Raises
    ------
    ValueError, DenoiseError
        As for `inpaint`, a ValueError at the call.
    """
    how = checked(how, Inpaint)
    from napari_dip.engine.device import pick_device

    chosen, gaps = pick_device(device), find_gaps(as_image(image, axes), mask)
    stats = measure_image(gaps.image, stabilise=how.stabilise, without=gaps.full)
    # Pixels that were filled in are smooth, which says nothing of the camera; hot ones that are kept are not replaced.
    stats = replace(stats, noise_is_smooth=False, hot_pixels=0 if keep_known else stats.hot_pixels)
    work = Work(
        partial(_fill, how, gaps, keep_known),
        finish=partial(_with_known, gaps) if keep_known else None,
        note=_note(gaps, keep_known),
        record={"task": "inpaint", "missing_pixels": gaps.count, "keep_known": keep_known},
    )
    return translated(walk(gaps.image, how, work, chosen, stats))


def _note(gaps: Gaps, keep_known: bool) -> str:
    remarks = [FULL.format(len(gaps.full))] if gaps.full else []
    remarks += [SPARSE.format(gaps.sparse)] if gaps.sparse else []
    if not gaps.count and keep_known and not remarks:
        remarks = [NO_GAPS]
    return " ".join(remarks)


def _fill(
    how: Inpaint, gaps: Gaps, keep_known: bool, y: Tensor, unit: UnitRange, index: PlaneIndex
) -> Iterator[Step]:
    """Fit one plane to its known pixels; one without any, or without gaps where they are kept, is left alone."""
    import torch

    from napari_dip.engine.loop import Step
    from napari_dip.engine.operators import Masked
    from napari_dip.methods import dip
    from napari_dip.methods import inpaint as gaps_method

    missing = gaps.missing(index)
    if index in gaps.full or (keep_known and not missing.any()):
        zero = torch.zeros((), device=y.device)
        return iter([Step(1, zero, y, y, 0, note="")])
    known = torch.as_tensor(~missing).to(y.device)
    generator = torch.Generator().manual_seed(how.seed)
    if how.net == "blind-spot":
        return gaps_method.fit(y, known, how, generator, blind=not keep_known)
    return dip.fit(torch.where(known, y, 0.0), how, generator, how.input_channels, Masked(known))


def _with_known(gaps: Gaps, answer: NDArray[np.float64], index: PlaneIndex) -> NDArray[np.float64]:
    """Put the known pixels back as they were measured."""
    return np.where(gaps.missing(index), answer, gaps.image.plane(index))
