"""Fit an image too large for one fit in overlapping tiles, blended so that no seam shows.

All tiles lie in the one unit range of the stack, so they agree in brightness; where two of them
overlap, their weights cross over linearly (`napari_dip.engine.tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional

from napari_dip.engine.filters import noted
from napari_dip.engine.free_memory import side_that_fits
from napari_dip.engine.loop import Step
from napari_dip.engine.out_of_memory import LEAST, MemoryPlan
from napari_dip.engine.plane import Plane
from napari_dip.engine.tiles import Tiles

OVERLAP = 64  # pixels, at most a quarter of a tile
IN_TILES = (
    "The plane is fitted in {} overlapping tiles of {} x {} pixels: all at once it takes more "
    "memory than is free."
)
Fit = Callable[[Plane], Iterator[Step]]


def fit_in_tiles(
    fit: Fit, plane: Plane, steps: int, bytes_per_pixel: float, plan: MemoryPlan, factor: int = 1
) -> Iterator[Step]:
    """Fit a plane at once where memory allows, else tile by tile.

    Steps are counted as those of one fit of at most `steps`: with n tiles one in n comes. Until a
    place is reached, its answer is `plane.y`. The answer is `factor` times as high and wide as the
    plane.
    """
    height, width = plane.y.shape[-2:]
    fits = side_that_fits(plane.y.device, bytes_per_pixel) ** 2
    pixels = plan.pixels(min(height * width, max(LEAST, fits)))
    side = isqrt(pixels)  # of a few tiles the number of pixels is a square
    if pixels >= height * width or side >= max(height, width):
        yield from fit(plane)
        return
    side = even_side(height, width, side)
    stride = side - min(OVERLAP, side // 4)
    tiles = Tiles(height, width, side, stride)
    large = Tiles(factor * height, factor * width, factor * side, factor * stride)
    note = plan.remark(IN_TILES.format(len(tiles.places), *tiles.shape))
    yield from noted(_fit_tiles(fit, plane, steps, tiles, large, factor), note)


def even_side(height: int, width: int, most: int) -> int:
    """Return the side of as few and as small square tiles as cover an image with their overlap.

    Tiles of the largest side that memory allows may be one pixel more than half of the image: with
    four of these the work would be four times that of the image.
    """
    overlap = min(OVERLAP, most // 4)
    counts = (max(1, -(-(length - overlap) // (most - overlap))) for length in (height, width))
    sides = [
        -(-(length + (count - 1) * overlap) // count)
        for length, count in zip((height, width), counts, strict=True)
    ]
    return min(most, max(sides))


def _fit_tiles(
    fit: Fit, plane: Plane, steps: int, tiles: Tiles, large: Tiles, factor: int
) -> Iterator[Step]:
    """Fit tile after tile; `large` are the tiles of the answer."""
    count, chosen, index = len(tiles.places), 0, 0
    first = functional.interpolate(plane.y[None], scale_factor=factor)[0] if factor > 1 else plane.y
    answer, std = first, None
    for number, (place, target) in enumerate(zip(tiles.places, large.places, strict=True)):
        where = (slice(None), *target)
        weight = torch.as_tensor(large.weight(number)).to(first)
        step: Step | None = None
        for step in fit(plane.cut(*place)):
            planned = step.planned or steps  # a tile that starts from the one before takes fewer
            now = (number * planned + step.index) * steps // (planned * count)
            step = replace(step, planned=steps)
            if now > index or step.note:
                index = max(index, now, 1)
                done = (chosen + step.chosen) // count
                yield _add_tile(step, answer, std, first, where, weight, index, done)
        if step is None:
            continue
        chosen += step.chosen
        end = _add_tile(step, answer, std, first, where, weight, max(index, 1), chosen // count)
        answer, std = end.answer, end.std
    if index:
        yield replace(
            end, index=max(index, 1), chosen=max(1, chosen // count) if chosen else 0, note=""
        )


def _add_tile(
    step: Step,
    answer: Tensor,
    std: Tensor | None,
    first: Tensor,
    where: tuple[slice, ...],
    weight: Tensor,
    index: int,
    chosen: int,
) -> Step:
    """Add a tile's answer to the plane's: at a pixel the weights of all tiles sum up to 1."""
    answer = answer.clone()
    answer[where] += weight * (step.answer - first[where])
    if step.std is not None:
        std = torch.zeros_like(first) if std is None else std.clone()
        std[where] += weight * step.std
    output = None if step.output is None else answer
    return replace(step, index=index, output=output, answer=answer, std=std, chosen=chosen)
