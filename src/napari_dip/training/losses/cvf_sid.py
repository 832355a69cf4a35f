"""CVF-SID: take the image apart into what is clean and two kinds of noise, and that over again.

    y = c + c n_d + n_i,    (c, n_d, n_i) = f(y)
    loss = || c + c n_d + n_i - y ||^2                                          (all is explained)
         + || f(c) - (c, 0, 0) ||^2 + || f(c + c n_d) - (c, n_d, 0) ||^2        (each part is pure)
         + || f_c(n_i) ||^2 + || f_i(n_i) - n_i ||^2
         + ( sqrt(mean(c~^2) var(n_d) + var(n_i)) - s )^2                       (noise of its level)
         + delta sum over a, b in {-1, 0, 1} of || f(c + a c n_d + b n_i) - (c, a n_d, b n_i) ||^2

c is clean, n_d is the noise that grows with it and n_i the noise that does not, c~ is c smoothed
and s the standard deviation of the noise in y, which was measured. f is a function of several
variables, and cyclic: what it makes of an image can be put together and taken apart again. In the
last line stand the seven pairs (a, b) other than (0, 0) and (1, 0), new noisy images. c = F(y) is
the network of the model; n_d and n_i come from a small network of y - c, without their means, and
are needed in training alone.

Reference: Neshatavar, Yavartanoo, Son and Lee, CVF-SID: Cyclic multi-Variate Function for
Self-Supervised Image Denoising by Disentangling Noise from Image, CVPR 2022, arXiv:2203.13009.

What differs from the paper: F is the U-Net of the other trained methods, with their crops and
schedule, and the network of the noise has four layers instead of 14; s is measured on each image
by the noise model instead of on smooth parts; borders are not padded anew between two passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from napari_dip.methods.method import TrainedMethod
from napari_dip.settings import Trained, knob
from napari_dip.settings.base import Presets

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dip.nets.filter_unet import BlurredUNet
    from napari_dip.nets.plain import PlainNet

    Parts = tuple[Tensor, Tensor, Tensor]

SMOOTHED = 5  # side of the mean that makes c~
AUGMENTED = ((1, 1), (1, -1), (-1, 1), (-1, -1), (-1, 0), (0, 1), (0, -1))  # signs of n_d and n_i


class CVFSID(Trained):
    """CVF-SID: the image is taken apart into clean image and noise, and those parts once more.

    A step takes eleven passes through the network for each crop, so that the default has fewer
    crops than the other methods.

    References
    ----------
    Neshatavar, Yavartanoo, Son and Lee, CVF-SID, CVPR 2022, arXiv:2203.13009.
    """

    method: ClassVar[str] = "cvf-sid"
    title: ClassVar[str] = "CVF-SID"
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "steps": 300_000,
            "batch": 64,
            "crop": 40,
            "learning_rate": 1e-4,
            "beta2": 0.999,
            "channels": 64,
            "depth": 4,
            "unshuffle": 1,
            "stabilise": False,
            "averaging": 0.0,
        },
    }

    steps: int = knob(2000, "Steps of Adam.", unit="steps", ge=1, le=100_000_000, basic=True)
    batch: int = knob(1, "Crops a step.", ge=1, le=4096)
    augmented: float = knob(0.1, "Weight of the new noisy images (delta).", ge=0, le=100)
    noise_channels: int = knob(32, "Width of the network of the noise.", ge=1, le=1024)


def network_of_noise(s: CVFSID, colours: int) -> PlainNet:
    """Build what makes n_d and n_i, side by side as channels, of the noise y - c."""
    from napari_dip.nets.plain import PlainNet

    return PlainNet(colours, s.noise_channels, layers=4, slope=0.0, outputs=2 * colours)


def loss(
    net: BlurredUNet,
    noisy: Tensor,
    target: Tensor | None,
    s: CVFSID,
    generator: Any,
    progress: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch of crops, see `napari_dip.training.losses.iddp.loss`."""
    import torch
    from torch.nn import functional

    from napari_dip.noise.units import UNIT

    def parts(image: Tensor) -> Parts:
        assert net.beside is not None
        clean = net(net.with_middle(noisy, image))
        noise = net.beside(image - clean)
        n_d, n_i = (noise - noise.mean((2, 3), keepdim=True)).chunk(2, dim=1)
        return clean, n_d, n_i

    def error(image: Tensor, *wanted: Tensor | float) -> Tensor:
        squares = [(p - w).square().mean() for p, w in zip(parts(image), wanted, strict=True)]
        return torch.stack(squares).sum()

    y = net.middle(noisy)
    c, n_d, n_i = parts(y)
    explained = (c + c * n_d + n_i - y).square().mean()
    pure = error(c, c, 0.0, 0.0) + error(c + c * n_d, c, n_d, 0.0)
    of_noise = parts(n_i)
    pure = pure + of_noise[0].square().mean() + (of_noise[2] - n_i).square().mean()
    power = functional.avg_pool2d(c, SMOOTHED, 1).square().mean((2, 3))
    level = (power * n_d.var((2, 3)) + n_i.var((2, 3))).clamp_min(1e-12).sqrt()
    total = explained + pure + (level - 1 / UNIT).square().mean()
    for a, b in AUGMENTED if s.augmented else ():
        total = total + s.augmented * error(c + a * c * n_d + b * n_i, c, a * n_d, b * n_i)
    return total, {}


METHOD = TrainedMethod(
    CVFSID, "napari_dip.training.losses.cvf_sid:loss", beside=f"{__name__}:network_of_noise"
)
