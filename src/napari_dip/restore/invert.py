"""Feature inversion (natural pre-images): find an image that a network's layer cannot tell from y.

    theta* = argmin || A f_theta(z) - A y ||^2,    A = the layers of a network up to the one named

References: Mahendran and Vedaldi, Understanding deep image representations by inverting them, CVPR
2015, arXiv:1412.0035. Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925
(section on natural pre-images).

What differs from the second paper: any module is taken, and its features are divided by their
standard deviation, so that one learning rate suits all layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.as_image import as_image
from napari_dip.images.image import ArrayLike, Image
from napari_dip.planes.image_statistics import measure_image
from napari_dip.restore.common import (
    Restoration,
    check_settings,
    prepare_restoration,
    run_to_end,
    typed_like_input,
)
from napari_dip.restore.network_layer import check_layer
from napari_dip.settings import Invert
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from napari_dip.engine.device import Device
    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane


@typed_like_input
def invert_features(
    image: Image | ArrayLike,
    module: nn.Module,
    layer: str,
    how: Invert | None = None,
    *,
    axes: str | None = None,
    device: Device = "auto",
    progress: bool = False,
) -> Image | NDArray[np.float32]:
    """Show what a layer of a network keeps of an image: find an image with the same features.

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
    axes, device, progress
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
    snapshots = iter_invert_features(image, module, layer, how, axes=axes, device=device)
    return run_to_end(image, snapshots, progress)


def iter_invert_features(
    image: Image | ArrayLike,
    module: nn.Module,
    layer: str,
    how: Invert | None = None,
    *,
    axes: str | None = None,
    device: Device = "auto",
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
    return prepare(as_image(image, axes), module, layer, how, device=device).work(None)


def prepare(
    source: Image,
    module: nn.Module,
    layer: str,
    how: Invert | None = None,
    *,
    device: Device = "auto",
) -> Restoration:
    """Check and measure what `invert_features` is given; return what inverts it, or a range."""
    from napari_dip.engine.device import pick_device

    how = check_settings(how, Invert)
    check_layer(module, layer)
    chosen = pick_device(device)
    # It refuses what no module should see.
    stats = measure_image(source, stabilise=False, keep_hot_pixels=how.keeps_hot_pixels)
    net = _frozen_copy(module, chosen)
    repeat = _channel_repeats(net, layer, source, chosen)
    return prepare_restoration(
        source,
        how,
        device,
        stats=stats,
        fit=partial(fit, net=net, layer=layer, repeat=repeat),
        provenance={"layer": layer},
    )


def _frozen_copy(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy in evaluation mode whose weights get no gradients."""
    import torch

    with torch.no_grad():  # TorchScript copies by computing
        net = deepcopy(module).to(device).eval()
    return net.requires_grad_(False)


def _channel_repeats(net: nn.Module, layer: str, source: Image, device: torch.device) -> int:
    """Try the module on a plane; return how often it needs the channel of a grey image repeated.

    A ValueError says that it takes neither the image nor three equal colours of it.
    """
    import torch

    from napari_dip.engine.operators import Features
    from napari_dip.engine.out_of_memory import MemoryPlan, compute
    from napari_dip.errors import DenoiseError

    plan = MemoryPlan(device)
    colours, height, width = source.plane(source.plane_indices()[0]).shape

    def look(repeat: int) -> None:
        plane = torch.zeros(colours, height, width, device=plan.device)
        Features(plan.place(net), layer, (colours, height, width), repeat)(plane)

    reason = ""
    for repeat in (1, 3) if colours == 1 else (1,):
        try:
            with torch.no_grad():
                compute(partial(look, repeat), plan)
            return repeat
        except (RuntimeError, ValueError, TypeError, DenoiseError) as error:
            reason = reason or str(error).strip().splitlines()[0]
    raise ValueError(
        f"The module cannot take an image of {colours} x {height} x {width} (C, Y, X): {reason}"
    )


def fit(plane: Plane, s: Invert, *, net: nn.Module, layer: str, repeat: int) -> Iterator[Step]:
    """Fit a plane: the network's image is to have the plane's features."""
    import torch

    from napari_dip.engine.operators import Features
    from napari_dip.errors import DenoiseError
    from napari_dip.methods import dip

    y = plane.y
    colours, height, width = y.shape
    operator = Features(net.to(y.device), layer, (colours, height, width), repeat)
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
