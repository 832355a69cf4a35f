"""Deep Decoder: a network with so few weights that it cannot hold the noise.

Each layer mixes the channels of every pixel by itself (a 1x1 convolution), doubles the image
bilinearly, cuts negative values off and norms each channel; one more layer does not double, and a
last mixture with a sigmoid is the image. No convolution looks at a neighbour: only the upsampling
ties pixels together. 100,224 weights for 128 channels, 5 doublings and 3 channels out. With few
channels no early stop is needed: there are fewer weights than pixels.

Reference: Heckel and Hand, Deep Decoder, ICLR 2019, arXiv:1810.03982.
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_dip.nets.base import NetSettings, PriorNet


class DeepDecoder(PriorNet):
    """Fit an image with mixtures of noise that is doubled in size `scales` times."""

    fixed_z = True

    def __init__(self, outputs: int = 1, channels: int = 128, scales: int = 5) -> None:
        super().__init__()
        self.inputs = channels
        self.multiple = self.growth = 2**scales
        layers = [
            layer
            for scale in range(scales + 1)
            for layer in _layer(channels, doubled=scale < scales)
        ]
        self.layers = nn.Sequential(
            *layers, nn.Conv2d(channels, outputs, 1, bias=False), nn.Sigmoid()
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map z (B, channels, Y / growth, X / growth) to an image (B, outputs, Y, X) in (0, 1)."""
        image: Tensor = self.layers(z)
        return image


def _layer(channels: int, *, doubled: bool) -> list[nn.Module]:
    up = [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)] if doubled else []
    return [nn.Conv2d(channels, channels, 1, bias=False), *up, nn.ReLU(), nn.BatchNorm2d(channels)]


def build(s: NetSettings, inputs: int, outputs: int) -> DeepDecoder:
    """Build it from settings."""
    return DeepDecoder(outputs, s.channels, s.scales)
