"""An image too large for one fit: overlapping pieces, each a fit of its own, blended so that no seam shows.

All pieces lie in the one unit range of the stack, so they agree in brightness; where two of them overlap, their weights
cross over linearly (`napari_dip.engine.tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isqrt

import torch
from torch import Tensor

from napari_dip.engine.free_memory import side_that_fits
from napari_dip.engine.loop import Step
from napari_dip.engine.out_of_memory import LEAST, Plan
from napari_dip.engine.tiles import Tiles

OVERLAP = 64  # pixels, at most a quarter of a piece
IN_PIECES = "The plane is fitted in {} overlapping pieces of {} x {} pixels: all at once it takes more memory than is free."


def in_pieces(
    fit: Callable[[Tensor], Iterator[Step]], y: Tensor, steps: int, bytes_a_pixel: float, plan: Plan
) -> Iterator[Step]:
    """Fit a plane at once where memory allows, else piece by piece.

    Parameters
    ----------
    fit : callable
        Fits a piece (C, Y', X').
    y : Tensor
        The plane, (C, Y, X).
    steps : int
        Of one fit at most.
    bytes_a_pixel : float
        Of memory that a fit takes.
    plan : Plan
        Of the run: it may know that less fits than seems free.

    Yields
    ------
    Step
        Counted as those of one fit: with n pieces one in n comes. The answer of a place not reached yet is `y`.
    """
    height, width = y.shape[-2:]
    fits = side_that_fits(y.device, bytes_a_pixel) ** 2
    pixels = plan.pixels(min(height * width, max(LEAST, fits)))
    side = isqrt(pixels)
    if pixels >= height * width or side >= max(
        height, width
    ):  # of few images the number of pixels is a square
        yield from fit(y)
        return
    tiles = Tiles(height, width, side, side - min(OVERLAP, side // 4))
    note = plan.remark(IN_PIECES.format(len(tiles.places), *tiles.shape))
    for step in _blended(fit, y, steps, tiles):
        yield (
            replace(step, note=" ".join(text for text in (note, step.note) if text))
            if note
            else step
        )
        note = ""


def _blended(
    fit: Callable[[Tensor], Iterator[Step]], y: Tensor, steps: int, tiles: Tiles
) -> Iterator[Step]:
    count, chosen, index = len(tiles.places), 0, 0
    answer, std = y, None
    for number, place in enumerate(tiles.places):
        where = (slice(None), *place)
        weight = torch.as_tensor(tiles.weight(number)).to(y)
        step: Step | None = None
        for step in fit(y[where]):
            planned = step.planned or steps  # a piece that starts from the one before takes fewer
            now = (number * planned + step.index) * steps // (planned * count)
            step = replace(step, planned=steps)
            if now > index or step.note:
                index = max(index, now, 1)
                yield _joined(
                    step, answer, std, y, where, weight, index, (chosen + step.chosen) // count
                )
        if step is None:
            continue
        chosen += step.chosen
        end = _joined(step, answer, std, y, where, weight, max(index, 1), chosen // count)
        answer, std = end.answer, end.std
    if index:
        yield replace(
            end, index=max(index, 1), chosen=max(1, chosen // count) if chosen else 0, note=""
        )


def _joined(
    step: Step,
    answer: Tensor,
    std: Tensor | None,
    y: Tensor,
    where: tuple[slice, ...],
    weight: Tensor,
    index: int,
    chosen: int,
) -> Step:
    """Put the answer of a piece into the plane's: the weights of all pieces at a pixel sum up to 1."""
    answer = answer.clone()
    answer[where] += weight * (step.answer - y[where])
    if step.std is not None:
        std = torch.zeros_like(y) if std is None else std.clone()
        std[where] += weight * step.std
    output = None if step.output is None else answer
    return replace(step, index=index, output=output, answer=answer, std=std, chosen=chosen)
