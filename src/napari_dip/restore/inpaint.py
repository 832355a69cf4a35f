"""Inpainting: fill missing pixels.

The preset ``fast`` fits a network that sees the known pixels (`napari_dip.methods.inpaint`);
``holes`` the published one, a network of random z (`napari_dip.methods.dip`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

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
from napari_dip.restore.missing_pixels import FIND, MissingPixels, find_missing_pixels
from napari_dip.settings import Inpaint
from napari_dip.settings.restore import BLIND_SPOT
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.engine.device import Device
    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane

NONE_MISSING = "No missing pixel was found; the image is left as it is."
FULL = "Planes left as they are, all their pixels being missing, such as saturated: {}."
SPARSE = (
    "Planes of which more than half was found to be missing: {}. What is filled in there is a "
    "guess."
)


@typed_like_input
def inpaint(
    image: Image | ArrayLike,
    mask: Any = FIND,
    how: Inpaint | None = None,
    *,
    keep_known: bool = True,
    axes: str | None = None,
    device: Device = "auto",
    progress: bool = False,
) -> Image | NDArray[np.float32]:
    """Fill missing pixels, such as dead ones, dust or bubbles.

    Parameters
    ----------
    image : Image or array-like
        As for `denoise`, but NaN and infinite pixels are allowed: they count as missing.
    mask : array-like or "auto"
        True (or not 0) where a pixel is MISSING; of the shape of the image or of one plane.
        ``"auto"`` finds hot, dead and saturated pixels; where there are none the image is left as
        it is, as is a plane of nothing else.
    how : Inpaint, optional
        Settings, ``Inpaint()`` by default; ``Inpaint.preset("holes")`` for gaps wider than about 20
        pixels.
    keep_known : bool
        Whether known pixels stay as they are, to the bit (as float32); else they are denoised too.
    axes, device, progress
        As for `denoise`.

    Returns
    -------
    Image or float32 array
        What was given, filled: same shape, axes, intensity scale and units.

    Raises
    ------
    ValueError
        Before any work starts: for a mask of another shape, one that marks nothing or all of a
        plane, an image without any number, and what `denoise` refuses.
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
    snapshots = iter_inpaint(image, mask, how, keep_known=keep_known, axes=axes, device=device)
    return run_to_end(image, snapshots, progress)


def iter_inpaint(
    image: Image | ArrayLike,
    mask: Any = FIND,
    how: Inpaint | None = None,
    *,
    keep_known: bool = True,
    axes: str | None = None,
    device: Device = "auto",
) -> Iterator[Snapshot]:
    """Fill missing pixels step by step.

    Parameters
    ----------
    image, mask, how, keep_known, axes, device
        As for `inpaint`.

    Yields
    ------
    Snapshot
        One a step. `Snapshot.image` is the answer if the work stopped there; missing pixels not
        reached yet show their nearest known neighbour.

    Raises
    ------
    ValueError, DenoiseError
        As for `inpaint`, a ValueError at the call.
    """
    source = as_image(image, axes)
    return prepare(source, mask, how, keep_known=keep_known, device=device).work(None)


def prepare(
    image: Image,
    mask: Any = FIND,
    how: Inpaint | None = None,
    *,
    keep_known: bool = True,
    device: Device = "auto",
) -> Restoration:
    """Check and measure what `inpaint` is given; return what fills it, or a range of it."""
    how = check_settings(how, Inpaint)
    missing = find_missing_pixels(image, mask, how.keeps_hot_pixels)
    source = missing.image
    stats = measure_image(
        source,
        stabilise=how.stabilise,
        keep_hot_pixels=how.keeps_hot_pixels,
        without=missing.full,
    )
    # Pixels that were filled in are smooth, which says nothing of the camera; hot ones that are
    # kept are not replaced.
    hot = 0 if keep_known else stats.hot_pixels
    stats = replace(stats, hot_pixels=hot)

    def inputs(index: PlaneIndex) -> dict[str, NDArray[np.bool_]] | None:
        mask = missing.plane_mask(index)
        if index in missing.full or (keep_known and not mask.any()):
            return None
        return {"known": ~mask}

    def with_known(answer: NDArray[np.float64], index: PlaneIndex) -> NDArray[np.float64]:
        """Put the known pixels back as they were measured."""
        return np.where(missing.plane_mask(index), answer, source.plane(index))

    return prepare_restoration(
        source,
        how,
        device,
        stats=stats,
        fit=partial(fit, blind=not keep_known),
        inputs=inputs,
        finish=with_known if keep_known else None,
        note=_note(missing, keep_known),
        provenance={"missing_pixels": missing.count, "keep_known": keep_known},
    )


def _note(missing: MissingPixels, keep_known: bool) -> str:
    notes = [FULL.format(len(missing.full))] if missing.full else []
    notes += [SPARSE.format(missing.sparse)] if missing.sparse else []
    if not missing.count and keep_known and not notes:
        return NONE_MISSING
    return " ".join(notes)


def fit(plane: Plane, s: Inpaint, *, blind: bool = False) -> Iterator[Step]:
    """Fit a plane to its known pixels; `blind`: the blind-spot network denoises these too."""
    import torch

    from napari_dip.engine.operators import Masked
    from napari_dip.methods import dip
    from napari_dip.methods import inpaint as blind_spot_inpaint

    if s.net == BLIND_SPOT:
        return blind_spot_inpaint.fit(plane, s, blind=blind)
    assert plane.known is not None
    measured = torch.where(plane.known, plane.y, 0.0)
    generator = torch.Generator().manual_seed(s.seed)
    return dip.fit_measurement(measured, s, generator, s.input_channels, Masked(plane.known))
