"""The verdict on a denoised image: planes of each channel, judged with the noise of its record."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.noise.measured_noise import MeasuredNoise
from napari_dip.noise.verdict import Verdict, join_verdicts, judge
from napari_dip.planes.image_statistics import channel_of
from napari_dip.planes.repair import repair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_dip.images.image import Image

PLANES = 8  # of each channel, evenly spread, that are judged
SHARE = 0.25  # of them that a flag must be raised on: one odd plane is no fault of the fit
SIDE = 1024  # pixels; of larger planes the middle is judged


def judge_image(noisy: Image, answer: Image) -> Verdict | None:
    """Judge a denoised image by what was taken away, see `napari_dip.noise.verdict.judge`.

    Parameters
    ----------
    noisy : Image
        As it was before; hot pixels and offsets of lines are put right as the fit did.
    answer : Image
        Of its shape, with the provenance of the fit, which holds the noise.

    Returns
    -------
    Verdict or None
        Of the worst channel; None where there is too little to judge: planes that were left as they
        are, without noise, small, or not finite.
    """
    made = answer.provenance
    record: Any = made.get("measured_noise")
    if not record or noisy.shape != answer.shape:
        return None
    records = record if isinstance(record, list) else [record]
    noises = [MeasuredNoise.from_json(one) for one in records]
    indices = defaultdict(list)
    for index in noisy.plane_indices():
        indices[channel_of(noisy, index)].append(index)
    colours = len(noises) // len(indices)
    verdicts = []
    for channel, own in sorted(indices.items()):
        of_channel = noises[channel * colours : (channel + 1) * colours]
        pairs = ((noisy.plane(i), answer.plane(i)) for i in own[:: -(-len(own) // PLANES)])
        verdicts += _judge_channel(pairs, of_channel, made)
    return join_verdicts(verdicts) if verdicts else None


def _judge_channel(
    pairs: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]],
    noises: Sequence[MeasuredNoise],
    made: Mapping[str, object],
) -> list[Verdict]:
    """Return the verdict on each colour of a channel whose planes (noisy, answer) are given."""
    judged: list[list[Verdict]] = [[] for _ in noises]
    for y, a in pairs:
        if not np.isfinite(y).all() or np.array_equal(y, a):  # left as it was
            continue
        rows, columns = (slice(max(0, (n - SIDE) // 2), (n + SIDE) // 2) for n in y.shape[1:])
        mended = repair(
            y[:, rows, columns],
            straighten=bool(made.get("planes_with_line_offsets")),
            keep_hot_pixels=not made.get("hot_pixels"),
        ).pixels
        for colour, noise in enumerate(noises):
            grid = _cells(noise.local, (rows, columns), y.shape[1:])
            verdict = judge(mended[colour], a[colour, rows, columns], replace(noise, local=grid))
            judged[colour] += [verdict] if verdict else []
    return [join_verdicts(verdicts, SHARE) for verdicts in judged if verdicts]


def _cells(
    grid: tuple[tuple[float, ...], ...] | None, window: Sequence[slice], shape: Sequence[int]
) -> tuple[tuple[float, ...], ...] | None:
    """Return the cells of a coarse grid over a plane that a window lies in."""
    if grid is None:
        return None
    rows, columns = (
        slice(part.start * len(grid) // n, -(-min(part.stop, n) * len(grid) // n))
        for part, n in zip(window, shape, strict=True)
    )
    return tuple(row[columns] for row in grid[rows])
