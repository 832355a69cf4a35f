"""The front door: arrays or Images in, Snapshots or the answer out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from napari_dip.denoising import fit_image
from napari_dip.images.as_image import as_image
from napari_dip.images.image import ArrayLike, Image
from napari_dip.methods.registry import METHODS, TRAINED
from napari_dip.models.apply import iter_apply
from napari_dip.models.model import Model
from napari_dip.settings import BlindSpot, Settings
from napari_dip.snapshot import Snapshot, last_with_warnings, with_progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.engine.device import Device
    from napari_dip.planes.chunk import Chunk


How = Settings | Model | None
Given = TypeVar("Given", Image, ArrayLike)


@overload
def denoise(
    image: Image,
    how: How = ...,
    *,
    axes: str | None = ...,
    device: Device = ...,
    progress: bool = ...,
) -> Image: ...
@overload
def denoise(
    image: ArrayLike,
    how: How = ...,
    *,
    axes: str | None = ...,
    device: Device = ...,
    progress: bool = ...,
) -> NDArray[np.float32]: ...
@overload
def denoise(
    image: Given,
    how: How = ...,
    *,
    axes: str | None = ...,
    device: Device = ...,
    return_std: bool,
    progress: bool = ...,
) -> tuple[Given, Given]: ...
def denoise(
    image: Image | ArrayLike,
    how: How = None,
    *,
    axes: str | None = None,
    device: Device = "auto",
    return_std: bool = False,
    progress: bool = False,
) -> Any:
    """Denoise an image without clean training data.

    Parameters
    ----------
    image : Image or array-like
        2 to 5 axes out of TZCYX, any intensity range; a stack goes plane by plane, RGB colours
        together.
    how : Settings or Model, optional
        Method and settings of a fit to this image, ``BlindSpot()`` by default; or a trained model,
        see `load_model`.
    axes : str, optional
        A letter an axis for a bare array, such as ``"ZYX"``; guessed where not given.
    device : str or torch.device
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    return_std : bool
        Whether to return a second image that says how far off each pixel may be, from the source
        that the settings name (``uncertainty``) or, where they name none, the one that suits the
        network. That of `BlindSpot`, ``"predicted"``, is the standard error of the pixel; the
        others are a spread of answers, which says where errors are larger and not how large.
    progress : bool
        Whether a bar shows the steps, in a terminal and in a notebook; needs the package tqdm.

    Returns
    -------
    Image or float32 array
        What was given, denoised: same shape, axes, intensity scale and units. With `return_std` a
        pair: the answer and its standard deviation, in the same units. A dask array for a dask
        array, of which a plane is read when it is computed.

    Raises
    ------
    ValueError
        For input that cannot be denoised, before any work starts.
    DenoiseError
        If the work breaks, for instance for lack of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dip import BlindSpot, denoise
    >>> noisy = np.random.default_rng(0).poisson(20, (32, 32))
    >>> denoise(noisy, BlindSpot(steps=2)).shape
    (32, 32)
    """
    if return_std and isinstance(how, Model):
        raise ValueError(
            "A trained model gives no standard deviation; take BlindSpot, DIP or PatchDIP, or "
            "leave return_std out."
        )
    if return_std and (how is None or isinstance(how, Settings)):
        how = (how or BlindSpot()).with_uncertainty()
    snapshots = iter_denoise(image, how, axes=axes, device=device)
    final = last_with_warnings(with_progress_bar(snapshots) if progress else snapshots)
    std = final.std if return_std else None
    if isinstance(image, Image):
        return final.image if std is None else (final.image, std)
    answer = _array(final.image)
    return answer if std is None else (answer, _array(std))


def _array(image: Image) -> Any:
    """Return the pixels as numpy, or as dask where that was given."""
    lazy = hasattr(image.pixels, "dask")
    return image.pixels if lazy else np.asarray(image.pixels, dtype=np.float32)


def iter_denoise(
    image: Image | ArrayLike,
    how: How = None,
    *,
    axes: str | None = None,
    device: Device = "auto",
) -> Iterator[Snapshot]:
    """Denoise step by step.

    Parameters
    ----------
    image, how, axes, device
        As for `denoise`.

    Yields
    ------
    Snapshot
        One a step. `Snapshot.image` is the answer if the work stopped there, float32.

    Raises
    ------
    ValueError
        At the call, for input that cannot be denoised.
    DenoiseError
        During the work, if it breaks.
    """
    return iter_chunk(as_image(image, axes), BlindSpot() if how is None else how, device)


def iter_chunk(
    source: Image, how: Settings | Model, device: Device, chunk: Chunk | None = None
) -> Iterator[Snapshot]:
    """Denoise as `iter_denoise` does, or only a chunk of a stack, as it would be in the whole.

    Parameters
    ----------
    source : Image
        The whole.
    chunk : Chunk, optional
        Of `source`; the snapshots' images are of its shape.
    """
    if isinstance(how, Model):
        return iter_apply(source, how, device, chunk)
    if not isinstance(how, Settings):
        raise ValueError(
            f"how is {how!r}; give settings such as BlindSpot(), BlindSpot(steps=400) or "
            "DIP.preset('paper'), or a trained model: load_model(path)."
        )
    if how.method in TRAINED:
        raise ValueError(
            f"{how.title} is trained first: model = train(images, {type(how).__name__}()), then "
            "apply it."
        )
    if how.method not in METHODS:
        raise ValueError(
            f"{how.title} does not denoise; give settings such as BlindSpot(), or call its own "
            "function."
        )
    return fit_image(source, how, device, chunk=chunk)
