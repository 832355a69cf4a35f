"""Noise2Fast: the black squares of a chequerboard predict the white ones, and the other way round.

    theta* = argmin  mean over k of  BCE( f_theta(a_k), b_k ),      answer = f_theta*(x)
    a_k, b_k: the pixels with y + x even and those with y + x odd, or these two exchanged, moved
              together along x or along y to an image of half the width or half the height

x is the image, mapped to [0, 1]. Each of the four pairs holds all pixels once, so that the input
and the target have independent noise and lie one pixel apart. BCE is the binary cross entropy,
whose least value is that of the mean. After a step the whole image goes through the network, which
has never seen it as an input: where its squared distance to the noisy image has not fallen for
`patience` steps the fit ends, and the answer is the average of the latest outputs.

Reference: Lequyer, Philip, Sharma, Hsu and Pelletier, A Fast Blind Zero-Shot Denoiser, Nature
Machine Intelligence 2022, doi:10.1038/s42256-022-00547-8.

What differs from the paper: an exponential average of outputs where the paper has the plain mean of
about a hundred, and borders that are continued by their last pixel. With the default preset the
noise is made even first, a step takes random crops in the eight orientations, the network is
narrower, and the whole image is looked at every 25 steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from napari_dip.methods.method import Method
from napari_dip.settings import Settings, knob, shared
from napari_dip.settings.base import Presets

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.engine.plane import Plane

LAYERS = 8  # 3x3 convolutions, as published


class Noise2Fast(Settings):
    """Noise2Fast: two halves of the image's chequerboard of pixels predict each other.

    The preset ``paper`` takes the whole image in every step and looks at it after each, as
    published; the default takes crops and makes the noise even first.

    References
    ----------
    Lequyer et al., A Fast Blind Zero-Shot Denoiser, Nature Machine Intelligence 2022,
    doi:10.1038/s42256-022-00547-8.
    """

    method: ClassVar[str] = "noise2fast"
    title: ClassVar[str] = "Noise2Fast"
    summary: ClassVar[str] = "Quick, for one image: every second pixel predicts its neighbour."
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "steps": 10_000,
            "look_every": 1,
            "patience": 100,
            "averaging": 0.99,
            "crop": 0,
            "batch": 1,
            "channels": 64,
            "stabilise": False,
        },
    }

    steps: int = shared.STEPS(800)
    look_every: int = knob(
        25, "Steps from one look at the whole image to the next.", unit="steps", ge=1
    )
    patience: int = shared.PATIENCE(200)
    averaging: float = shared.AVERAGING(
        0.8, help_text="Weight of the past in the exponential average of the looks."
    )
    stabilise: bool = shared.STABILISE(True)
    hot_pixels: shared.HotPixels = shared.HOT_PIXELS("auto")
    learning_rate: float = shared.LEARNING_RATE(0.001)
    channels: int = shared.CHANNELS(32)
    crop: int = shared.CROP(
        64, help_text="Side of the random crops of a step; 0 takes the whole image.", ge=0
    )
    batch: int = shared.BATCH(2)


def fit(plane: Plane, s: Noise2Fast) -> Iterator[Step]:
    """Fit the network to a noisy plane.

    Yields
    ------
    Step
        One a gradient step; the answer changes with each look at the whole image.
    """
    import torch
    from torch.nn import functional

    from napari_dip.engine.device import seeded
    from napari_dip.engine.filters import averaged
    from napari_dip.engine.loop import optimize
    from napari_dip.engine.orientations import crops_or_all
    from napari_dip.nets.plain import PlainNet

    y = plane.y
    least, most = y.amin(), y.amax()
    x = ((y - least) / (most - least).clamp_min(1e-12))[None]
    generator = torch.Generator().manual_seed(s.seed)
    with seeded(s.seed):
        net = PlainNet(len(y), s.channels, LAYERS, slope=0.0).to(y.device)

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        given, wanted = pair(crops_or_all(x, s.crop, s.batch, generator), generator)
        loss = functional.binary_cross_entropy_with_logits(net(given), wanted)
        if index % s.look_every and index not in (1, s.steps):
            return loss, None
        with torch.no_grad():
            answer = least + (most - least) * torch.sigmoid(net(x)[0])
        return loss, (answer, answer)

    values = s.batch * (s.crop**2 or y[0].numel()) * s.channels
    steps = optimize(objective, net.parameters(), s.steps, s.learning_rate, y, values=values)
    return ended(averaged(steps, s.averaging), y, s.patience)


def pair(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw one of the four pairs of images, each (B, C, Y, X/2) or (B, C, Y/2, X)."""
    import torch

    along, swap = torch.randint(2, (2,), generator=generator).tolist()
    if along:
        black, white = (half.mT for half in chequerboards(x.mT))
    else:
        black, white = chequerboards(x)
    return (white, black) if swap else (black, white)


def chequerboards(x: Tensor) -> tuple[Tensor, Tensor]:
    """Move the pixels of either colour of a chequerboard together, (B, C, Y, X/2) each.

    An odd last row or column is left out.
    """
    import torch

    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    even, odd = x[..., ::2], x[..., 1::2]
    rows = torch.arange(x.shape[-2], device=x.device)[:, None] % 2 == 0
    return torch.where(rows, even, odd), torch.where(rows, odd, even)


def ended(steps: Iterable[Step], y: Tensor, patience: int) -> Iterator[Step]:
    """End `patience` steps after the output that is nearest to the noisy image (C, Y, X)."""
    least, at = math.inf, 0
    for step in steps:
        if step.output is None:
            yield step
            continue
        distance = (step.output - y).square().mean().item()
        if distance < least:
            least, at = distance, step.index
        yield replace(step, criterion=distance)
        if step.index - at >= patience:
            return


def memory(s: Noise2Fast, channels: int) -> float:
    """Return the memory of a fit, in bytes for each pixel."""
    return 4.0 * s.channels * (3 if s.crop else 2 * LAYERS)


METHOD = Method(Noise2Fast, "napari_dip.methods.noise2fast:fit", memory)
