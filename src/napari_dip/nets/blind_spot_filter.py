"""An averaging filter that adapts to the image, learned from noisy images through a blind spot.

    A(y) = (s^2 m + v y) / (s^2 + v),    (m, v) = g(y without the pixel)

m is what the network g makes of the pixels around, and v the variance of its error; s is the
standard deviation of the noise. The measured pixel is weighed in by how much it is to be trusted. g
is fitted by the likelihood of each pixel under its neighbours' prediction, so no clean image is
needed, and the pixel's own noise can't be copied.

References: Laine, Karras, Lehtinen and Aila, High-Quality Self-Supervised Deep Image Denoising,
NeurIPS 2019, arXiv:1901.10277; Krull, Buchholz and Jug, Noise2Void, CVPR 2019, arXiv:1811.10980.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.nets.blind_spot import RING_WIDTHS, BlindSpotNet, ring_means
from napari_dip.nets.gaussian import mirror, radius_of

# Variance of the error at the knee of the softplus, in units of the noise's variance.
ERROR_UNITS = 4.0
FIRST_ERROR = 0.3  # variance of the error that training starts from


class AdaptiveBlur(nn.Module):
    """Average each pixel with its neighbours, by weights that follow the image.

    `planes` others of the same place may come in, of which no pixel is hidden: their noise is their
    own. `noise` is the standard deviation of the noise in the images; `reach` how many pixels an
    output depends on in each direction.
    """

    def __init__(
        self,
        colours: int = 1,
        channels: int = 32,
        layers: int = 4,
        noise: float = 1 / 3,
        planes: int = 0,
    ) -> None:
        super().__init__()
        self.colours, self.variance = colours, noise**2
        self.around = BlindSpotNet(colours, channels, layers, planes * colours)
        self.around.offset.data[:, colours:] = math.log(math.expm1(FIRST_ERROR / ERROR_UNITS))
        self.mixture = nn.Parameter(torch.zeros(len(RING_WIDTHS) + planes))
        # Training starts at the two narrowest ring means, and at as much of the other planes.
        self.mixture.data[:2] = 0.25 if planes else 0.5
        self.mixture.data[len(RING_WIDTHS) :] = 0.5 / max(planes, 1)
        self.reach = max(self.around.reach, radius_of(max(RING_WIDTHS)))

    def forward(self, y: Tensor) -> Tensor:
        """Average (B, colours, Y, X), with further channels for the other planes."""
        mean, variance = self.predict(y)
        return (self.variance * mean + variance * y[:, : self.colours]) / (self.variance + variance)

    def predict(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Predict (B, colours, Y, X) from each pixel's neighbours, and the error's variance."""
        y, others = y[:, : self.colours], y[:, self.colours :]
        # (B, (rings + planes) * colours, Y, X), ring by ring and plane by plane
        seen = torch.cat([ring_means(y), others], dim=1)
        by_ring = seen.reshape(len(y), len(self.mixture), *y.shape[1:])
        mixed = torch.einsum("brcyx,r->bcyx", by_ring, self.mixture)
        mean, spread = self.around(mirror(torch.cat([y, mixed, seen], dim=1), self.around.reach))
        return mean, ERROR_UNITS * self.variance * functional.softplus(spread)

    def likelihood_loss(self, y: Tensor) -> Tensor:
        """Return the mean negative log likelihood of noisy images, up to a constant."""
        mean, variance = self.predict(y)
        total = variance + self.variance
        return ((mean - y[:, : self.colours]).square() / total + total.log()).mean()
