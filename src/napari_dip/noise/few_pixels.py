"""The noise of planes too small to tell structure from noise: a line through second differences.

Plain functions of tensors that TorchScript compiles as well, which reads no constants of a file: an
exported model measures the noise of what it is given by these (`napari_dip.models.torchscript`).

References
----------
Foi, Trimeche, Katkovnik and Egiazarian, Practical Poissonian-Gaussian noise modeling and fitting
for single-image raw-data, IEEE TIP 2008, doi:10.1109/TIP.2008.2001399.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LEVEL_SIGMA = 1.5  # pixels; of the blur that gives the levels


def fit_few_pixels(
    planes: list[Tensor], levels: list[Tensor], flat: list[Tensor]
) -> tuple[float, float]:
    """Fit variance = gain * mean + constant to small planes (Y, X) of one detector.

    The largest tenth of the squares is left out, as edges: robust, but not for few photons, which
    are left out too.

    Parameters
    ----------
    planes, levels, flat : list of (Y, X) tensors
        Intensities in double precision, their blur by a Gaussian of `LEVEL_SIGMA`, and where the
        square around a pixel has one single value.

    Returns
    -------
    gain, constant : float
        A gain of 0 where variance does not grow with intensity.
    """
    means: list[Tensor] = []
    variances: list[Tensor] = []
    for n in range(len(planes)):
        if min(planes[n].shape[0], planes[n].shape[1]) >= 5:
            points = _variance_against_mean(planes[n], levels[n], flat[n])
            means.append(points[0])
            variances.append(points[1])
    if len(means) == 0 or len(torch.cat(means)) == 0:
        return 0.0, 0.0
    mean, variance = torch.cat(means), torch.cat(variances)
    if float(variance.mean()) <= 0:
        return 0.0, 0.0
    # In units of the noise and from the middle: intensities of 1e-9 or 1e30 give the same line.
    middle, unit = float(mean.mean()), math.sqrt(float(variance.mean()))
    gain, constant = _fit_line((mean - middle) / unit, variance / unit**2)
    if gain * float(mean.max() - mean.min()) < 0.05 * unit:
        # no growth worth a transform, or a falling line
        return 0.0, float(variance.quantile(0.5))
    return gain * unit, constant * unit**2 - gain * unit * middle


def _fit_line(mean: Tensor, variance: Tensor) -> tuple[float, float]:
    """Fit variance = gain * mean + constant, for a mean variance of 1."""
    floor = 0.02
    weight = 1 / variance.clamp_min(floor)
    gain, constant = 0.0, 1.0
    # Reweighted: a variance is known to a share of itself, and textured bins are outliers.
    for _ in range(20):
        w = weight.square()
        middle = float((w * mean).sum() / w.sum())
        level = float((w * variance).sum() / w.sum())
        spread = float((w * (mean - middle).square()).sum())
        slope = float((w * (mean - middle) * (variance - level)).sum())
        gain = slope / spread if spread > 0 else 0.0
        constant = level - gain * middle
        fitted = (gain * mean + constant).clamp_min(floor)
        weight = 1 / fitted / (1 + ((variance - fitted) / fitted / 0.1).square()).sqrt()
    return gain, constant


def _variance_against_mean(plane: Tensor, level: Tensor, flat: Tensor) -> Tensor:
    """Return (2, bins): local mean and noise variance of (Y, X), in bins of equal count."""
    # Second differences in y and x are zero on planes, and of unit gain on white noise.
    residual = plane
    for axis in range(2):
        residual = 2 * residual - residual.roll(1, axis) - residual.roll(-1, axis)
        residual = residual / math.sqrt(6.0)
    residual = residual[1:-1, 1:-1].flatten()
    level = level[1:-1, 1:-1].flatten()
    away = functional.max_pool2d(flat[None, None].double(), 31, 1, 15)[0, 0]  # from their edges
    noisy = (away == 0)[1:-1, 1:-1].flatten()
    if float(noisy.double().mean()) < 0.1:
        noisy = ~flat[1:-1, 1:-1].flatten()
    if not bool(noisy.any()):
        return torch.zeros(2, 0, dtype=plane.dtype, device=plane.device)
    # Else drawn, not measured (labels), or nearly no photons: take all.
    if float(residual[noisy].square().median()) > 0:
        residual, level = residual[noisy], level[noisy]
    order = torch.sort(level, stable=True)[1]
    squares, level = residual.square()[order], level[order]
    count = min(max(len(level) // 100, 1), 64)
    points: list[Tensor] = []
    for members in torch.arange(len(level), device=plane.device).tensor_split(count):
        # The largest tenth are edges; nine tenths keep so much of a Gaussian's variance.
        kept = squares[members].sort()[0][: max(1, int(0.9 * len(members)))]
        points.append(torch.stack([level[members].mean(), kept.mean() / 0.6230]))
    return torch.stack(points, 1)
