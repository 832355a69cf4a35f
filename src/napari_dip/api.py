"""The front door: arrays or Images in, Snapshots or the answer out."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from napari_dip.errors import DenoiseError
from napari_dip.images.image import ArrayLike, Image, PlaneIndex
from napari_dip.images.survey import Survey, survey
from napari_dip.settings import DIP, Settings
from napari_dip.snapshot import Snapshot, last

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.images.stabilise import UnitRange

SMOOTH_NOISE = (
    "The noise of neighbouring pixels is correlated, as after resampling or a camera's own filter: part of it looks "
    "like structure and will stay. Denoise the raw data if you have them, or bin by 2 first."
)
NO_NOISE = "The image has no noise that could be measured; it is left as it is."
READ_EVERY = 10  # steps between Snapshots on a GPU, where reading a loss waits for the device


@overload
def denoise(image: Image, how: Settings | None = ..., *, axes: str | None = ..., device: str = ...) -> Image: ...
@overload
def denoise(
    image: ArrayLike, how: Settings | None = ..., *, axes: str | None = ..., device: str = ...
) -> NDArray[np.float32]: ...
def denoise(
    image: Image | ArrayLike, how: Settings | None = None, *, axes: str | None = None, device: str = "auto"
) -> Image | NDArray[np.float32]:
    """Denoise an image without clean training data.

    Parameters
    ----------
    image : Image or array-like
        2 to 5 axes out of TZCYX, any intensity range; a stack goes plane by plane, RGB colours together.
    how : Settings, optional
        Method and settings, ``DIP()`` by default.
    axes : str, optional
        A letter an axis for a bare array, such as ``"ZYX"``; guessed where not given.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, ``"mps"``.

    Returns
    -------
    Image or float32 array
        What was given, denoised: same shape, axes, intensity scale and units.

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
    answer = last(iter_denoise(image, how, axes=axes, device=device)).image
    return answer if isinstance(image, Image) else np.asarray(answer.pixels, dtype=np.float32)


def iter_denoise(
    image: Image | ArrayLike, how: Settings | None = None, *, axes: str | None = None, device: str = "auto"
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
    how = DIP() if how is None else how
    source = image if isinstance(image, Image) else Image(_as_array_like(image), axes or "")
    if not isinstance(how, Settings):
        raise ValueError(f"how is {how!r}; give settings such as DIP(), DIP(steps=400) or DIP.preset('paper').")
    from napari_dip.engine.device import pick_device

    # Bad input is refused at the call, not at the first step.
    chosen, found = pick_device(device), survey(source, stabilise=getattr(how, "stabilise", False))
    return _translated(_planes(source, how, chosen, found))


def _as_array_like(image: Any) -> ArrayLike:
    """Leave numpy, dask, zarr and the like as they are, and turn lists, tensors and data frames into numpy."""
    if isinstance(image, str | PathLike):
        raise ValueError(f"The image is the name of a file, {str(image)!r}; read it first: denoise(read(...)).")
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


def _planes(source: Image, how: Settings, device: torch.device, found: Survey) -> Iterator[Snapshot]:
    """Fit plane by plane; the answers land in one float32 stack that starts as the input."""
    import torch

    from napari_dip.engine.filters import thinned

    indices = source.plane_indices()
    stack = np.empty(source.shape, dtype=np.float32)
    for index in indices:
        stack[index] = source.pixels[index]
    warning = SMOOTH_NOISE if found.noise_is_smooth else ""
    record = _record(how, device, found)
    chosen: list[int] = []
    total = how.steps * len(indices)
    for number, index in enumerate(indices):
        unit = found.unit(source, index)
        noisy = source.plane(index)
        y = torch.as_tensor(np.ascontiguousarray(unit.to_unit(noisy)), dtype=torch.float32).to(device)
        picture = partial(_picture, source, index=index, restore=partial(_restored, unit, noisy, unit.padding(noisy)))
        for step in thinned(_steps(y, how, unit), 1 if device.type == "cpu" else READ_EVERY):
            yield Snapshot(
                step=number * how.steps + step.index,
                total=total,
                loss=float(step.loss),
                criterion=step.criterion,
                chosen=number * how.steps + step.chosen,
                plane=number,
                planes=len(indices),
                note=step.note or warning,
                provenance=(made := {**record, "steps_chosen": [*chosen, step.chosen]}),
                make_image=partial(picture, stack=stack, step=step, made=made),
            )
            warning = ""  # once is enough
        stack = np.asarray(picture(stack=stack, step=step, made=made).pixels)  # snapshots out keep theirs
        chosen.append(step.chosen)


def _picture(
    source: Image,
    stack: NDArray[np.float32],
    index: PlaneIndex,
    step: Step,
    made: dict[str, object],
    restore: Callable[[Step], NDArray[np.float64]],
) -> Image:
    """Put the answer of one plane into a copy of the stack."""
    pixels = stack.copy()
    if step.chosen:  # at 0 the answer still is the input, which stands there exactly
        pixels[index] = source.plane_like(restore(step))
    return source.with_pixels(pixels, provenance={**source.provenance, **made})


def _restored(
    unit: UnitRange, noisy: NDArray[np.float64], padding: NDArray[np.bool_] | None, step: Step
) -> NDArray[np.float64]:
    """Return the answer in intensities: from a tensor in the unit range to numpy, (C, Y, X)."""
    answer = unit.from_unit(step.answer.double().cpu().numpy())
    return answer if padding is None else np.where(padding, noisy, answer)


def _record(how: Settings, device: torch.device, found: Survey) -> dict[str, object]:
    """Return what made the answer, ready for JSON; the noise is a list where there are several channels."""
    models = [unit.model for unit in found.units]
    noise = [m and {"gain": m.gain, "variance": m.variance} for m in models]
    names = ("napari-dip", "torch", "numpy")
    return {
        "settings": how.described(),
        "device": str(device),
        "noise": noise if len(noise) > 1 else noise[0],
        "noise_is_correlated": found.noise_is_smooth,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }


def _steps(y: Tensor, how: Settings, unit: UnitRange) -> Iterator[Step]:
    """Choose the method by the type of its settings."""
    import torch

    from napari_dip.engine.loop import Step
    from napari_dip.methods import blindspot, dip

    generator = torch.Generator().manual_seed(how.seed)
    match how:
        case DIP() if unit.noise == 0 or float(y.max() - y.min()) == 0:
            zero = torch.zeros((), device=y.device)
            return iter([Step(1, zero, y, y, 0, note=NO_NOISE)])
        case DIP(net="blind-spot"):
            fit = blindspot.fit(y, how, generator, unit.noise)
        case DIP(net="skip"):
            fit = dip.fit(y, how, generator)
        case _:
            raise ValueError(f"{type(how).__name__} settings cannot denoise an image; give DIP settings.")
    return fit


def _translated(snapshots: Iterator[Snapshot]) -> Iterator[Snapshot]:
    """Turn torch's errors into ours: napari swallows a RuntimeError, and running out of GPU memory is one."""
    try:
        yield from snapshots
    except MemoryError as error:
        raise DenoiseError("The computer ran out of memory; crop the image or close other programs.") from error
    except RuntimeError as error:
        import torch

        if isinstance(error, torch.OutOfMemoryError):
            raise DenoiseError(
                "The GPU ran out of memory; crop the image, take fewer channels, or take device cpu."
            ) from error
        raise DenoiseError(f"The computation failed: {error}") from error
