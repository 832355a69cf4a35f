"""Blind-spot denoising of one image: the network sees it, but never the pixel that it predicts.

    theta* = argmin  E[ log(v + s^2) + (m - y)^2 / (v + s^2) ],   (m, v) = f_theta(pixels around y)
    answer = (s^2 m + v y) / (s^2 + v)

y is a pixel of the noisy image, whose noise has been made even: standard deviation s everywhere. m
is the prediction from its neighbours and v the variance of the prediction's error. Noise that is
independent from pixel to pixel cannot be predicted, and the pixel's own is hidden from the network,
so it cannot be copied. The answer weighs the prediction against the measured pixel by how much each
is to be trusted. The fit starts at a calibrated blur, or at the best linear prediction where fine
texture asks for one (`napari_dip.nets.fine_texture`); the error on pixels that are held out of the
loss chooses the step.

The fit draws random crops with flips and quarter turns, so that a step costs the same however large
the image is. Each time that the whole image is predicted the next of the eight orientations is
taken, and the predictions are averaged. The answer that the fit ends with shows which places of the
image are alike; where the noise is independent, half of it is replaced by the means of the measured
pixels there (`napari_dip.nets.similar_places`), a quarter where other images help.

Planes nearby in a stack have noise of their own, so the network sees all their pixels, through one
more first convolution, and the blur that the fit starts at is a mixture with theirs
(`napari_dip.nets.neighbours`).

The network may also start from that of the plane before: what it has learnt is how pixels follow
from their neighbours, and that hardly changes from plane to plane. Such a fit takes a quarter of
the steps. It carries no noise along, since the network keeps a filter and not pixels; and where it
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
Sheth et al., Unsupervised Deep Video Denoising, ICCV 2021, arXiv:2011.15045: the frames before and
after, all of whose pixels a blind-spot network may see.

What differs from these papers: one image instead of a training set, a smaller network that starts
at a blur of the whole surroundings, noise that is measured and made even first, the stopping rule
of held-out pixels, and the means of similar places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from napari_dip.engine.average_weights import AverageWeights
from napari_dip.engine.device import seeded
from napari_dip.engine.filters import choose_step, finished
from napari_dip.engine.loop import Step, optimize
from napari_dip.engine.orientations import ALL, FLIPS, iter_crops, turn, turn_back
from napari_dip.engine.out_of_memory import MemoryPlan, add_gradients, in_strips
from napari_dip.engine.plane import Plane
from napari_dip.engine.threads import threads
from napari_dip.nets.blind_spot import RING_WIDTHS, BlindSpotNet, best_mixture, ring_means, shrink
from napari_dip.nets.blind_spot_error import UNLEARNT, AnswerError, limit_to_variation
from napari_dip.nets.covariance_penalty import BlurMixtures
from napari_dip.nets.fine_texture import fine_texture_filter, predict_texture
from napari_dip.nets.gaussian import mirror
from napari_dip.nets.neighbours import mix_with
from napari_dip.nets.similar_places import SHARE, SHARE_BESIDE_OTHERS, mix_similar, std_of_mixture
from napari_dip.noise.units import UNIT
from napari_dip.settings import BlindSpot, BlindSpotOrZ

PREDICTIONS = 16  # how often the whole image is predicted during a fit
FEW_PREDICTIONS = 8  # in a fit that starts warm, or of many pixels: one in each orientation
MANY_PIXELS = 512 * 512  # a look at more costs as much as many steps
SPREAD_WEIGHT = 0.9  # of the past in the spread of predictions: about the last ten
PREDICTION_WEIGHT = 0.8  # of the past in their average: about the last eight, in all orientations
FAR = 5.0  # standard deviations of the noise, which it seldom reaches
NOISE_VARIANCE = UNIT**-2  # of what the network sees
# Variance of the error at the knee of the softplus, in units of the noise's variance.
SPREAD_UNITS = 4.0
STRIP_PIXELS = 1 << 18  # the whole image goes through the network in strips of about so many pixels


def fit(plane: Plane, s: BlindSpot | BlindSpotOrZ) -> Iterator[Step]:
    """Fit the blind-spot network to a noisy plane.

    The network sees all pixels of other images of the same place, where there are any. In a stack
    it may start from the weights of the plane before, and puts its own in their place, those of the
    step that is chosen.

    Yields
    ------
    Step
        One a gradient step; the answer changes each time that the whole image is predicted.
    """
    y, plan = plane.y, plane.plan or MemoryPlan(plane.y.device)
    generator = torch.Generator().manual_seed(s.seed)
    centre, unit, colours = y.mean(), UNIT * plane.noise, len(y)
    x = (y - centre) / unit
    others = None if plane.others is None else (plane.others - centre) / unit
    visible = 0 if others is None else len(others)
    previous = None if plane.previous is None else plane.previous.setdefault(visible, {})
    with seeded(s.seed):
        net = BlindSpotNet(colours, s.channels, s.layers, visible, plane.hole)
    net = net.to(y.device)
    hidden = (torch.rand((1, *y.shape[-2:]), generator=generator) < s.held_out_share).to(y.device)
    relative = torch.ones_like(y) if plane.variance is None else plane.variance
    variance = relative * NOISE_VARIANCE
    crop, batch = _crops(s, plane.hole)
    weight = (~hidden).float() / (batch * min(crop, *y.shape[-2:]) ** 2 * colours)
    weight /= (~hidden).float().mean()  # of all pixels of a step they sum up to 1, about
    padded, texture = _start_at_blur(net, x, variance, weight, others)
    blurs = None if plane.correlation is None else BlurMixtures(x, plane.correlation, variance)
    wanted = s.std_from == "predicted"
    error = AnswerError(variance, PREDICTION_WEIGHT, s.seed, visible) if wanted else None
    orientations = ALL if plane.hole[0] == plane.hole[1] else FLIPS
    warm = _starts_warm(net, previous, padded[:, : -1 - colours], plan) if previous else False
    steps = plane.warm_steps if warm else s.steps
    few = warm or y[0].numel() > MANY_PIXELS
    every = max(1, steps // (FEW_PREDICTIONS if few else PREDICTIONS))
    mean_net = AverageWeights(net, s.averaging)
    seen_side, cores = crop + 2 * net.reach, torch.get_num_threads()
    parameters = list(net.parameters())
    drawn = iter_crops(padded, seen_side, batch, generator, orientations)

    def objective(index: int) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        crops = next(drawn)
        if index > 1:  # the weights of the step before: the average never runs ahead
            mean_net.update(net)

        def losses(parts: int) -> Iterator[Tensor]:
            return (_weighted_log_loss(net, part) for part in crops.chunk(parts))

        loss = add_gradients(losses, batch, parameters, plan)
        if index % every and index not in (1, steps):  # the first shows what the fit starts at
            return loss, None
        with torch.no_grad(), threads(cores):
            orientation = orientations[index // every % len(orientations)]
            seen = padded[:, : -1 - colours]
            blind, answer, v = predict_image(mean_net.net, seen, orientation, blurs, plan)
            answer = answer + _mean_left(x - answer, variance)
            images: tuple[Tensor, ...] = (blind * unit + centre, answer * unit + centre)
            if error is not None:
                predict = partial(_predict_other, mean_net.net, variance, texture, orientation)
                seen = x if others is None else torch.cat([x, others])
                images = (*images, error.update(seen, blind, v, predict) * unit)
        return loss, images

    stream = optimize(
        objective,
        parameters,
        steps,
        s.learning_rate,
        y,
        schedule=s.schedule,
        clip=1.0,
        values=batch * seen_side**2 * s.channels,
    )
    stream = choose_step(stream, s, y, hidden, averaging=PREDICTION_WEIGHT, spreading=SPREAD_WEIGHT)
    if previous is not None:
        stream = _save_weights(stream, mean_net.net, previous)
    if plane.correlation is None:
        std, share = plane.noise * relative.sqrt(), SHARE if others is None else SHARE_BESIDE_OTHERS
        stream = finished(stream, partial(_mix_in, y, std, share, wanted))
    yield from stream


def _mean_left(residual: Tensor, variance: Tensor) -> Tensor:
    """Return the mean (C, 1, 1) that an answer left of an image, which a fit is free to shift.

    Of few photons, a hundredth of the noise is a tenth of the signal. What is far beyond the noise,
    such as hot pixels that are kept, says nothing of the others.
    """
    usual = (residual.square() < FAR**2 * variance).float()
    return (residual * usual).sum((1, 2), True) / usual.sum((1, 2), True).clamp(min=1)


def _mix_in(y: Tensor, noise: Tensor, share: float, predicted: bool, step: Step) -> Step:
    """Mix similar places into the answer of a step, and say how far off that may be."""
    mixed, std = mix_similar(y, step.answer, noise, share), step.std
    if predicted and std is not None:
        std = limit_to_variation(std_of_mixture(std, step.answer, mixed, share), mixed, noise)
    return replace(step, answer=mixed, std=std)


def _crops(s: BlindSpot | BlindSpotOrZ, hole: tuple[int, int]) -> tuple[int, int]:
    """Return side and number of the crops of a step.

    A wide blind spot needs wide margins: fewer, larger crops of as many pixels cost less.
    """
    return (2 * s.crop, s.batch // 4) if max(hole) and s.batch >= 4 else (s.crop, s.batch)


def _start_at_blur(
    net: BlindSpotNet, x: Tensor, noise: Tensor, weight: Tensor, others: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return what a new network sees of an image, and set its variance to the error of its start.

    Beside `_views`, the weight of each pixel in the loss, and what the image differs by from the
    mixture. The second is the filter of `fine_texture`,
    where there is such texture.
    """
    views, texture = _views(net, x, noise, others, None), None
    if others is None and not max(net.hole):
        texture = fine_texture_filter(x[None], views[1])
    if texture is not None:
        views[1] = best_mixture(x[None], views[2], predict_texture(x[None], texture))
    error = (views[0] - views[1]).square().mean()  # of the blur and of the noise
    in_noise = (error / NOISE_VARIANCE - 1).clamp(UNLEARNT, 100).item()
    net.offset.data[:, net.colours :] = math.log(math.expm1(in_noise / SPREAD_UNITS))
    return _pad(net, [*views, weight[None], views[0] - views[1]]), texture


def _views(
    net: BlindSpotNet, x: Tensor, noise: Tensor, others: Tensor | None, texture: Tensor | None
) -> list[Tensor]:
    """Return the image, the mixture, the rings, the other images, the noise's variance."""
    rings = ring_means(x[None], net.hole)
    if others is None:
        texture = None if texture is None else predict_texture(x[None], texture)
        return [x[None], best_mixture(x[None], rings, texture), rings, noise[None]]
    mixture = mix_with(x[None], rings, others[None], net.hole)
    return [x[None], mixture, rings, others[None], noise[None]]


def _pad(net: BlindSpotNet, views: list[Tensor]) -> Tensor:
    """Mirror at the borders as far as the network sees."""
    return torch.cat([mirror(view, net.reach) for view in views], dim=1)


def _predict_other(
    net: BlindSpotNet, noise: Tensor, texture: Tensor | None, orientation: int, seen: Tensor
) -> Tensor:
    """Return the blind prediction (C, Y, X) of another image than the one that is fitted.

    `seen` is that image and then the others beside it.
    """
    x, others = seen[: len(noise)], seen[len(noise) :] if net.visible else None
    return predict_image(net, _pad(net, _views(net, x, noise, others, texture)), orientation)[0]


@torch.no_grad()
def _starts_warm(
    net: BlindSpotNet, previous: dict[str, Tensor], padded: Tensor, plan: MemoryPlan
) -> bool:
    """Load the previous weights where they predict better than the blur; return whether they do.

    Judged by the likelihood, not by the error alone: a network of another kind of plane may be as
    close on average, but too sure of itself, and then the few pixels that stand out would be wiped
    away. The mixture with other images is made for this plane, and may be better than what a
    network adds that was carried on: then its features are kept, and the fit starts at the mixture.
    """
    own = {name: value.clone() for name, value in net.state_dict().items()}
    start = _mean_log_loss(net, padded, plan)
    net.load_state_dict(previous)
    carried = _mean_log_loss(net, padded, plan)
    if carried < start:
        return True
    if net.visible and carried < _log_loss_of_blur(net, padded):
        net.load_state_dict({**previous, **{name: own[name] for name in ("last.weight", "offset")}})
        return True
    net.load_state_dict(own)
    return False


def _log_loss_of_blur(net: BlindSpotNet, padded: Tensor) -> float:
    """Return the mean negative log-likelihood under the blur of the image alone."""
    colours, rings = net.colours, net.colours * len(RING_WIDTHS)
    middle = shrink(padded, net.reach, net.reach)
    x, around = middle[:, :colours], middle[:, 2 * colours : 2 * colours + rings]
    error = (x - best_mixture(x, around)).square().mean()
    variance = error.clamp_min(NOISE_VARIANCE)  # a network's is that of noise or more, too
    return float(error / variance + variance.log())


def _weighted_log_loss(net: BlindSpotNet, crops: Tensor) -> Tensor:
    """Return the weighted sum of the negative log-likelihood of crops."""
    colours, middle = net.colours, shrink(crops, net.reach, net.reach)
    of_loss = middle[:, -1 - 2 * colours :]
    noise, weight, change = torch.split(of_loss, [colours, 1, colours], dim=1)
    out = net.change(crops[:, : -1 - 2 * colours])
    loss: Tensor = _WeightedLogLoss.apply(out, change, noise, weight)  # type: ignore[no-untyped-call]
    return loss


class _WeightedLogLoss(torch.autograd.Function):
    """`_negative_log_likelihood` of (B, 2 C, Y, X), summed by weights, in few operations."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, target: Tensor, noise: Tensor, weight: Tensor) -> Tensor:
        mean, spread = out.chunk(2, dim=1)
        variance = torch.add(noise, softplus(spread), alpha=SPREAD_UNITS * NOISE_VARIANCE)
        error, precision = mean - target, weight / variance
        half = error * precision  # of the gradient of the mean
        squares = error * half
        ctx.save_for_backward(spread, variance, precision, half, squares)
        return torch.addcmul(squares, weight, variance.log()).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        spread, variance, precision, half, squares = ctx.saved_tensors
        of_variance = torch.addcdiv(precision, squares, variance, value=-1)
        of_spread = torch.ops.aten.softplus_backward(of_variance, spread, 1, 20)
        of_spread *= SPREAD_UNITS * NOISE_VARIANCE
        return torch.cat([2 * half, of_spread], dim=1).mul_(gradients[0]), None, None, None


def _mean_log_loss(net: BlindSpotNet, padded: Tensor, plan: MemoryPlan) -> float:
    """Return the mean negative log-likelihood of all pixels, up to a constant."""
    total, count = 0.0, 0
    for mean, variance, measured, noise in _predict_strips(net, padded, 0, plan):
        total += float(_negative_log_likelihood(mean, measured, variance, noise).sum())
        count += measured.numel()
    return total / count


def _negative_log_likelihood(
    mean: Tensor, measured: Tensor, error_variance: Tensor, noise: Tensor
) -> Tensor:
    """Return it for every pixel, up to a constant; its variance is that of error and noise."""
    variance = error_variance + noise
    return (mean - measured).square() / variance + variance.log()


def _save_weights(
    steps: Iterator[Step], net: BlindSpotNet, weights: dict[str, Tensor]
) -> Iterator[Step]:
    """Put the weights of the step that was chosen into `weights`, once the fit is at its end."""
    chosen: dict[str, Tensor] = {}
    for step in steps:
        if step.chosen == step.index:
            chosen = {name: value.clone() for name, value in net.state_dict().items()}
        yield step
    weights.update(chosen)


def _error_variance(spread: Tensor) -> Tensor:
    """Turn the network's second output into the variance of its error, a positive number."""
    return SPREAD_UNITS * NOISE_VARIANCE * softplus(spread)


def _predict_strips(
    net: BlindSpotNet, padded: Tensor, orientation: int, plan: MemoryPlan
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return prediction, variance of its error, measured pixels, their noise's variance, by strips.

    All are turned; parameters are those of `predict_image`.
    """
    reach = net.reach
    height = padded.shape[-2] - 2 * reach
    rows = max(1, STRIP_PIXELS // padded.shape[-1])
    predict = net if bool(net.last.weight.any()) else net.start

    def strip(top: int, bottom: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = turn(padded[..., top : bottom + 2 * reach, :], orientation)
        mean, spread = predict(x[:, : -net.colours])
        middle = x[..., reach:-reach, reach:-reach]
        measured, noise = middle[:, : net.colours], middle[:, -net.colours :]
        return mean, _error_variance(spread), measured, noise

    return in_strips(strip, height, rows, plan)


def predict_image(
    net: BlindSpotNet,
    padded: Tensor,
    orientation: int,
    blurs: BlurMixtures | None = None,
    plan: MemoryPlan | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Denoise the whole image with the network as it is.

    Parameters
    ----------
    padded : Tensor
        Shape (1, C * (3 + rings) + others, Y + 2 reach, X + 2 reach): what the network sees, and
        the variance of the noise.
    orientation : int
        Which of the eight orientations the network gets to see.
    blurs : BlurMixtures, optional
        Of the image, where its noise is correlated: the answer is mixed with them.
    plan : MemoryPlan, optional
        How the run copes with little memory.

    Returns
    -------
    blind, answer, v : Tensor
        Shape (C, Y, X) each: the prediction from the neighbours, its mean with the measured pixel,
        each weighted by the inverse of its variance, and the variance of the prediction's error as
        the network says it.
    """
    strips, plan = [], plan or MemoryPlan(padded.device)
    for mean, v, measured, noise in _predict_strips(net, padded, orientation, plan):
        answer = (noise * mean + v * measured) / (noise + v)
        strips.append(turn_back(torch.stack([mean, answer, v, noise]), orientation))
    blind, answer, v, noise = torch.cat(strips, dim=-2)[:, 0]  # (4, 1, C, Y, X) before
    if blurs is not None:
        answer = blurs.mix(answer, v / (noise + v), v)
    return blind, answer, v
