"""The network of the trained methods: a filter and a U-Net, F(y) = blur(y) + U(y, blur(y)).

The U-Net's last convolution starts at zero, so training starts at the blur: a mild denoiser, on the
right side for noise and for detail. A method that fits a network to its own answers (IDDP) falls to
the identity or to a constant from most other starts. The blur is a Gaussian, or an averaging filter
that was learned first (`napari_dip.nets.blind_spot_filter`). For images whose neighbouring pixels
share their noise there may be a network of their own (`napari_dip.nets.correlated_noise`).

In a stack the planes before and after may come in as further channels y', F(y, y') = blur(y, y') +
U(y, y', blur(y, y')). Only y is denoised; the learned filter is blind to a pixel of y, and to none
of y'.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.base import zero
from napari_dip.nets.blind_spot_filter import AdaptiveBlur
from napari_dip.nets.correlated_noise import RecorruptedUNet
from napari_dip.nets.gaussian import blur, is_tracing, mirror, radius_of
from napari_dip.nets.unet import UNet

# Feature maps of full size and width alive at once: 11.8 to 13.5 measured, 4 to 64 channels.
MAPS_ALIVE = 14
STRIP = 128  # rows that are filtered at once: they stay near the processor


class BlurredUNet(nn.Module):
    """Denoise images of any size.

    Parameters
    ----------
    start : {"blind-spot", "blur", "zero"}
        What the U-Net's output is added to: the learned filter, the Gaussian, or nothing.
    blur : float
        Standard deviation of the Gaussian in pixels.
    box : int
        Side of the squares whose mean takes the Gaussian's place; 0 for none.
    holes : tuple of int
        How far pixels share their noise, for each kind of images that this is for: (0,) for
        independent noise, (0, 3) for both kinds, (3,) for correlated noise alone.
    neighbours : int
        Planes before, and as many after, that come in as further channels.
    unshuffle : int
        Side of the squares of pixels that the U-Net takes as channels of one pixel (Shi et al.,
        CVPR 2016, arXiv:1609.05158): with 2 it works at half the size, for a quarter of the time.
        Fine structure comes from the filter.

    Attributes
    ----------
    correlated : RecorruptedUNet or None
        The network for correlated noise.
    beside : nn.Module or None
        What a method trains beside it, in a training alone.
    reach : int
        How many pixels an output may depend on in each direction, at most.
    multiple : int
        A tile that starts at a multiple of it is denoised as it is inside the whole image.
    bytes_a_pixel : float
        Of memory that it takes while it is applied, for each pixel of the image.
    """

    def __init__(
        self,
        colours: int = 1,
        channels: int = 32,
        depth: int = 2,
        start: str = "blur",
        blur: float = 1.0,
        filter_channels: int = 32,
        filter_layers: int = 4,
        holes: tuple[int, ...] = (0,),
        neighbours: int = 0,
        unshuffle: int = 1,
        box: int = 0,
    ) -> None:
        super().__init__()
        self.colours, self.holes, planes = colours, holes, 2 * neighbours
        self.filter = (
            AdaptiveBlur(colours, filter_channels, filter_layers, planes=planes)
            if start == "blind-spot"
            else None
        )
        inputs = colours * (1 + planes + (self.filter is not None))
        shares = unshuffle**2
        self.unet = UNet(inputs * shares, colours * shares, channels, depth, norm=False)
        self.start, self.sigma, self.unshuffle, self.box = start, blur, unshuffle, box
        if start != "zero":
            zero(self.unet.last)
        self.multiple = self.unet.multiple * unshuffle
        # Two convolutions a level on both ways, each at its level's pixel size; pooling sees all of
        # a coarse pixel, the bilinear step up also its neighbour.
        reach = (8 * 2**depth - 6) * unshuffle + unshuffle - 1
        self.reach = (
            max(reach, radius_of(blur) + 1, box)
            if self.filter is None
            else reach + self.filter.reach
        )
        # A strip of the filter is at most a quarter of any tile that is large enough to matter.
        width = channels / unshuffle**2 + (filter_channels / 4 if self.filter else 0)
        self.bytes_a_pixel = MAPS_ALIVE * 4.0 * width
        self.beside: nn.Module | None = None
        # Last, so that a seed gives the weights before it as it does without it.
        self.correlated = (
            RecorruptedUNet(
                colours,
                max(channels // 2, 1),
                depth + (unshuffle - 1).bit_length(),  # it sees as far, of all pixels
                MAPS_ALIVE,
                planes,
            )
            if holes[-1]
            else None
        )

    def middle(self, y: Tensor) -> Tensor:
        """Return of (B, colours * planes, Y, X) the plane that is to be denoised."""
        return y[:, : self.colours]

    def with_middle(self, y: Tensor, middle: Tensor) -> Tensor:
        """Return (B, colours * planes, Y, X) with another plane to denoise."""
        return torch.cat([middle, y[:, self.colours :]], dim=1)

    def smooth(self, y: Tensor) -> Tensor:
        """Blur (B, colours, Y, X) by the filter that the U-Net corrects; it gets no gradient."""
        with torch.no_grad():
            if self.filter:
                return self._filtered(y)
            if self.box:
                return functional.avg_pool2d(mirror(self.middle(y), self.box // 2), self.box, 1)
            return blur(self.middle(y), self.sigma)

    def _filtered(self, y: Tensor) -> Tensor:
        """Apply the learned filter, which takes the most memory, in strips as far as it sees."""
        assert self.filter is not None
        height, reach = y.shape[-2], self.filter.reach
        if height <= STRIP + reach or is_tracing():
            return self.filter(y)  # type: ignore[no-any-return]
        tops = range(0, height, STRIP)
        parts = [(max(top - reach, 0), top, min(top + STRIP, height)) for top in tops]
        return torch.cat(
            [
                self.filter(y[..., start : end + reach, :])[..., top - start : end - start, :]
                for start, top, end in parts
            ],
            dim=-2,
        )

    def forward(self, y: Tensor, smooth: Tensor | None = None) -> Tensor:
        """Denoise (B, colours * planes, Y, X), of which the first plane is the one to denoise.

        `smooth` is the blurred one where it is known already.
        """
        smooth = self.smooth(y) if smooth is None and self.start != "zero" else smooth
        if self.start == "zero" or smooth is None:
            return self._correction(y)
        seen = y if self.filter is None else torch.cat([y, smooth], dim=1)
        return smooth + self._correction(seen)

    def _correction(self, seen: Tensor) -> Tensor:
        """Apply the U-Net to (B, inputs, Y, X), its squares of pixels as channels."""
        side = self.unshuffle
        if side == 1:
            return self.unet(seen)  # type: ignore[no-any-return]
        height, width = seen.shape[-2:]
        seen = functional.pad(seen, (0, -width % side, 0, -height % side), mode="replicate")
        answer = functional.pixel_shuffle(self.unet(functional.pixel_unshuffle(seen, side)), side)
        return answer[..., :height, :width]

    def for_noise(self, hole: int) -> RecorruptedUNet | None:
        """Return the network for noise that pixels share `hole` far; None where this is for it."""
        return self.correlated if hole or 0 not in self.holes else None
