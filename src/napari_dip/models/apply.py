"""Apply a trained model to an image, plane by plane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.images.nearby import neighbour_axis
from napari_dip.models.model import Model
from napari_dip.noise.even_noise import is_shared
from napari_dip.planes.image_statistics import (
    ImageStatistics,
    is_blank,
    measure_image,
)
from napari_dip.planes.neighbours import Neighbours
from napari_dip.planes.walk import NO_NOISE, PlaneTask, skip_plane, walk_planes
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dip.engine.device import Device
    from napari_dip.engine.loop import Step
    from napari_dip.engine.out_of_memory import MemoryPlan
    from napari_dip.models.precision import Bfloat16WherePrecise
    from napari_dip.noise.measured_noise import MeasuredNoise
    from napari_dip.noise.unit_range import ColourRanges, UnitRange
    from napari_dip.planes.chunk import Chunk

FAR = 2.0  # times the contrast, and FAR^2 times the gain of the training data


def iter_apply(
    image: Image, model: Model, device: Device = "auto", chunk: Chunk | None = None
) -> Iterator[Snapshot]:
    """Denoise with a trained model; one Snapshot for each orientation of each plane.

    Parameters
    ----------
    image : Image
        With the model's number of channels as its colours; a model of one channel takes any image.
    chunk : Chunk, optional
        Of `image`, where only that is wanted.

    Raises
    ------
    ValueError
        At the call, for an image that cannot be denoised, has other channels, or fewer planes than
        the model sees.
    """
    from copy import deepcopy

    from napari_dip.engine.device import pick_device
    from napari_dip.engine.out_of_memory import MemoryPlan
    from napari_dip.models.precision import Bfloat16WherePrecise

    colours = image.shape[-1] if image.is_rgb else 1
    if model.channels not in (1, colours):
        raise ValueError(
            f"The model is for images of {model.channels} colours, axes ending with C; this one "
            f"has {colours} (axes {image.axes}). Take a model trained with colours apart, or "
            "another image."
        )
    count = model.settings.neighbours
    axis = neighbour_axis(image.axes, image.shape, count)
    if count and not axis:
        raise ValueError(
            f"The model sees {count} neighbouring plane{'s' if count > 1 else ''} on each side and "
            f"needs a stack of at least {2 * count + 1} planes along T or Z; this image has the "
            f"shape {image.shape} (axes {image.axes}). Give the whole stack, or take a model "
            "trained with neighbours = 0."
        )
    chosen = pick_device(device)
    stats = (chunk and chunk.stats) or measure_image(
        chunk.view(image) if chunk else image,
        stabilise=model.settings.stabilise,
        straighten=True,
        keep_hot_pixels=model.settings.keeps_hot_pixels,
    )
    plan = MemoryPlan(chosen, may_reduce=True)
    net = Bfloat16WherePrecise(deepcopy(model.net).eval())
    neighbours = Neighbours(image, stats, count, axis, chunk)

    def steps(y: Tensor, unit: UnitRange | ColourRanges, index: PlaneIndex) -> Iterator[Step]:
        shared = _shared_noise(image, stats, index)
        return _steps(net, model, plan, shared, neighbours, y, unit, index)

    task = PlaneTask(
        steps,
        plan=plan,
        steps=model.settings.orientations,
        note=far_from_training(image, model, stats),
        provenance={"model": model.to_provenance()},
        late_provenance=lambda indices: net.to_json() | neighbours.to_json(indices),
        late_note=neighbours.note,
    )
    return walk_planes(chunk.view(image) if chunk else image, model.settings, task, chosen, stats)


def _steps(
    net: Bfloat16WherePrecise,
    model: Model,
    plan: MemoryPlan,
    shared: MeasuredNoise | None,
    neighbours: Neighbours,
    y: Tensor,
    unit: UnitRange | ColourRanges,
    index: PlaneIndex,
) -> Iterator[Step]:
    import torch

    from napari_dip.models.tiled_apply import apply
    from napari_dip.nets.filter_unet import BlurredUNet

    if unit.noise == 0 or float(y.max() - y.min()) == 0:
        return skip_plane(y, NO_NOISE)
    net.to(y.device)
    # Short of memory it computes in half precision anyway.
    denoiser = net.net if plan.reduced else net
    assert isinstance(net.net, BlurredUNet)
    others = None
    if neighbours.axes:
        others = neighbours.as_many(index, y, unit.noise, shared.hole if shared else (0, 0))
    own = net.net.for_noise(max(shared.hole) if shared else 0)
    return apply(
        own or denoiser,
        y,
        unit.noise,
        model.settings.orientations,
        apart=model.channels == 1,
        plan=plan,
        correlation=torch.tensor(shared.correlation if shared else [[1.0]]).to(y) if own else None,
        others=others,
    )


def _shared_noise(image: Image, stats: ImageStatistics, index: PlaneIndex) -> MeasuredNoise | None:
    """Return the noise of a plane whose pixels share it, of the colour where they do furthest."""
    sides = tuple(image.shape[image.axes.index(axis)] for axis in "YX")
    shared = [noise for noise in stats.noise(image, index) if is_shared(noise, sides)]
    return max(shared, key=lambda noise: max(noise.hole), default=None)


def far_from_training(image: Image, model: Model, stats: ImageStatistics) -> str:
    """Say where an image's range or noise is far from what the model has seen; mostly nothing."""
    remarks, known = [], model.statistics
    unit = stats.unit_ranges[0]
    try:
        (least, most), (low, high) = (map(float, known[name]) for name in ("contrast", "gain"))
        correlated = bool(known["noise_is_correlated"])
    except (KeyError, TypeError, ValueError):
        return ""
    planes = (plane for plane in image.planes() if not is_blank(plane))
    plane = unit.to_unit(next(planes))
    contrast = float(np.ptp(np.quantile(plane, (0.001, 0.999)))) / unit.noise if unit.noise else 0.0
    if contrast and not least / FAR <= contrast <= most * FAR:
        remarks.append(
            f"its contrast is {contrast:.0f} times its noise, that of the training images "
            f"{least:.0f} to {most:.0f}"
        )
    gain = unit.models[0].gain if unit.models[0] else 0.0
    if gain > 0 < low and not low / FAR**2 <= gain <= high * FAR**2:
        remarks.append(
            f"its noise has a gain of {gain:.3g}, that of the training images {low:.3g} to "
            f"{high:.3g}"
        )
    shared = (_shared_noise(image, stats, index) for index in image.plane_indices())
    hole = max(max(noise.hole) if noise else 0 for noise in shared)
    largest = model.net.holes[-1]
    if hole and not largest and not correlated:
        remarks.append(
            "the noise of its neighbouring pixels is correlated, that of the training images was "
            "not"
        )
    elif hole > largest > 0:
        remarks.append(
            f"its noise is correlated up to {hole} pixels far, that of the training images "
            f"{largest}"
        )
    if not remarks:
        return ""
    return f"The image differs from what the model was trained on: {'; '.join(remarks)}."
