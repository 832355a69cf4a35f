"""Fit every plane of an image by its own pixels: which method, how often, in what pieces, and from what start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.planes.image_statistics import channel_of
from napari_dip.planes.walk import NO_NOISE, Work
from napari_dip.settings import DIP, PatchDIP, Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.engine.out_of_memory import Plan
    from napari_dip.noise.anscombe import UnitRange

    Weights = dict[str, Tensor]


def fitted(source: Image, how: DIP | PatchDIP, device: torch.device) -> Work:
    """Say what is done to every plane of an image.

    Parameters
    ----------
    source : Image
        The noisy image.
    how : DIP or PatchDIP
        Method and settings.
    device : torch.device
        Where the work starts.
    """
    from napari_dip.engine.out_of_memory import Plan
    from napari_dip.methods.blind_spot import warm_steps

    plan = Plan(device)
    if not goes_on(how):
        return Work(lambda y, unit, index: _steps(how, plan, None, y, unit), plan=plan)
    networks: dict[tuple[int, int], Weights] = defaultdict(
        dict
    )  # by channel and seed, for the time of one stream

    def fit(y: Tensor, unit: UnitRange, index: PlaneIndex) -> Iterator[Step]:
        channel = channel_of(source, index)
        return _steps(how, plan, lambda seed: networks[channel, seed], y, unit)

    channels = [channel_of(source, index) for index in source.plane_indices()]
    first = {channel: channels.index(channel) for channel in set(channels)}
    steps = [
        how.steps if first[c] == number else warm_steps(how.steps)
        for number, c in enumerate(channels)
    ]
    return Work(fit, steps=steps, plan=plan)


def goes_on(how: Settings) -> bool:
    """Say whether the fit of a plane starts from that of the plane before."""
    return isinstance(how, DIP) and how.net == "blind-spot" and how.through_stack == "warm"


def _steps(
    how: DIP | PatchDIP,
    plan: Plan,
    carried: Callable[[int], Weights] | None,
    y: Tensor,
    unit: UnitRange,
) -> Iterator[Step]:
    """Fit one plane, several times side by side where the settings ask for restarts.

    `carried` takes a seed and returns the network that the fit may start from, empty for the first plane.
    """

    def fit(one: DIP | PatchDIP) -> Iterator[Step]:
        return _fit(one, plan, carried and carried(one.seed), y, unit)

    if isinstance(how, DIP) and how.restarts > 1 and unit.noise > 0:
        from napari_dip.engine.restarts import side_by_side

        return side_by_side(how, fit)
    return fit(how)


def _fit(
    how: DIP | PatchDIP, plan: Plan, carried: Weights | None, y: Tensor, unit: UnitRange
) -> Iterator[Step]:
    """Choose the method by the type of its settings."""
    import torch

    from napari_dip.engine.loop import Step
    from napari_dip.engine.tiled_fit import in_pieces
    from napari_dip.methods import blind_spot as blindspot
    from napari_dip.methods import dip
    from napari_dip.methods.patchdip import fit as patchdip

    generator = torch.Generator().manual_seed(how.seed)
    if unit.noise == 0 or float(y.max() - y.min()) == 0:
        zero = torch.zeros((), device=y.device)
        return iter([Step(1, zero, y, y, 0, note=NO_NOISE)])
    match how:
        case PatchDIP():
            return patchdip.fit(y, how, generator, unit.noise)
        case DIP(net="blind-spot"):
            room = blindspot.BYTES_A_PIXEL * len(y) * how.restarts
            begin = partial(
                blindspot.fit, s=how, generator=generator, noise=unit.noise, carried=carried
            )
        case DIP():
            room = dip.MAPS_ALIVE * 4 * how.channels * how.restarts
            begin = partial(dip.fit, s=how, generator=generator, z=how.input_channels)
    return in_pieces(begin, y, how.steps, room, plan)
