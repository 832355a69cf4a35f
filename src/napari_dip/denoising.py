"""Fit every plane of an image: by which function, how often, in what tiles, from what start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.methods.method import Method
from napari_dip.methods.registry import RESTORATIONS, record_of
from napari_dip.planes.image_statistics import ImageStatistics, channel_of, measure_image
from napari_dip.planes.neighbours import Neighbours
from napari_dip.planes.walk import NO_NOISE, PlaneTask, walk_planes
from napari_dip.settings import Settings
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_dip.engine.device import Device
    from napari_dip.engine.loop import Step
    from napari_dip.engine.out_of_memory import MemoryPlan
    from napari_dip.engine.plane import Plane
    from napari_dip.noise.unit_range import ColourRanges, UnitRange
    from napari_dip.planes.chunk import Chunk

    # Of the fits before: by channel and seed, and by how many other images a network sees.
    Weights = dict[tuple[int, int], dict[int, dict[str, Tensor]]]
    Inputs = Mapping[str, NDArray[Any]]  # by the names of `Plane`


def fit_image(
    source: Image,
    how: Settings,
    device: Device,
    *,
    stats: ImageStatistics | None = None,
    chunk: Chunk | None = None,
    fit: Callable[..., Iterator[Step]] | None = None,
    inputs: Callable[[PlaneIndex], Inputs | None] = lambda index: {},
    factor: int = 1,
    **task: Any,
) -> Iterator[Snapshot]:
    """Fit the planes of an image one after the other.

    Parameters
    ----------
    source : Image
        The noisy image.
    how : Settings
        Of a method that is fitted, or of a restoration.
    device : str or torch.device
        As for `napari_dip.denoise`.
    stats : ImageStatistics, optional
        Of `source`, where they are known already.
    chunk : Chunk, optional
        Of `source`, where only that is wanted.
    fit : callable, optional
        Fits one plane; by default the function that the method's record names.
    inputs : callable
        Takes the index of a plane in `source`, returns what the fit is given beside it (`known`,
        `guide`), each (C, Y, X); None for a plane that is left as it is.
    factor : int
        How many times as high and wide the answer is.
    **task
        Of `napari_dip.planes.walk.PlaneTask`: ``canvas``, ``finish``, ``note``, ``provenance``.

    Raises
    ------
    ValueError
        At the call, for what cannot be denoised.
    """
    from napari_dip.engine.device import pick_device
    from napari_dip.engine.out_of_memory import MemoryPlan
    from napari_dip.planes.walk import skip_plane

    method, chosen = record_of(how), pick_device(device)
    assert isinstance(method, Method)
    whole = source
    if chunk is not None:
        stats, source = chunk.stats, chunk.view(source)
    if stats is None:
        stats = measure_image(
            source,
            stabilise=getattr(how, "stabilise", False),
            straighten=how.method not in RESTORATIONS,
            keep_hot_pixels=how.keeps_hot_pixels,
        )
    plan, function = MemoryPlan(chosen), fit or method.function()
    carried_on = chunk is not None and chunk.carried is not None
    weights: Weights = chunk.carried if chunk and carried_on else defaultdict(dict)
    in_whole = (lambda index: index) if chunk is None else chunk.index_in_whole
    if finish := task.get("finish"):
        task["finish"] = lambda answer, index: finish(answer, in_whole(index))
    neighbours = Neighbours(whole, stats, getattr(how, "neighbours", 0), chunk=chunk)
    before: tuple[PlaneIndex, Weights] = (), {}

    def steps(y: Tensor, unit: UnitRange | ColourRanges, index: PlaneIndex) -> Iterator[Step]:
        nonlocal before
        if index == before[0]:  # it begins anew, for lack of memory
            weights.clear()
            weights.update(_copy_weights(before[1]))
        else:
            before = index, _copy_weights(weights)
        given = inputs(in_whole(index))
        if given is None:
            return skip_plane(y)
        if method.needs_noise and (unit.noise == 0 or float(y.max() - y.min()) == 0):
            return skip_plane(y, NO_NOISE)
        plane = _plane(y, unit, given)
        if neighbours.axes:
            plane = replace(plane, others=neighbours.near(index, y, unit.noise, plane.hole))
        carried = (channel_of(source, index), weights) if method.warm_steps(how) else None
        return _fit_plane(method, function, plane, how, plan, carried, factor)

    planned = _planned_steps(source, how, method, begun=chunk is not None and not chunk.is_first)
    if method.needs_noise:
        parts = (stats.noise_note(method.knows_correlation), task.get("note", ""))
        task["note"] = " ".join(part for part in parts if part)
    if how.method in RESTORATIONS:
        task["provenance"] = {"task": how.method, **task.get("provenance", {})}
    if neighbours.axes:
        task |= {"late_provenance": neighbours.to_json, "late_note": neighbours.note}
    plane_task = PlaneTask(steps, steps=planned, plan=plan, **task)
    return walk_planes(source, how, plane_task, chosen, stats)


def _copy_weights(weights: Weights) -> Weights:
    """Return the same weights in dictionaries of their own."""
    return {key: {seen: dict(of) for seen, of in fits.items()} for key, fits in weights.items()}


def _plane(y: Tensor, unit: UnitRange | ColourRanges, given: Inputs) -> Plane:
    """Return a plane with what is known of its noise, and what it is given beside."""
    import numpy as np
    import torch

    from napari_dip.engine.plane import Plane

    told: dict[str, Any] = {
        name: torch.as_tensor(
            np.ascontiguousarray(pixels), dtype=None if pixels.dtype == bool else torch.float32
        ).to(y.device)
        for name, pixels in given.items()
    }
    relative = unit.relative_variance(y.cpu().numpy())
    if relative is not None:
        told["variance"] = torch.as_tensor(relative, dtype=torch.float32).to(y.device)
    if unit.measured is not None and unit.measured.is_correlated:
        correlation = torch.tensor(unit.measured.correlation).to(y.device)
        told.update(hole=unit.measured.hole, correlation=correlation)
    return Plane(y, unit.noise, **told)


def _fit_plane(
    method: Method,
    function: Callable[..., Iterator[Step]],
    plane: Plane,
    how: Settings,
    plan: MemoryPlan,
    carried: tuple[int, Weights] | None,
    factor: int,
) -> Iterator[Step]:
    """Fit one plane, in tiles that memory allows, once or with restarts."""
    from napari_dip.engine.joint_fit import jointly
    from napari_dip.engine.restarts import run_restarts
    from napari_dip.engine.tiled_fit import fit_in_tiles

    if method.fits_jointly:
        function = jointly(function)

    def fit(one: Settings) -> Iterator[Step]:
        start = replace(plane, plan=plan)
        if carried is not None:
            channel, weights = carried
            before = weights[channel, one.seed]
            start = replace(start, previous=before, warm_steps=method.warm_steps(how))
        if method.bytes_per_pixel is None:
            return function(start, one)
        memory = method.bytes_per_pixel(how, len(plane.y)) * factor**2
        return fit_in_tiles(
            lambda tile: function(tile, one), start, one.steps, memory, plan, factor
        )

    return run_restarts(how, getattr(how, "restarts", 1), fit)


def _planned_steps(source: Image, how: Settings, method: Method, *, begun: bool) -> int | list[int]:
    """Return the steps of each plane at most; all but the first of a channel may start warm.

    `begun` says that the source goes on with a stack, whose first planes are none of it.
    """
    warm = method.warm_steps(how)
    if not warm:
        return how.steps
    if begun:
        return [warm] * len(source.plane_indices())
    channels = [channel_of(source, index) for index in source.plane_indices()]
    first = {channel: channels.index(channel) for channel in set(channels)}
    return [how.steps if first[c] == number else warm for number, c in enumerate(channels)]
