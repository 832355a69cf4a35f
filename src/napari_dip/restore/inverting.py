"""Natural pre-images: an image of which a layer of a network says the same as of the one given."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.denoising import fit_image
from napari_dip.images.as_image import as_image
from napari_dip.images.image import ArrayLike, Image
from napari_dip.planes.image_statistics import measure_image
from napari_dip.restore.common import checked, run, typed_like_input
from napari_dip.settings import Invert
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import device, nn

    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane


MOST_NAMED = 20  # layers in an error's sentence


@typed_like_input
def invert_features(
    image: Image | ArrayLike,
    module: nn.Module,
    layer: str,
    how: Invert | None = None,
    *,
    axes: str | None = None,
    device: str = "auto",
) -> Image | NDArray[np.float32]:
    """Show what a layer of a network keeps of an image: find a natural image with the same features.

    Parameters
    ----------
    image : Image or array-like
        As for `denoise`; the network sees it mapped to [0, 1].
    module : torch.nn.Module
        Takes (B, C, Y, X), with C of 1 or 3; a grey image is shown to three colours as three equal
        ones. Yours: no weights come with this package. A normalisation that it needs is put in
        front of it by ``nn.Sequential``. A copy in evaluation mode is used, the module itself is
        left alone.
    layer : str
        One of the names in ``dict(module.named_modules())``; ``""`` is the output of the whole
        module.
    how : Invert, optional
        Settings, ``Invert()`` by default.
    axes, device
        As for `denoise`.

    Returns
    -------
    Image or float32 array
        An image of the same shape, axes, intensity scale and units, found without looking at any
        pixel of `image`.

    Raises
    ------
    ValueError
        Before any work starts: for a layer that is not there (with the names of those that are), a
        module that cannot take the image, and what `denoise` refuses.
    DenoiseError
        If the work breaks, for instance for lack of memory.

    References
    ----------
    Mahendran and Vedaldi, Understanding deep image representations by inverting them, CVPR 2015,
    arXiv:1412.0035. Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925
    (natural pre-image).

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from napari_dip import Invert, invert_features
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())
    >>> invert_features(np.random.default_rng(0).random((32, 32)), net, "1", Invert(steps=2)).shape
    (32, 32)
    """
    return run(image, iter_invert_features(image, module, layer, how, axes=axes, device=device))


def iter_invert_features(
    image: Image | ArrayLike,
    module: nn.Module,
    layer: str,
    how: Invert | None = None,
    *,
    axes: str | None = None,
    device: str = "auto",
) -> Iterator[Snapshot]:
    """Find an image with the same features step by step.

    Parameters
    ----------
    image, module, layer, how, axes, device
        As for `invert_features`.

    Yields
    ------
    Snapshot
        One a step. `Snapshot.image` is the answer if the work stopped there; planes not reached yet
        show the input.

    Raises
    ------
    ValueError, DenoiseError
        As for `invert_features`, a ValueError at the call.
    """
    how = checked(how, Invert)
    check_layer(module, layer)
    from napari_dip.engine.device import pick_device

    source, chosen = as_image(image, axes), pick_device(device)
    stats = measure_image(source, stabilise=False)  # refuses what no module should see
    net = _copied(module, chosen)
    repeat = _colours_taken(net, layer, source, chosen)
    inverted = partial(fit, net=net, layer=layer, repeat=repeat)
    record = {"task": "invert", "layer": layer}
    return fit_image(source, how, device, stats=stats, fit=inverted, record=record)


def check_layer(module: nn.Module, layer: str) -> None:
    """Refuse what is no module, or a layer that it has not.

    Raises
    ------
    ValueError
        With the names of the layers there are.
    """
    if not hasattr(module, "named_modules"):
        raise ValueError(f"module is a {type(module).__name__}; give a torch.nn.Module.")
    names = [name for name, _ in module.named_modules()]
    if layer not in names:
        raise ValueError(
            f"The module has no layer {layer!r}; {_named(layer, [name for name in names if name])}."
        )


def _named(wanted: str, names: list[str]) -> str:
    """Name the layers there are; of very many, the nearest."""
    from difflib import get_close_matches

    if len(names) <= MOST_NAMED:
        return f"there are {', '.join(names)}"
    near = get_close_matches(wanted, names, n=5, cutoff=0) or names[:5]
    return f"there are {len(names)}, of which the nearest are {', '.join(near)}"


def _copied(module: nn.Module, chosen: device) -> nn.Module:
    import copy

    import torch

    with torch.no_grad():  # TorchScript copies by computing
        net = copy.deepcopy(module).to(chosen).eval()
    return net.requires_grad_(False)


def _colours_taken(net: nn.Module, layer: str, source: Image, chosen: device) -> int:
    """Try the module on a plane; return how often a channel is to be repeated for it.

    Raises
    ------
    ValueError
        If it takes neither the image nor three equal colours of it.
    """
    import torch

    from napari_dip.engine.operators import Features
    from napari_dip.errors import DenoiseError

    plane = torch.zeros(source.plane(source.plane_indices()[0]).shape, device=chosen)
    colours, height, width = plane.shape
    reason = ""
    for repeat in (1, 3) if colours == 1 else (1,):
        try:
            with torch.no_grad():
                Features(net, layer, (colours, height, width), repeat)(plane)
            return repeat
        except (RuntimeError, ValueError, TypeError, DenoiseError) as error:
            reason = reason or str(error).strip().splitlines()[0]
    raise ValueError(
        f"The module cannot take an image of {colours} x {height} x {width} (C, Y, X): {reason}"
    )


def fit(plane: Plane, s: Invert, *, net: nn.Module, layer: str, repeat: int) -> Iterator[Step]:
    """Fit one plane: the network's image is to have the plane's features."""
    import torch

    from napari_dip.engine.operators import Features
    from napari_dip.errors import DenoiseError
    from napari_dip.methods import dip

    y = plane.y
    colours, height, width = y.shape
    operator = Features(net, layer, (colours, height, width), repeat)
    with torch.no_grad():
        features = operator(y)
    if not torch.isfinite(features).all():
        what = f"The layer {layer!r}" if layer else "The module"
        raise DenoiseError(
            f"{what} gives NaN or infinite features of this image; take another layer or module."
        )
    operator.unit = float(features.std()) or 1.0  # so that one learning rate suits all layers
    generator = torch.Generator().manual_seed(s.seed)
    features = features / operator.unit
    return dip.fit_measurement(features, s, generator, s.input_channels, operator)
