"""The network of the trained methods for images whose neighbouring pixels share their noise.

What is predicted without the pixels that share a pixel's noise lacks fine structure; so this
network sees all pixels, and learns from recorrupted pairs instead. For Gaussian noise of covariance
S and e drawn from the same, ``y + t e`` and ``y - e / t`` have independent noises of the same mean
image: a network that maps the one to the other learns the image, whatever S is.

References
----------
Pang, Zheng, Quan and Ji, Recorrupted-to-Recorrupted: Unsupervised Deep Learning for Image
Denoising, CVPR 2021, doi:10.1109/CVPR46437.2021.00208.
Ramani, Blu and Unser, Monte-Carlo SURE, IEEE TIP 2008, doi:10.1109/TIP.2008.2001404 (how much of
the noise an answer holds, from the answer to a slightly noisier image).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_dip.nets.base import zero
from napari_dip.nets.covariance_penalty import BlurMixtures
from napari_dip.nets.gaussian import blur, radius_of
from napari_dip.nets.unet import UNet
from napari_dip.noise.units import UNIT

BLURS = (1.4, 2.8, 5.6)  # standard deviations in pixels, of what the network sees beside the image
# Of the noise that is added to what the network sees: with less, that of the target (1 / t) hides
# what there is to learn; with more, the network learns to denoise a noisier image than it is given.
MORE = 0.7
PROBE = 0.1  # of the noise, that is added to see how much the answer changes
CLEARLY = 0.1  # of the noise's variance, by which blurs must be better to be taken
MOST_COMPARED = 1 << 25  # pixels of a plane that is compared with its blurs: they take memory


class RecorruptedUNet(nn.Module):
    """Denoise images of any size: a mixture of blurs that a U-Net corrects.

    Attributes
    ----------
    reach, multiple, bytes_a_pixel
        As those of `napari_dip.nets.filter_unet.BlurredUNet`.
    """

    def __init__(
        self, colours: int, channels: int, depth: int, maps_alive: int, planes: int = 0
    ) -> None:
        super().__init__()
        self.colours = colours
        self.unet = UNet(colours * (1 + len(BLURS) + planes), colours, channels, depth, norm=False)
        zero(self.unet.last)
        self.mixture = nn.Parameter(torch.tensor([0.0, 0.1, 0.8, 0.1]))
        self.multiple = self.unet.multiple
        self.reach = 8 * 2**depth - 6 + radius_of(max(BLURS))
        self.bytes_a_pixel = maps_alive * 4.0 * channels

    def forward(self, y: Tensor) -> Tensor:
        """Denoise (B, colours, Y, X), in units of three times the noise.

        Other planes of the same place are further channels.
        """
        y, others = y[:, : self.colours], y[:, self.colours :]
        views = torch.stack([y, *(blur(y, width) for width in BLURS)])
        mixed: Tensor = torch.einsum("v...,v->...", views, self.mixture)
        return mixed + self.unet(torch.cat([*views, others], dim=1))  # type: ignore[no-any-return]

    def loss(self, y: Tensor, correlation: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch (B, C, Y, X), noise of `correlation` (B, 2R + 1, 2R + 1)."""
        y, others = y[:, : self.colours], y[:, self.colours :]
        drawn = draw_noise(correlation, y, generator)
        answer: Tensor = self(torch.cat([y + MORE * drawn, others], dim=1))
        return (answer - (y - drawn / MORE)).square().mean()


def draw_noise(correlation: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw Gaussian noise of the standard deviation of one unit's noise.

    Parameters
    ----------
    correlation : Tensor
        Shape (B, 2 R + 1, 2 R + 1), of a pixel with those up to R away, 1 in the middle.
    like : Tensor
        Shape (B, C, Y, X).
    generator : Generator
        On the CPU.

    Returns
    -------
    Tensor
        Of the shape of `like`; its channels are independent.
    """
    side, (height, width) = correlation.shape[-1], like.shape[-2:]
    tall, wide = max(height, side), max(width, side)
    kernel = correlation.new_zeros((len(correlation), 1, tall, wide))
    kernel[:, 0, :side, :side] = correlation
    power = torch.fft.fft2(kernel.roll((-(side // 2), -(side // 2)), (-2, -1))).real
    power = power.clamp_min(0)  # a table that was measured need not be a covariance
    power = power / power.mean(dim=(-2, -1), keepdim=True)
    white = torch.randn((*like.shape[:2], tall, wide), generator=generator).to(like.device)
    spectrum = torch.fft.fft2(white) * power.sqrt().to(white)
    noise: Tensor = torch.fft.ifft2(spectrum).real
    return noise[..., :height, :width] / UNIT


def draw_probe(correlation: Tensor, like: Tensor) -> Tensor:
    """Draw what is added to (B, C, Y, X) for `blurs_if_better` to see; the same at every call."""
    tables = correlation.expand(len(like), -1, -1)
    return PROBE * draw_noise(tables, like, torch.Generator().manual_seed(0))


def blurs_of(y: Tensor, correlation: Tensor) -> BlurMixtures | None:
    """Return the blurs of (B, C, Y, X), noise of `correlation`; None where they take too much."""
    if y.numel() > MOST_COMPARED:
        return None
    variance = torch.full_like(y, 1 / UNIT**2).flatten(0, 1)
    return BlurMixtures(y.flatten(0, 1), correlation, variance)


def blurs_if_better(blurs: BlurMixtures | None, answers: Tensor, probe: Tensor) -> Tensor:
    """Return a network's answer, or blurs of the image where these are clearly better.

    An image may be unlike those that the network was trained on. Judged by the expected error, see
    `napari_dip.nets.covariance_penalty`. Answer and blurs are not mixed: what the noise shares
    further than was measured makes the blurs look better than they are, and mixtures lost 0.3 to
    0.8 dB on FMD's wide-field images.

    Parameters
    ----------
    blurs : BlurMixtures, optional
        Of the image y (B, C, Y, X) in units of three times the noise, as `blurs_of` returns them.
    answers : Tensor
        Shape (2 B, C, Y, X): to y, and to ``y + probe``.
    probe : Tensor
        What `draw_probe` returned.

    Returns
    -------
    Tensor
        Of the shape of y.
    """
    answer, probed = answers.chunk(2)
    if blurs is None:
        return answer
    own_share = probe * (probed - answer) * (UNIT / PROBE) ** 2
    kept = blurs.unless_worse(answer.flatten(0, 1), own_share.flatten(0, 1), CLEARLY)
    return kept.reshape(answer.shape)
