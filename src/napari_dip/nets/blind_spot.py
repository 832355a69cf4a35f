"""A network that cannot see the pixel it predicts.

The first convolution has no weight at its centre; all later 3x3 convolutions are dilated by 2. A
pixel reaches itself only through offsets that are even, and the first layer moves by an odd one, so
no path leads back: each output is a function of the other pixels alone, and the pixel's own noise
cannot be copied into it. Wider rings around the pixel come in as extra channels (`ring_means`) just
before the 1x1 convolutions, and the fit starts at their best linear mixture (`best_mixture`), which
is a calibrated blur.

Where neighbouring pixels share their noise, the blind spot has to be as large as the correlation
reaches. With all dilations multiplied by h + 1 the network moves in steps of h + 1 pixels and no
path leads into the square of (2 h + 1) x (2 h + 1) pixels around its own, `hole` = (h, h); the two
axes may differ, as in images that are scanned line by line. The ring means leave out the same.

References
----------
Krull, Buchholz and Jug, Noise2Void, CVPR 2019, arXiv:1811.10980. Laine, Karras, Lehtinen and Aila,
High-Quality Self-Supervised Deep Image Denoising, NeurIPS 2019, arXiv:1901.10277. Wu, Liu, Cao, Ren
and Zuo, Unpaired Learning of Deep Image Denoising (dilated blind-spot network), ECCV 2020,
arXiv:2008.13711.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from napari_dip.nets.gaussian import gaussian_line, is_tracing, mirror, radius_of

SUMMED = 1 << 19  # pixels that are summed up at a time
SLOPE = 0.1  # of what is below zero
RING_WIDTHS = (0.6, 1.0, 1.6, 2.5, 4.0)  # standard deviations in pixels


class BlindSpotNet(nn.Module):
    """Predict each pixel, and how far off the prediction may be, from the pixels around it.

    A pixel is blind to all of its own `colours`, and to those of the pixels as near as `hole` in y
    and x. The network sees ``(1 + 2 * layers) * (hole + 1)`` pixels far, and as far, without a
    blind spot, in the `visible` channels of other images of the same place.
    """

    def __init__(
        self,
        colours: int = 1,
        channels: int = 48,
        layers: int = 4,
        visible: int = 0,
        hole: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.colours, self.visible, self.hole = colours, visible, hole
        self.step = (hole[0] + 1, hole[1] + 1)  # pixels that a dilation of 1 stands for
        self.reach = max(self.step) * (1 + 2 * layers)
        self.spare = tuple(self.reach - step * (1 + 2 * layers) for step in self.step)
        self.first = nn.Conv2d(colours, channels, 3, dilation=self.step)
        blind = torch.ones(1, 1, 3, 3)
        blind[..., 1, 1] = 0
        self.blind: Tensor
        self.register_buffer("blind", blind, persistent=False)
        self.around = nn.ModuleList(nn.Conv2d(channels, channels, 3) for _ in range(layers))
        self.join = nn.Conv2d(channels + colours * (1 + len(RING_WIDTHS)) + visible, channels, 1)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.last = nn.Conv2d(channels, 2 * colours, 1, bias=False)
        self.offset = nn.Parameter(torch.zeros(1, 2 * colours, 1, 1))
        if visible:
            self.beside = nn.Conv2d(visible, channels, 3, dilation=self.step, bias=False)
        nn.init.zeros_(self.last.weight)  # the fit starts at the mixture of rings

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the middle of a padded image.

        Parameters
        ----------
        x : Tensor
            Shape (B, colours * (2 + rings) + visible, Y + 2 reach, X + 2 reach): the image, the
            mixture that the fit starts at, the ring means, and the visible channels.

        Returns
        -------
        mean, spread : Tensor
            Shape (B, colours, Y, X) each. The softplus of `spread`, times a unit, is the variance
            of the error of `mean`.
        """
        out, mixture = self.change(x), x[:, self.colours : 2 * self.colours]
        mean = out[:, : self.colours] + shrink(mixture, self.reach, self.reach)
        return mean, out[:, self.colours :]

    def change(self, x: Tensor) -> Tensor:
        """Return (B, 2 colours, Y, X): the mean less the mixture, and the spread."""
        act = functional.leaky_relu
        image, rings = x[:, : self.colours], x[:, self.colours :]
        image = shrink(image, *self.spare)
        weight = self.first.weight * self.blind
        h = functional.conv2d(image, weight, self.first.bias, dilation=self.step)
        if self.visible:
            h = h + self.beside(shrink(rings[:, -self.visible :], *self.spare))
        rows, columns = 2 * self.step[0], 2 * self.step[1]
        h = split_phases(h, rows, columns)
        for conv in self.around:  # (phases, channels, ...), a pixel less on each side every time
            h = add_convolution(h, conv)
        h = join_phases(h, rows, columns, shrink(rings, self.reach, self.reach))
        h = act(self.join(act(h, SLOPE)), SLOPE)
        h = act(self.mix(h), SLOPE)
        return functional.conv2d(h, self.last.weight, self.offset.flatten())

    def start(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` does as long as the last weights are zero: the mixture."""
        mixture = shrink(x[:, self.colours : 2 * self.colours], self.reach, self.reach)
        offset = self.offset.expand(-1, -1, *mixture.shape[-2:])
        return mixture + offset[:, : self.colours], offset[:, self.colours :]


def split_phases(image: Tensor, rows: int, columns: int) -> Tensor:
    """Put every `rows`-th and `columns`-th pixel of (B, C, Y, X) into an image of its own.

    A convolution dilated by as much is a plain one of these images, which is computed faster. Zeros
    at the end fill rows and columns up.

    Returns
    -------
    Tensor
        Shape (B * rows * columns, C, ceil(Y / rows), ceil(X / columns)).
    """
    down, right = -image.shape[-2] % rows, -image.shape[-1] % columns
    if down or right or is_tracing():  # a trace is for other sizes, too
        image = functional.pad(image, [0, right, 0, down])
    batch, channels, height, width = image.shape
    image = image.reshape(batch, channels, height // rows, rows, width // columns, columns)
    image = image.permute(0, 3, 5, 1, 2, 4)
    return image.reshape(-1, channels, height // rows, width // columns)


def join_phases(image: Tensor, rows: int, columns: int, beside: Tensor) -> Tensor:
    """Undo `split_phases`, and add the channels of an image (B, C, Y, X) as large."""
    channels, height, width = image.shape[1:]
    image = image.reshape(-1, rows, columns, channels, height, width).permute(0, 3, 4, 1, 5, 2)
    whole = height * rows, width * columns
    if whole == beside.shape[-2:] and not is_tracing():  # one copy for both
        beside = beside.reshape(*beside.shape[:2], height, rows, width, columns)
        return torch.cat([image, beside], dim=1).reshape(len(image), -1, *whole)
    image = image.reshape(-1, channels, *whole)
    return torch.cat([image[..., : beside.shape[-2], : beside.shape[-1]], beside], dim=1)


def add_convolution(h: Tensor, conv: nn.Module) -> Tensor:
    """Add to the middle of (B, C, Y, X) a 3x3 convolution of its activation."""
    if torch.is_grad_enabled():
        out: Tensor = _AddConvolution.apply(h, conv.weight, conv.bias)  # type: ignore[no-untyped-call]
    else:
        out = shrink(h, 1, 1) + conv(functional.leaky_relu(h, SLOPE))
    return out


class _AddConvolution(torch.autograd.Function):
    """`add_convolution` with its gradient in half of the operations, without copies of margins."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        seen = functional.leaky_relu(h, SLOPE)
        ctx.save_for_backward(seen, weight)
        return functional.conv2d(seen, weight, bias).add_(shrink(h, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,), (seen, weight) = gradients, ctx.saved_tensors
        aten, ones = torch.ops.aten, [1, 1]
        back, of_weight, of_bias = aten.convolution_backward(
            gradient, seen, weight, [len(weight)], ones, [0, 0], ones, False, [0, 0], 1, [True] * 3
        )
        back = aten.leaky_relu_backward(back, seen, SLOPE, True)
        shrink(back, 1, 1).add_(gradient)
        return back, of_weight, of_bias


def shrink(image: Tensor, rows: int, columns: int) -> Tensor:
    """Cut a margin of (..., Y, X) off, the same on opposite sides."""
    height, width = image.shape[-2:]
    return image[..., rows : height - rows, columns : width - columns]


def ring_means(
    image: Tensor, hole: tuple[int, int] = (0, 0), widths: tuple[float, ...] = RING_WIDTHS
) -> Tensor:
    """Average (B, C, Y, X) around each pixel without its `hole`, to (B, rings * C, Y, X).

    They are Gaussian means of growing width without their middle, wider where the hole is; borders
    are mirrored.
    """
    count, colours, height, width = image.shape
    if is_tracing():  # the device of a trace's constants can't be changed later
        lines = _ring_lines(hole, widths, image)
    else:
        lines = _kept_lines(hole, widths, image.device, image.dtype)
    margin = max(*lines[0].shape[-2:], *lines[1].shape[-2:]) // 2
    wide = mirror(image, margin).reshape(-1, 1, height + 2 * margin, width + 2 * margin)
    whole, middle = (_filter_in_ways(wide, margin, *lines[at : at + 2]) for at in (0, 2))
    rings = (whole - middle).reshape(count, colours, len(widths), height, width)
    return rings.transpose(1, 2).reshape(count, -1, height, width)


def _filter_in_ways(wide: Tensor, margin: int, along_y: Tensor, along_x: Tensor) -> Tensor:
    """Filter (B, 1, ...) by N lines (N, 1, Y', 1) and (N, 1, 1, X') in turn, to (B, N, ...)."""
    part = shrink(wide, margin - along_y.shape[-2] // 2, margin - along_x.shape[-1] // 2)
    ways = len(along_y)  # groups: plain convolutions of few threads and of many differ by rounding
    along = functional.conv2d(part.expand(-1, ways, -1, -1), along_x, groups=ways)
    return functional.conv2d(along, along_y, groups=ways)


def ring_mean(image: Tensor, width: float, hole: tuple[int, int] = (0, 0)) -> Tensor:
    """Average (B, C, Y, X) around each pixel without its `hole`, by one of the RING_WIDTHS."""
    return ring_means(image, hole, (width,))


def _ring_lines(
    hole: tuple[int, int], widths: tuple[float, ...], like: Tensor
) -> tuple[Tensor, ...]:
    """Return what filters along y and along x, for each ring, and the same within the hole."""
    lines, middles = [], []
    for half in hole:
        sigmas = [math.hypot(width, half / 2) for width in widths]
        radius = radius_of(max(sigmas))
        radii = [radius_of(sigma) for sigma in sigmas]
        line = torch.stack(
            [
                functional.pad(gaussian_line(sigma, n, like), (radius - n, radius - n))
                for sigma, n in zip(sigmas, radii, strict=True)
            ]
        )
        lines.append(line)  # (rings, 2 radius + 1)
        middles.append(line[:, radius - half : radius + half + 1])
    around = 1 - middles[0].sum(1, keepdim=True) * middles[1].sum(1, keepdim=True)
    (y, x), (middle_y, middle_x) = lines, middles
    return (
        (y / around)[:, None, :, None],
        x[:, None, None],
        (middle_y / around)[:, None, :, None],
        middle_x[:, None, None],
    )


@cache
def _kept_lines(
    hole: tuple[int, int],
    widths: tuple[float, ...],
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Tensor, ...]:
    return _ring_lines(hole, widths, torch.empty((), device=device, dtype=dtype))


def best_mixture(
    image: Tensor, rings: Tensor, others: Tensor | None = None, fitted: Tensor | None = None
) -> Tensor:
    """Mix ring means (1, C * rings, Y, X) linearly to predict the image (1, C, Y, X) best.

    No ring mean holds the noise of its own pixel, so the noisy image itself is the target (Batson
    and Royer, Noise2Self, ICML 2019, arXiv:1901.11365). The mixture predicts at least as well as
    any one of the rings.

    Parameters
    ----------
    others : Tensor, optional
        Shape (1, N, Y, X), channels of other images that are mixed in.
    fitted : Tensor of bool, optional
        Shape (Y, X), the pixels that the weights are fitted to; by default all.
    """
    colours = image.shape[1]
    pixels = slice(None) if fitted is None else fitted.flatten()
    mixtures = []
    for colour in range(colours):
        own = rings[0, colour::colours].flatten(1)  # (rings, Y * X)
        own = own if others is None else torch.cat([own, others[0].flatten(1)])
        columns, target = own[:, pixels], image[0, colour].flatten()[pixels]
        size = len(own) + 1
        gram, moments = torch.zeros(size, size).double(), torch.zeros(size).double()
        for at in range(0, len(target), SUMMED):  # in double precision, a part at a time: memory
            part = columns[:, at : at + SUMMED].cpu().double()
            part = torch.cat([part, torch.ones_like(part[:1])])
            gram += part @ part.T
            moments += part @ target[at : at + SUMMED].cpu().double()
        gram += 1e-6 * len(target) * torch.eye(len(gram), dtype=torch.float64)
        weights = torch.linalg.solve(gram, moments).to(own)
        mixtures.append((weights[:-1] @ own + weights[-1]).reshape(image.shape[-2:]))
    return torch.stack(mixtures)[None]
