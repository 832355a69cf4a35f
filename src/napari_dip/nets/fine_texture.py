"""The best linear prediction of a pixel from those around it: more than a blur for fine texture.

    argmin_k  sum_p [ y(p) - sum_d k(d) (y(p + d) + y(p - d)) / 2 ]^2,    d within RADIUS, d not 0

Means over rings are the same in all directions, and smooth. A grating, the weave of a cloth or
lines that lie one way are predicted from the pixels a period away, a calibrated blur of them has
next to nothing left. As the pixel itself is not among those that predict it, its noise cannot be
copied, and the noisy image is the target.

Neighbours may share a little of their noise, too little to be noticed. A correlation of 0.1 along
a scan line wins 2 x 0.1^2 of the noise's variance, and puts that noise into the prediction. So the
filter is taken only where it wins more than that on top of what as many weights win by chance.

References
----------
Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, MIT Press 1949.
Batson and Royer, Noise2Self, ICML 2019, arXiv:1901.11365: the noisy image as the target.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from napari_dip.nets.gaussian import mirror

RADIUS = 5  # pixels
PIXELS = 1 << 17  # that the weights are fitted to, in lines evenly spread
WON = 0.02  # of the squared blind residual: the least
BY_CHANCE = 2.0  # times what as many weights win on noise, on top
HALF = [
    (y, x)
    for y in range(RADIUS + 1)
    for x in range(-RADIUS, RADIUS + 1)
    if (y, x) > (0, 0) and y * y + x * x <= RADIUS * RADIUS
]


def fine_texture_filter(image: Tensor, mixture: Tensor) -> Tensor | None:
    """Return the weights that predict (1, C, Y, X) best, (C, 1, side, side), or None.

    None where they win too little over `mixture`, the best mixture of rings, (1, C, Y, X).
    """
    rows = torch.arange(0, image.shape[-2], -(-image[0, 0].numel() // PIXELS)).to(image.device)
    target = image[0].index_select(1, rows).flatten(1)
    before = (target - mixture[0].index_select(1, rows).flatten(1)).square().mean()
    kernels, after = [], []
    for padded, wanted in zip(mirror(image, RADIUS)[0], target, strict=True):
        pairs = torch.stack([_pair(padded, rows, *place) for place in HALF]).cpu().double()
        pairs, known = torch.cat([pairs, torch.ones_like(pairs[:1])]), wanted.cpu().double()
        gram = pairs @ pairs.T + 1e-6 * len(known) * torch.eye(len(pairs), dtype=torch.float64)
        weights = torch.linalg.solve(gram, pairs @ known)
        after.append((known - weights @ pairs).square().mean())
        kernels.append(_kernel(weights[:-1]).to(image))
    won = 1 - float(torch.stack(after).mean()) / max(float(before), 1e-30)
    least = WON + BY_CHANCE * len(HALF) / target.shape[1]
    return torch.stack(kernels)[:, None] if won > least else None


def predict_texture(image: Tensor, weights: Tensor) -> Tensor:
    """Filter (1, C, Y, X); the mean of each colour may differ, as mixtures have an offset."""
    return conv2d(mirror(image, RADIUS), weights, groups=len(weights))


def _pair(padded: Tensor, rows: Tensor, y: int, x: int) -> Tensor:
    """Return the mean of the two pixels at (y, x) and (-y, -x) of each, flat."""
    width = padded.shape[-1] - 2 * RADIUS
    there, back = (
        padded.index_select(0, rows + RADIUS + sign * y)[:, RADIUS + sign * x :][:, :width]
        for sign in (1, -1)
    )
    return (there + back).flatten() / 2


def _kernel(weights: Tensor) -> Tensor:
    kernel = weights.new_zeros(2 * RADIUS + 1, 2 * RADIUS + 1)
    for weight, (y, x) in zip(weights, HALF, strict=True):
        kernel[RADIUS + y, RADIUS + x] = kernel[RADIUS - y, RADIUS - x] = weight / 2
    return kernel
