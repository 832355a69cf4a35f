"""A trained network with all that `napari_dip.denoise` does around it, in TorchScript.

Intensities in, intensities out: the noise of each image is measured and made even, the network
answers in several orientations, and the answers' mean is brought back. It is
`napari_dip.noise.anscombe` written once more in torch, since a model file for other programs can
run no numpy, and noise is measured as that of a small image is here, whatever the size: as a line
by `napari_dip.noise.few_pixels`. Hot pixels are not repaired, offsets of lines are not taken off,
and padding is denoised too.

References: see `napari_dip.noise.anscombe`.
"""

from __future__ import annotations

import math
import warnings
from copy import deepcopy

import torch
from torch import Tensor, nn

from napari_dip.models.offset import NOISE_REACHES, is_flat, is_noisy, remove_offset
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.nets.gaussian import blur, radius_of
from napari_dip.noise.few_pixels import LEVEL_SIGMA, fit_few_pixels


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
        gain, variance = measure_line(y)
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


def measure_line(y: Tensor, sigma: float = LEVEL_SIGMA) -> tuple[float, float]:
    """Return gain and constant of the noise in (C, Y, X) intensities."""
    levels, flat = blur(y[None], sigma, edge=1)[0], is_flat(y[None])[0]
    return fit_few_pixels(list(y.unbind()), list(levels.unbind()), list(flat.unbind()))


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
