"""The terms of a local average: means around each pixel without it, of many widths and directions.

    m(p) = sum_k a_k r_k(p) + a_0 + sum_j w_j(p) b_j(p)

r_k are ring means (`napari_dip.nets.blind_spot`), the same mixture a of them everywhere is a
calibrated blur; b_j are differences of neighbouring rings (how wide to average) and derivatives of
Gaussians (which way to lean, along which direction to average), whose weights w may change from
place to place. No r or b gives the pixel itself any weight: a first or mixed derivative has none at
its centre, nor has the difference of the two second derivatives.

References: Freeman and Adelson, The Design and Use of Steerable Filters, IEEE PAMI 1991,
doi:10.1109/34.93808; Batson and Royer, Noise2Self, ICML 2019, arXiv:1901.11365 (the calibration).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_dip.nets.blind_spot import RING_WIDTHS, ring_means
from napari_dip.nets.gaussian import gaussian_line, radius_of

WIDTHS = (0.8, 1.4, 2.4)  # standard deviations in pixels of the Gaussians that are derived
BANDS = len(RING_WIDTHS) - 1 + 4 * len(WIDTHS)
REACH = radius_of(max(RING_WIDTHS))  # pixels that rings and bands reach


def rings_and_bands(image: Tensor) -> tuple[Tensor, Tensor]:
    """Average around each pixel in the middle of a padded image.

    Parameters
    ----------
    image : Tensor
        Shape (B, C, Y + 2 REACH, X + 2 REACH).

    Returns
    -------
    rings, bands : Tensor
        Shape (B, rings, C, Y, X) and (B, BANDS, C, Y, X).
    """
    count, colours = image.shape[:2]
    rings = ring_means(image).reshape(count, len(RING_WIDTHS), colours, *image.shape[-2:])
    inner = (..., slice(REACH, -REACH), slice(REACH, -REACH))
    parts = [rings[:, :-1] - rings[:, 1:], *(derivatives(image, sigma) for sigma in WIDTHS)]
    return rings[inner], torch.cat([part[inner] for part in parts], dim=1)


def derivatives(image: Tensor, sigma: float) -> Tensor:
    """Derive (B, C, Y, X) at a scale: (B, 4, C, Y, X), X, Y, mixed, and X twice minus Y twice.

    In units of the scale, so that weights of all scales are alike.
    """
    radius = radius_of(sigma)
    t = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    plain = gaussian_line(sigma, radius, image)
    once, twice = t * plain / sigma, (t**2 / sigma**2 - 1) * plain
    lines = torch.stack([plain, once, twice])[:, None, None]  # (3, 1, 1, 2 radius + 1)
    count, colours, height, width = image.shape
    flat = image.reshape(-1, 1, height, width)
    along_x = functional.conv2d(flat, lines, padding=(0, radius))  # (B C, 3, Y, X)
    columns = torch.stack([plain, once, once, plain, twice])[:, None, :, None]
    smooth, first, second = torch.split(along_x, 1, dim=1)  # a list of indices waits for a GPU
    along_x = torch.cat([first, smooth, first, second, smooth], dim=1)
    pairs = functional.conv2d(along_x, columns, padding=(radius, 0), groups=5)
    x, y, mixed, twice_x, twice_y = pairs.unbind(1)
    derived = torch.stack([x, y, mixed, twice_x - twice_y])  # (4, B C, Y, X)
    return derived.reshape(4, count, colours, height, width).transpose(0, 1)
