"""Random crops of one image, in the eight orientations of a square."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from napari_dip.engine.device import put

AHEAD = 64  # steps whose crops are drawn at once
ALL = tuple(range(8))
FLIPS = (0, 2, 4, 6)  # without quarter turns, for what differs between y and x


def random_crops(
    padded: Tensor,
    size: int,
    count: int,
    generator: torch.Generator,
    orientations: tuple[int, ...] = ALL,
) -> Tensor:
    """Cut `count` random squares out of (1, C, Y, X), each in one of the orientations.

    Where the image is smaller than the square, the crop is as large as the image (and square, so
    that it can turn).
    """
    height, width = padded.shape[-2:]
    size = min(size, height, width)
    crops = []
    for _ in range(count):
        draw = torch.rand(3, generator=generator).tolist()
        top, left = int(draw[0] * (height - size + 1)), int(draw[1] * (width - size + 1))
        square = padded[..., top : top + size, left : left + size]
        crops.append(turn(square, orientations[int(draw[2] * len(orientations))]))
    return torch.cat(crops)


def crops_or_all(image: Tensor, size: int, count: int, generator: torch.Generator) -> Tensor:
    """Cut `count` random squares out of (1, C, Y, X); the whole image, as it is, for size 0."""
    return random_crops(image, size, count, generator) if size else image


def iter_crops(
    padded: Tensor,
    size: int,
    count: int,
    generator: torch.Generator,
    orientations: tuple[int, ...] = ALL,
) -> Iterator[Tensor]:
    """Cut crops as `random_crops` does, the same ones, without end.

    They are gathered on the device, from places that were drawn many steps ahead.
    """
    height, width = padded.shape[-2:]
    size = min(size, height, width)
    one = torch.arange(size)[:, None] * width + torch.arange(size)
    turned = put(
        torch.stack([turn(one, orientation) for orientation in orientations]), padded.device
    )
    pixels = padded[0].flatten(1)  # (C, Y * X)
    most = torch.tensor([height - size + 1, width - size + 1, len(orientations)])
    while True:
        draws = torch.rand((AHEAD, count, 3), generator=generator).double() * most
        tops, lefts, chosen = draws.long().unbind(-1)
        drawn = put(torch.stack([tops * width + lefts, chosen]), padded.device)
        for first, orientation in drawn.unbind(1):
            yield pixels[:, turned[orientation] + first[:, None, None]].transpose(0, 1)


def turn(image: Tensor, orientation: int) -> Tensor:
    """Bring (..., Y, X) into one of its eight orientations."""
    image = torch.rot90(image, orientation % 4, (-2, -1))
    return image.flip(-1) if orientation % 8 >= 4 else image


def turn_back(image: Tensor, orientation: int) -> Tensor:
    """Undo `turn`."""
    image = image.flip(-1) if orientation % 8 >= 4 else image
    return torch.rot90(image, -(orientation % 4), (-2, -1))
