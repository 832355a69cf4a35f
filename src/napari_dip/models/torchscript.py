"""A trained network with all that `napari_dip.denoise` does around it, in TorchScript.

Intensities in, intensities out: the noise of each image is measured and made even, the network
answers in several orientations, and the answers' mean is brought back. It is
`napari_dip.noise.anscombe` written once more in torch, since a model file for other programs can
run no numpy, and its noise is measured in a simpler way than by `napari_dip.noise.measure`: a line
through trimmed squares of second differences. Hot pixels are not repaired, offsets of lines are not
taken off, and padding is denoised too.

References: see `napari_dip.noise.anscombe`.
"""

from __future__ import annotations

import math
import warnings
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.models.offset import NOISE_REACHES, is_flat, is_noisy, remove_offset
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.nets.gaussian import blur, radius_of


class Standalone(nn.Module):
    """Denoise (B, C, Y, X) intensities.

    `net` maps (1, C, Y, X) with noise of standard deviation ``1 / unit`` to its denoised self; its
    answers in the first `orientations` of eight are averaged; `stabilise` makes Poisson-Gaussian
    noise even.
    """

    def __init__(self, net: nn.Module, unit: float, orientations: int, stabilise: bool) -> None:
        super().__init__()
        self.net, self.unit, self.orientations, self.stabilise = net, unit, orientations, stabilise
        self.limit = NOISE_REACHES / unit

    def forward(self, image: Tensor) -> Tensor:
        """Denoise each image of a batch for itself."""
        answers = []
        for one in image:
            answers.append(self.denoise(one.double()).to(image.dtype))
        return torch.stack(answers)

    def denoise(self, y: Tensor) -> Tensor:
        """Denoise (C, Y, X), in double precision but for the network."""
        gain, variance = fit_noise_line(y)
        even = self.stabilise and gain > 0
        z = y
        sigma = math.sqrt(max(gain * float(y.mean()) + variance, 0.0))
        if even:
            z = 2 * (y / gain + 0.375 + variance / gain**2).clamp_min(0).sqrt()
            sigma = 1.0
        if sigma == 0 or float(z.max() - z.min()) == 0:
            return y
        centre = z.mean()
        x = ((z - centre) / (self.unit * sigma)).float()[None]
        mean = torch.zeros_like(x)
        for number in range(self.orientations):
            turned = torch.rot90(x, number % 4, [-2, -1])
            answer = self.net(turned.flip([-1])).flip([-1]) if number >= 4 else self.net(turned)
            mean = mean + (torch.rot90(answer, -(number % 4), [-2, -1]) - mean) / (number + 1)
        mean = remove_offset(mean, x, is_noisy(x), self.limit)
        z = mean[0].double() * (self.unit * sigma) + centre
        if even:
            z = z.clamp_min(0.8380823155304359)  # LEAST_Z of napari_dip.noise.anscombe
            root = math.sqrt(1.5)
            photons = z**2 / 4 + root / (4 * z) - 11 / (8 * z**2) + 5 * root / (8 * z**3) - 0.125
            return gain * photons - variance / gain
        return z


def fit_noise_line(y: Tensor) -> tuple[float, float]:
    """Fit variance = gain * mean + constant to (C, Y, X) intensities, as other programs need it."""
    means: list[Tensor] = []
    variances: list[Tensor] = []
    for channel in y:
        found = mean_variance_points(channel)
        if found.shape[1] > 0:
            means.append(found[0])
            variances.append(found[1])
    if len(means) == 0:
        return 0.0, 0.0
    mean, variance = torch.cat(means), torch.cat(variances)
    if float(variance.mean()) <= 0:
        return 0.0, 0.0
    middle, unit = float(mean.mean()), math.sqrt(float(variance.mean()))
    gain, constant = fit_line((mean - middle) / unit, variance / unit**2)
    if gain * float(mean.max() - mean.min()) < 0.05 * unit:
        ordered = variance.sort()[0]
        count = len(ordered)
        return 0.0, float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return gain * unit, constant * unit**2 - gain * unit * middle


def fit_line(mean: Tensor, variance: Tensor) -> tuple[float, float]:
    """Fit a line robustly, for a mean variance of 1."""
    weight = 1 / variance.clamp_min(0.02)
    gain, constant = 0.0, 1.0
    for _ in range(20):
        w = weight.square()
        middle = float((w * mean).sum() / w.sum())
        level = float((w * variance).sum() / w.sum())
        spread = float((w * (mean - middle).square()).sum())
        gain = (
            float((w * (mean - middle) * (variance - level)).sum()) / spread if spread > 0 else 0.0
        )
        constant = level - gain * middle
        fitted = (gain * mean + constant).clamp_min(0.02)
        weight = 1 / fitted / (1 + ((variance - fitted) / fitted / 0.1).square()).sqrt()
    return gain, constant


def mean_variance_points(channel: Tensor) -> Tensor:
    """Return (2, bins): local mean and noise variance of (Y, X), in bins of equal count."""
    empty = torch.zeros(2, 0, dtype=channel.dtype, device=channel.device)
    if min(channel.shape[0], channel.shape[1]) < 5:
        return empty
    residual = channel
    for axis in range(2):
        residual = 2 * residual - residual.roll(1, axis) - residual.roll(-1, axis)
        residual = residual / math.sqrt(6.0)
    residual = residual[1:-1, 1:-1].flatten()
    level = blur(channel[None, None], 1.5, 6, edge=1)[0, 0, 1:-1, 1:-1].flatten()
    same = is_flat(channel[None, None])
    noisy = ~(functional.max_pool2d(same.double(), 31, 1, 15) > 0)[0, 0, 1:-1, 1:-1].flatten()
    if float(noisy.double().mean()) < 0.1:
        noisy = ~same[0, 0, 1:-1, 1:-1].flatten()
    if not bool(noisy.any()):
        return empty
    if float(residual[noisy].square().median()) > 0:
        residual, level = residual[noisy], level[noisy]
    order = torch.sort(level, stable=True)[1]
    squares = residual.square()[order]
    level = level[order]
    count = min(max(len(level) // 100, 1), 64)
    out = torch.zeros(2, count, dtype=channel.dtype, device=channel.device)
    start = 0
    for number in range(count):
        size = len(level) // count + (1 if number < len(level) % count else 0)
        kept = squares[start : start + size].sort()[0][: max(1, int(0.9 * size))]
        out[0, number] = level[start : start + size].mean()
        out[1, number] = kept.mean() / 0.6230
        start += size
    return out


def to_torchscript(
    net: BlurredUNet, unit: float, orientations: int, stabilise: bool, colours: int
) -> torch.jit.ScriptModule:
    """Compile a network with what stands around it, for images from `smallest_side` on."""
    side = smallest_side(net)
    example = torch.linspace(-1, 1, colours * side * side).reshape(1, colours, side, side)
    frozen = deepcopy(net).cpu().eval().requires_grad_(False)
    with torch.no_grad(), warnings.catch_warnings():
        # The trace warns, but a batch is always one image, and sizes are kept open.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            frozen, example, check_trace=False
        )
        return torch.jit.script(Standalone(traced, unit, orientations, stabilise).eval())


def smallest_side(net: BlurredUNet) -> int:
    """Return the least side of an image: above every mirrored margin, a multiple of 16."""
    of_filter = 17 if net.filter is None else max(18, net.filter.around.reach)
    return (max(radius_of(net.sigma), of_filter) // 16 + 1) * 16
