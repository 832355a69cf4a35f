"""Blind-spot denoising of one image: the network sees it, but never the pixel that it predicts.

    theta* = argmin  E[ log(v + s^2) + (m - y)^2 / (v + s^2) ],   (m, v) = f_theta(pixels around y)
    answer = (s^2 m + v y) / (s^2 + v)

y is a pixel of the noisy image, whose noise has been made even: standard deviation s everywhere. m
is the prediction from its neighbours and v the variance of the prediction's error. Noise that is
independent from pixel to pixel cannot be predicted, and the pixel's own is hidden from the network,
so it cannot be copied. The answer weighs the prediction against the measured pixel by how much each
is to be trusted. The fit starts at a calibrated blur; the error on pixels that are held out of the
loss chooses the step.

The fit draws random crops with flips and quarter turns, so that a step costs the same however large
the image is. At every look at the whole image the next of the eight orientations is taken, and the
looks are averaged.

In a stack the network may start from the plane before: what it has learnt is how pixels follow from
their neighbours, and that hardly changes from plane to plane. Such a fit takes a quarter of the
steps. It carries no noise along, since the network keeps a filter and not pixels; and where it
predicts the new plane no better than the calibrated blur does, as after a change of content, the
fit starts at the blur with all its steps. Every pixel of the new plane judges that, since the
network has seen none of them.

References
----------
Laine, Karras, Lehtinen and Aila, High-Quality Self-Supervised Deep Image Denoising, NeurIPS 2019,
arXiv:1901.10277: a network that is blind by its construction, the predicted variance, the measured
pixel weighed in.
Krull, Buchholz and Jug, Noise2Void, CVPR 2019, arXiv:1811.10980, and Batson and Royer, Noise2Self,
ICML 2019, arXiv:1901.11365: learning from noisy pixels that are hidden from the network.
Wu, Liu, Cao, Ren and Zuo, Unpaired Learning of Deep Image Denoising, ECCV 2020, arXiv:2008.13711:
the blind spot made of dilated convolutions.

What differs from these papers: one image instead of a training set, a smaller network that starts
at a blur of the whole surroundings, noise that is measured and made even first, and the stopping
rule of held-out pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from napari_dip.engine.average_weights import AverageWeights
from napari_dip.engine.device import seeded
from napari_dip.engine.filters import averaged, early_stopped, held_out_error, running_mean, spread
from napari_dip.engine.loop import Step, optimize
from napari_dip.engine.orientations import random_crops, turn, turn_back
from napari_dip.engine.plane import Plane
from napari_dip.nets.blind_spot import BlindSpotNet, best_mixture, mirror, ring_means
from napari_dip.noise.units import UNIT
from napari_dip.settings import BlindSpot, BlindSpotOrZ

LOOKS = 24  # how often the whole image is looked at during a fit
WARM_LOOKS = 8  # one of each orientation
SPREAD_WEIGHT = 0.9  # of the past in the spread of looks: about the last ten
LOOK_WEIGHT = (
    0.8  # of the past in the average of looks: about the last eight, one of each orientation
)
SPREAD_UNITS = (
    4.0  # variance of the error at the knee of the softplus, in units of the noise's variance
)
FLOOR = 0.06  # of the noise's variance: at least that far off are predictions out of so few noisy pixels, see `look`
STRIP_PIXELS = (
    1 << 20
)  # the whole image goes through the network in strips of about this many pixels


def fit(plane: Plane, s: BlindSpot | BlindSpotOrZ) -> Iterator[Step]:
    """Fit the blind-spot network to a noisy plane.

    The network sees the pixels of the plane's guide too, where there is one. In a stack it may start from the weights
    of the plane before, and puts its own in their place, those of the step that is chosen.

    Yields
    ------
    Step
        One a gradient step; the answer changes at each look at the whole image.
    """
    y, guide, carried = plane.y, plane.guide, plane.previous
    generator = torch.Generator().manual_seed(s.seed)
    centre, unit = y.mean(), UNIT * plane.noise
    x = ((y - centre) / unit)[None]  # (1, C, Y, X)
    colours = len(y)
    with seeded(s.seed):
        net = BlindSpotNet(colours, s.channels, s.layers, 0 if guide is None else len(guide)).to(
            y.device
        )
    hidden = (torch.rand((1, *y.shape[-2:]), generator=generator) < s.held_out_share).to(y.device)
    variance = UNIT**-2
    padded, left_open = _seen(x, hidden, guide, net.reach)
    error = (
        (left_open / variance - 1).clamp(0.01, 100).item()
    )  # of the blur it starts at, in units of the noise
    net.offset.data[:, colours:] = math.log(math.expm1(error / SPREAD_UNITS))
    steps, looks = s.steps, LOOKS
    if carried and _starts_warm(net, carried, padded[:, :-1]):
        steps, looks = plane.warm_steps, WARM_LOOKS
    look_every = max(1, steps // looks)
    mean_net = AverageWeights(net, s.averaging)

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        crops = random_crops(padded, s.crop + 2 * net.reach, s.batch, generator)
        if (
            index > 1
        ):  # the weights of the step before, so that the average never runs ahead of the optimiser
            mean_net.update(net)
        mean, spread = net(crops[:, :-1])
        inner = slice(net.reach, -net.reach)
        target, weight = crops[:, :colours, inner, inner], crops[:, -1:, inner, inner]
        v = spread_to_variance(spread, variance) + variance
        loss = (((mean - target).square() / v + v.log()) * weight).sum() / (
            weight.sum() * colours + 1e-12
        )
        if index % look_every and index not in (
            1,
            steps,
        ):  # the first look is what the fit starts at
            return loss, None
        with torch.no_grad():
            blind, answer, std = look(mean_net.net, padded[:, :-1], variance, index // look_every)
        images = (blind * unit + centre, answer * unit + centre)
        return loss, (*images, std * unit) if s.std_from == "predicted" else images

    stream = optimize(
        objective, net.parameters(), steps, s.learning_rate, y, schedule=s.schedule, clip=1.0
    )
    stream = averaged(stream, LOOK_WEIGHT)
    if s.stop == "held-out" and bool(hidden.any()):
        stream = early_stopped(
            stream, held_out_error(y, hidden, running_mean(LOOK_WEIGHT)), s.patience
        )
    if s.std_from == "iterates":
        stream = spread(stream, SPREAD_WEIGHT)
    yield from stream if carried is None else _carrying(stream, mean_net.net, carried)


def _seen(x: Tensor, hidden: Tensor, guide: Tensor | None, reach: int) -> tuple[Tensor, Tensor]:
    """Return what the network sees, mirrored at the borders, and the mean square that the blur leaves of x.

    Its channels are x, the blur, the rings, the guide where there is one, and last which pixels are not hidden.
    """
    rings = ring_means(x)
    blur = best_mixture(x, rings)
    views = [
        x,
        blur,
        rings,
        *([] if guide is None else [standardised(guide)[None]]),
        (~hidden).float()[None],
    ]
    return torch.cat([mirror(view, reach) for view in views], dim=1), (x - blur).square().mean()


def standardised(guide: Tensor) -> Tensor:
    """Bring a guide (C, Y, X) to mean 0 and standard deviation 1."""
    return (guide - guide.mean()) / guide.std(correction=0).clamp(min=1e-6)


@torch.no_grad()
def _starts_warm(net: BlindSpotNet, carried: dict[str, Tensor], views: Tensor) -> bool:
    """Give the network the carried weights where they foretell the plane better than the blur does; say whether.

    Judged by the likelihood, not by the error alone: a network of another kind of plane may be as close on average, but
    too sure of itself, and then the few pixels that stand out would be wiped away.
    """
    own = {name: value.clone() for name, value in net.state_dict().items()}
    blur = _surprise(net, views)
    net.load_state_dict(carried)
    warm = _surprise(net, views) < blur
    if not warm:
        net.load_state_dict(own)
    return warm


def _surprise(net: BlindSpotNet, views: Tensor) -> float:
    """Return the mean negative log likelihood of all pixels under their neighbours, up to a constant."""
    total, count = 0.0, 0
    for mean, v, measured in predictions(net, views, UNIT**-2, 0):
        both = v + UNIT**-2
        total += float(((mean - measured).square() / both + both.log()).sum())
        count += measured.numel()
    return total / count


def _carrying(
    steps: Iterator[Step], net: BlindSpotNet, carried: dict[str, Tensor]
) -> Iterator[Step]:
    """Carry along the weights of the step that was chosen, once the fit is at its end."""
    kept: dict[str, Tensor] = {}
    for step in steps:
        if step.chosen == step.index:
            kept = {name: value.clone() for name, value in net.state_dict().items()}
        yield step
    carried.update(kept)


def spread_to_variance(spread: Tensor, noise_variance: float) -> Tensor:
    """Turn the network's second output into the variance of its error, a positive number."""
    return SPREAD_UNITS * noise_variance * torch.nn.functional.softplus(spread)


def predictions(
    net: BlindSpotNet, padded: Tensor, noise_variance: float, orientation: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield prediction, variance of its error and measured pixels; turned strip by strip, so no second copy of all.

    Parameters are those of `look`.
    """
    reach = net.reach
    rows = padded.shape[-2] - 2 * reach
    strip = max(1, STRIP_PIXELS // padded.shape[-1])
    for top in range(0, rows, strip):
        x = turn(padded[..., top : min(top + strip, rows) + 2 * reach, :], orientation)
        mean, spread = net(x)
        yield (
            mean,
            spread_to_variance(spread, noise_variance),
            x[:, : net.colours, reach:-reach, reach:-reach],
        )


def look(
    net: BlindSpotNet, padded: Tensor, noise_variance: float, orientation: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Denoise the whole image with the network as it is.

    Parameters
    ----------
    padded : Tensor
        Shape (1, C * (2 + rings) + guides, Y + 2 reach, X + 2 reach).
    orientation : int
        Which of the eight orientations the network gets to see.

    Returns
    -------
    blind, answer, std : Tensor
        Shape (C, Y, X) each: the prediction from the neighbours, its mean with the measured pixel, each weighted
        by the inverse of its variance, and how far off that mean may be.

    Notes
    -----
    v says how much the neighbours leave open; where it is 0 the answer would be without error. But the network has
    learnt to predict from a few thousand noisy pixels, and each prediction is a weighted mean of some twenty. That the
    fit cannot see, so `FLOOR` stands for it, the same for all images: chosen on four real pairs and confirmed on four
    others, where the root mean square of the error is 0.9 to 1.4 times that of the map (without it 1.1 to 3.4 times).
    """
    strips = []
    for mean, v, measured in predictions(net, padded, noise_variance, orientation):
        both = noise_variance + v
        answer = (noise_variance * mean + v * measured) / both
        std = (noise_variance * (v / both + FLOOR)).sqrt()
        strips.append(turn_back(torch.stack([mean, answer, std]), orientation))
    blind, answer, std = torch.cat(strips, dim=-2)[:, 0]  # (3, 1, C, Y, X) before
    return blind, answer, std
