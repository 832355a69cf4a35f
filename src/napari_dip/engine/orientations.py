"""Random crops of one image, in the eight orientations of a square."""

from __future__ import annotations

import torch
from torch import Tensor

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


def turn(image: Tensor, orientation: int) -> Tensor:
    """Bring (..., Y, X) into one of its eight orientations."""
    image = torch.rot90(image, orientation % 4, (-2, -1))
    return image.flip(-1) if orientation % 8 >= 4 else image


def turn_back(image: Tensor, orientation: int) -> Tensor:
    """Undo `turn`."""
    image = image.flip(-1) if orientation % 8 >= 4 else image
    return torch.rot90(image, -(orientation % 4), (-2, -1))
