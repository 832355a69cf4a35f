"""The network of the trained methods: a blur and a U-Net that corrects it, F(y) = blur(y) + U(y).

The U-Net's last convolution starts at zero, so training starts at the blur: a mild denoiser, on the right side for
noise and for detail. A method that fits a network to its own answers (IDDP) falls to the identity or to a constant from
most other starts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.blindspot import mirror
from napari_dip.nets.unet import UNet


class BlurredUNet(nn.Module):
    """Denoise images of any size.

    Parameters
    ----------
    colours : int
        Channels of the image.
    channels, depth : int
        Of the U-Net.
    blur : float
        Standard deviation of the blur in pixels; 0 for the U-Net alone.

    Attributes
    ----------
    reach : int
        How many pixels an output may depend on in each direction, at most.
    multiple : int
        A tile that starts at a multiple of it is denoised as it is inside the whole image.
    """

    def __init__(self, colours: int = 1, channels: int = 32, depth: int = 2, blur: float = 1.0) -> None:
        super().__init__()
        self.unet = UNet(colours, colours, channels, depth, norm=False)
        self.sigma = blur
        if blur:
            nn.init.zeros_(self.unet.last.weight)
            assert self.unet.last.bias is not None
            nn.init.zeros_(self.unet.last.bias)
        self.multiple = self.unet.multiple
        # two convolutions a level on both ways and the bilinear step up, each at its level's pixel size
        self.reach = max(sum(6 * 2**level for level in range(depth + 1)), int(4 * blur) + 2)

    def forward(self, y: Tensor) -> Tensor:
        """Map (B, colours, Y, X) to its denoised self."""
        corrected: Tensor = self.unet(y)
        return corrected + blurred(y, self.sigma) if self.sigma else corrected


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Blur (B, C, Y, X) by a Gaussian of `sigma` pixels; borders are mirrored."""
    radius = int(4 * sigma) + 1
    t = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    line = torch.exp(-(t**2) / (2 * sigma**2))
    kernel = (line / line.sum()).expand(image.shape[1], 1, 1, -1)
    padded = mirror(image, radius)
    return functional.conv2d(functional.conv2d(padded, kernel, groups=image.shape[1]), kernel.mT, groups=image.shape[1])
