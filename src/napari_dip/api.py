"""The front door: arrays or Images in, Snapshots or the answer out."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from napari_dip.denoising import fitted
from napari_dip.images.image import ArrayLike, Image
from napari_dip.models.apply import iter_apply
from napari_dip.models.model import Model
from napari_dip.planes.image_statistics import measure_image
from napari_dip.planes.walk import translated, walk
from napari_dip.settings import DIP, PatchDIP, Settings, Trained
from napari_dip.snapshot import Snapshot, finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.planes.chunk import Chunk


@overload
def denoise(
    image: Image,
    how: Settings | Model | None = ...,
    *,
    axes: str | None = ...,
    device: str = ...,
    return_std: Literal[True],
) -> tuple[Image, Image]: ...
@overload
def denoise(
    image: ArrayLike,
    how: Settings | Model | None = ...,
    *,
    axes: str | None = ...,
    device: str = ...,
    return_std: Literal[True],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
@overload
def denoise(
    image: Image,
    how: Settings | Model | None = ...,
    *,
    axes: str | None = ...,
    device: str = ...,
    return_std: Literal[False] = ...,
) -> Image: ...
@overload
def denoise(
    image: ArrayLike,
    how: Settings | Model | None = ...,
    *,
    axes: str | None = ...,
    device: str = ...,
    return_std: Literal[False] = ...,
) -> NDArray[np.float32]: ...
def denoise(
    image: Image | ArrayLike,
    how: Settings | Model | None = None,
    *,
    axes: str | None = None,
    device: str = "auto",
    return_std: bool = False,
) -> (
    Image
    | NDArray[np.float32]
    | tuple[Image, Image]
    | tuple[NDArray[np.float32], NDArray[np.float32]]
):
    """Denoise an image without clean training data.

    Parameters
    ----------
    image : Image or array-like
        2 to 5 axes out of TZCYX, any intensity range; a stack goes plane by plane, RGB colours together.
    how : Settings or Model, optional
        Method and settings of a fit to this image, ``DIP()`` by default; or a trained model, see `load_model`.
    axes : str, optional
        A letter an axis for a bare array, such as ``"ZYX"``; guessed where not given.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    return_std : bool
        Whether to return a second image that says how far off each pixel may be, from the source that the settings
        name (``uncertainty``) or, where they name none, the one that suits the network.

    Returns
    -------
    Image or float32 array
        What was given, denoised: same shape, axes, intensity scale and units. With `return_std` a pair: the answer and
        its standard deviation, in the same units.

    Raises
    ------
    ValueError
        For input that cannot be denoised, before any work starts.
    DenoiseError
        If the work breaks, for instance for lack of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dip import DIP, denoise
    >>> noisy = np.random.default_rng(0).poisson(20, (32, 32))
    >>> denoise(noisy, DIP(steps=2)).shape
    (32, 32)
    """
    if return_std and isinstance(how, Model):
        raise ValueError(
            "A trained model gives no standard deviation; take DIP or PatchDIP, or leave return_std out."
        )
    if return_std and (how is None or isinstance(how, Settings)):
        how = (how or DIP()).with_uncertainty()
    final = finished(iter_denoise(image, how, axes=axes, device=device))
    if isinstance(image, Image):
        return (final.image, final.std) if return_std and final.std else final.image
    answer = np.asarray(final.image.pixels, dtype=np.float32)
    return (
        (answer, np.asarray(final.std.pixels, dtype=np.float32))
        if return_std and final.std
        else answer
    )


def iter_denoise(
    image: Image | ArrayLike,
    how: Settings | Model | None = None,
    *,
    axes: str | None = None,
    device: str = "auto",
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
    return iter_chunk(as_image(image, axes), DIP() if how is None else how, device)


def iter_chunk(
    source: Image, how: Settings | Model, device: str, chunk: Chunk | None = None
) -> Iterator[Snapshot]:
    """Denoise as `iter_denoise` does; of a stack too large for one process only a part, as it would be in the whole.

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
            f"how is {how!r}; give settings such as DIP(), DIP(steps=400) or DIP.preset('paper'), or a trained model: "
            "load_model(path)."
        )
    if isinstance(how, Trained):
        raise ValueError(
            f"{how.title} is trained first: model = train(images, {type(how).__name__}()), then apply it."
        )
    if not isinstance(how, DIP | PatchDIP):
        raise ValueError(
            f"{how.title} does not denoise; give settings such as DIP(), or call its own function."
        )
    from napari_dip.engine.device import pick_device

    # Bad input is refused at the call, not at the first step.
    chosen = pick_device(device)
    stats = chunk.stats if chunk else measure_image(source, stabilise=how.stabilise)
    source = chunk.view(source) if chunk else source
    return translated(walk(source, how, fitted(source, how, chosen), chosen, stats))


def as_image(image: Image | ArrayLike, axes: str | None) -> Image:
    """Take an Image as it is, and turn arrays, lists, tensors and the like into one.

    Raises
    ------
    ValueError
        For what is no numbers on a grid, or axes that do not fit.
    """
    return image if isinstance(image, Image) else Image(_as_array_like(image), axes or "")


def _as_array_like(image: Any) -> ArrayLike:
    """Leave numpy, dask, zarr and the like as they are, and turn lists, tensors and data frames into numpy."""
    if isinstance(image, str | PathLike):
        raise ValueError(
            f"The image is the name of a file, {str(image)!r}; read it first: denoise(read(...))."
        )
    if np.ma.is_masked(image):
        raise ValueError(
            "The image has masked pixels, and a fit cannot leave any out; fill them first: image.filled()."
        )
    try:
        np.dtype(image.dtype)
        tuple(image.shape)
        return image  # type: ignore[no-any-return]
    except (AttributeError, TypeError):  # no array, or one with types of its own, as torch has
        pass
    try:
        return np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"The image is a {type(image).__name__} that numpy cannot read as numbers on a grid; give a numpy array."
        ) from None
