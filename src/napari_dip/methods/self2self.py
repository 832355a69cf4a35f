"""Self2Self: a network with dropout predicts pixels that are hidden from it; the average counts.

    theta* = argmin  E_b || (1 - b) (F_theta(b y) - y) ||^2
    answer = mean over b of F_theta*(b y)

b is a fresh random mask for each step, 0 where a pixel is hidden. F is a U-Net of partial
convolutions, which leave hidden pixels out, and of a decoder that drops a share of its values at
random, also when the answer is made: each prediction, with a mask and dropped values of its own, is
one of an ensemble of networks, and their average has less variance than any of them.

Reference: Quan, Chen, Pang and Ji, Self2Self With Dropout: Learning Self-Supervised Denoising From
Single Image, CVPR 2020, doi:10.1109/CVPR42600.2020.00196.

What differs from the paper: borders are continued by their last pixel. Until the last step the
answer is an average of a few predictions, so that the fit can be watched. With the default preset
the noise is made even first, a step takes random crops in the eight orientations, the network is
narrower, and hundreds of steps at a larger rate take the place of 450,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from napari_dip.methods.method import Method
from napari_dip.settings import Settings, knob, shared
from napari_dip.settings.base import Presets

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane

LOOKS = 12  # how often the whole image is predicted during a fit
AT_A_LOOK = 4  # predictions averaged


class Self2Self(Settings):
    """Self2Self: random pixels are hidden, and predicted by a network that drops values.

    The preset ``paper`` is the fit as published, for hundreds of thousands of steps; the default
    takes crops, a narrower network, and makes the noise even first.

    References
    ----------
    Quan, Chen, Pang and Ji, Self2Self With Dropout, CVPR 2020, doi:10.1109/CVPR42600.2020.00196.
    """

    method: ClassVar[str] = "self2self"
    title: ClassVar[str] = "Self2Self"
    summary: ClassVar[str] = "Slow, for one image: predicts hidden pixels many times, and averages."
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "steps": 450_000,
            "learning_rate": 1e-4,
            "schedule": "constant",
            "channels": 48,
            "scales": 5,
            "dropout": 0.3,
            "crop": 0,
            "batch": 1,
            "predictions": 50,
            "stabilise": False,
        },
    }

    steps: int = shared.STEPS(800)
    stabilise: bool = shared.STABILISE(True)
    hot_pixels: shared.HotPixels = shared.HOT_PIXELS("auto")
    learning_rate: float = shared.LEARNING_RATE(0.004)
    schedule: shared.Schedule = shared.SCHEDULE("linear")
    channels: int = shared.CHANNELS(24)
    scales: int = shared.SCALES(3, help_text="How often the network halves the image.")
    hidden_share: float = knob(0.3, "Share of the pixels hidden in a step.", gt=0, lt=1)
    dropout: float = shared.DROPOUT(
        0.1, help_text="Share of values dropped in the decoder, in fit and predictions."
    )
    predictions: int = knob(25, "Predictions averaged to the answer.", ge=1, le=10_000)
    crop: int = shared.CROP(
        64, help_text="Side of the random crops of a step; 0 takes the whole image.", ge=0
    )
    batch: int = shared.BATCH(2)


def fit(plane: Plane, s: Self2Self) -> Iterator[Step]:
    """Fit the network to a noisy plane.

    Yields
    ------
    Step
        One a gradient step; the answer changes each time that the whole image is predicted.
    """
    import torch

    from napari_dip.engine.device import seeded
    from napari_dip.engine.loop import optimize
    from napari_dip.engine.orientations import crops_or_all
    from napari_dip.nets.partial_unet import PartialUNet

    y = plane.y
    generator = torch.Generator().manual_seed(s.seed)
    draws = torch.Generator(y.device).manual_seed(s.seed)
    with seeded(s.seed):
        net = PartialUNet(len(y), s.channels, s.scales, s.dropout).to(y.device)
    every = max(1, s.steps // LOOKS)

    def known(image: Tensor) -> Tensor:
        drawn = torch.rand(image.shape, generator=draws, device=image.device)
        return (drawn >= s.hidden_share).to(image.dtype)

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        crops = crops_or_all(y[None], s.crop, s.batch, generator)
        b = known(crops)
        loss = ((net(crops, b) - crops) * (1 - b)).square().sum() / (1 - b).sum().clamp_min(1)
        if index % every and index not in (1, s.steps):
            return loss, None
        answer, count = torch.zeros_like(y), s.predictions if index == s.steps else AT_A_LOOK
        with torch.no_grad():
            for _ in range(count):
                answer += net(y[None], known(y[None]))[0] / count
        return loss, (answer, answer)

    return optimize(
        objective,
        net.parameters(),
        s.steps,
        s.learning_rate,
        y,
        schedule=s.schedule,
        values=s.batch * (s.crop**2 or y[0].numel()) * s.channels,
    )


def memory(s: Self2Self, channels: int) -> float:
    """Return the memory of a fit, in bytes for each pixel."""
    return 4.0 * s.channels * (10 if s.crop else 30)


METHOD = Method(Self2Self, "napari_dip.methods.self2self:fit", memory)
