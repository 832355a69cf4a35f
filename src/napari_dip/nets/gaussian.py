"""Gaussian blurs and mirrored borders, in plain functions that TorchScript compiles as well."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

is_tracing: Callable[[], bool] = torch.jit.is_tracing  # type: ignore[attr-defined]


def radius_of(sigma: float) -> int:
    """Return how many pixels far a Gaussian is computed."""
    return int(4 * sigma) + 1


def gaussian_line(sigma: float, radius: int, like: Tensor) -> Tensor:
    """Return the weights of a Gaussian along a line, on the device and of the type of `like`."""
    if is_tracing():  # the device of a trace's constants can't be changed later
        t = torch.arange(-radius, radius + 1).to(like)
    else:
        t = torch.arange(-radius, radius + 1, device=like.device).to(like.dtype)
    line = torch.exp(-(t**2) / (2 * sigma**2))
    return line / line.sum()


def mirror(image: Tensor, margin: int, edge: int = 0) -> Tensor:
    """Pad (..., Y, X) by reflection, also where the margin is longer than the image.

    With an `edge` of 1 the outermost pixels are repeated, with 0 they are not.
    """
    # A trace is for other devices and sizes, see `napari_dip.models.torchscript`.
    if is_tracing() or (edge == 0 and image.ndim == 4 and margin < min(image.shape[-2:])):
        return functional.pad(image, [margin] * 4, mode="reflect")
    for dim in (-2, -1):
        size = image.shape[dim]
        period = max(2 * size - 2 + 2 * edge, 1)
        index = torch.arange(-margin, size + margin, device=image.device).remainder(period)
        mirrored = torch.where(index < size, index, period - edge - index)
        image = image.index_select(dim, mirrored)
    return image


def blur(image: Tensor, sigma: float, radius: int = 0, edge: int = 0) -> Tensor:
    """Blur (B, C, Y, X) by a Gaussian of `sigma` pixels; borders as `mirror` has them."""
    if radius == 0:  # `or` is a truth value in TorchScript
        radius = radius_of(sigma)
    line = gaussian_line(sigma, radius, image)
    return filter_lines(image, line, line, edge)


def filter_lines(image: Tensor, along_y: Tensor, along_x: Tensor, edge: int = 0) -> Tensor:
    """Filter (B, C, Y, X) by weights along y and along x; borders as `mirror` has them."""
    colours = image.shape[1]
    margin_y, margin_x = len(along_y) // 2, len(along_x) // 2
    margin = max(margin_y, margin_x)
    wide = mirror(image, margin, edge)
    spare_y, spare_x = margin - margin_y, margin - margin_x
    wide = wide[..., spare_y : wide.shape[-2] - spare_y, spare_x : wide.shape[-1] - spare_x]
    rows = along_x.expand(colours, 1, 1, -1)
    columns = along_y.expand(colours, 1, 1, -1).transpose(2, 3)
    return functional.conv2d(functional.conv2d(wide, rows, groups=colours), columns, groups=colours)
