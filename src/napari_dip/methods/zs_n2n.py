"""Zero-Shot Noise2Noise: two halves of one image at half its size predict each other.

    loss = 1/2 sum over (i, j) of || D_i y - f(D_i y) - D_j y ||^2
         + 1/2 sum over i of || D_i y - f(D_i y) - D_i (y - f(y)) ||^2,    answer = y - f(y)
    (i, j) = (1, 2), (2, 1)

D_1 and D_2 average the pixels on the one and on the other diagonal of every square of 2x2 pixels:
two images of nearly the same content whose noise is independent. f is a small network that predicts
the noise. The second term ties the answer at full size to those at half the size.

Reference: Mansour and Heckel, Zero-Shot Noise2Noise: Efficient Image Denoising Without Any Data,
CVPR 2023, arXiv:2303.11253.

What differs from the paper: borders are continued by their last pixel, where the paper has zeros;
an odd last row or column is no part of the halves. With the default preset the noise is made even
first and a step takes random crops in the eight orientations instead of the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from napari_dip.methods.method import Method
from napari_dip.settings import Settings, shared
from napari_dip.settings.base import Presets

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane

LOOKS = 16  # how often the whole image is denoised during a fit


class ZSN2N(Settings):
    """Zero-Shot Noise2Noise: two halves of the image at half its size predict each other.

    The preset ``paper`` takes the whole image in every step, as published; the default takes crops
    and makes the noise even first.

    References
    ----------
    Mansour and Heckel, Zero-Shot Noise2Noise: Efficient Image Denoising Without Any Data, CVPR
    2023, arXiv:2303.11253.
    """

    method: ClassVar[str] = "zs-n2n"
    title: ClassVar[str] = "Zero-Shot Noise2Noise"
    summary: ClassVar[str] = "Quick, plain: a small network learns from two halves of the pixels."
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "steps": 2000,
            "crop": 0,
            "batch": 1,
            "learning_rate": 0.001,
            "stabilise": False,
        },
    }

    steps: int = shared.STEPS(1000)
    stabilise: bool = shared.STABILISE(True)
    hot_pixels: shared.HotPixels = shared.HOT_PIXELS("auto")
    learning_rate: float = shared.LEARNING_RATE(
        0.002, help_text="Learning rate of Adam; half of it in the second half of the steps."
    )
    channels: int = shared.CHANNELS(48)
    crop: int = shared.CROP(
        64, help_text="Side of the random crops of a step; 0 takes the whole image.", ge=0
    )
    batch: int = shared.BATCH(2)


def fit(plane: Plane, s: ZSN2N) -> Iterator[Step]:
    """Fit the network to a noisy plane.

    Yields
    ------
    Step
        One a gradient step; the answer changes each time that the whole image is denoised.
    """
    import torch

    from napari_dip.engine.device import seeded
    from napari_dip.engine.loop import optimize
    from napari_dip.engine.orientations import crops_or_all
    from napari_dip.nets.plain import PlainNet

    y = plane.y
    generator = torch.Generator().manual_seed(s.seed)
    with seeded(s.seed):
        net = PlainNet(len(y), s.channels, layers=2).to(y.device)
    every = max(1, s.steps // LOOKS)

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        value = loss(net, crops_or_all(y[None], s.crop, s.batch, generator))
        if index % every and index not in (1, s.steps):
            return value, None
        with torch.no_grad():
            answer = y - net(y[None])[0]
        return value, (answer, answer)

    return optimize(
        objective,
        net.parameters(),
        s.steps,
        s.learning_rate,
        y,
        schedule=lambda index: 1.0 if 2 * index <= s.steps else 0.5,
        values=s.batch * (s.crop**2 or y[0].numel()) * s.channels,
    )


def loss(net: object, y: Tensor) -> Tensor:
    """Return the loss of some images (B, C, Y, X), Y and X from 2."""
    assert callable(net)
    first, second = halves(y)
    first_answer, second_answer = first - net(first), second - net(second)
    residual = (first_answer - second).square().mean() + (second_answer - first).square().mean()
    first_whole, second_whole = halves(y - net(y))
    consistency = (first_answer - first_whole).square().mean()
    consistency = consistency + (second_answer - second_whole).square().mean()
    total: Tensor = (residual + consistency) / 2
    return total


def halves(y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means along both diagonals of every square of 2x2 pixels, (B, C, Y/2, X/2)."""
    y = y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2]
    upper, lower = y[..., ::2, :], y[..., 1::2, :]
    falling = (upper[..., ::2] + lower[..., 1::2]) / 2
    rising = (upper[..., 1::2] + lower[..., ::2]) / 2
    return rising, falling


def memory(s: ZSN2N, channels: int) -> float:
    """Return the memory of a fit, in bytes for each pixel; maps with gradients where all fit."""
    return 4.0 * s.channels * (3 if s.crop else 10)


METHOD = Method(ZSN2N, "napari_dip.methods.zs_n2n:fit", memory)
