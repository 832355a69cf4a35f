"""How far off a blind-spot answer may be: a standard deviation for every pixel, of one image alone.

The blind prediction b of a pixel errs because the pixels that it is made of are noisy, and because
structure finer than it resolves is lost. The first part is measured: noise of the size of the
image's own is added to it, and the change of the prediction seen,

    p = E[(b(y + t e) - b(y))^2] / t^2.

The second part is a multiple of it. For a filter that weighs both as well as can be, the Wiener
filter of gain G(f) for noise of variance s^2, they sum up to s^2 times the mean of G, and p is s^2
times that of G^2: the error is p a / (a - 2) where the power of structure falls with the spatial
frequency to the -a; 2 to 3 times p for a of 4 to 3, as of blurred images and of edges. Where the
network says of a pixel that its surroundings leave more open than that, it is believed. Other
images of the same place show what is as fine as the blind spot: beside them less is lost.

The answer weighs b and the measured pixel by w, so its error has the variance
(1 - w)^2 (that of b) + w^2 s^2. What means of similar places change of it:
`napari_dip.nets.similar_places.std_of_mixture`.

Both parts are too large in an empty image, where the noise as it was measured need only be a few
percent too weak to look like lost structure. But an answer differs from pixel to pixel by no less
than by its error: what it varies by over the image is the most that the error can be
(`limit_to_variation`).

The noise of other images is taken to be as strong as the image's own, which it is not quite where
their brightness had to be matched.

What one image cannot tell is not in it: a slow drift between captures, or noise that neighbours
share so weakly that it counts as independent. The added noise is independent from pixel to pixel
for images of correlated noise too.

References
----------
Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, MIT Press 1949.
Ramani, Blu and Unser, Monte-Carlo SURE, IEEE TIP 2008, doi:10.1109/TIP.2008.2001404: what noise
does to an answer, measured by adding some.
Laine, Karras, Lehtinen and Aila, High-Quality Self-Supervised Deep Image Denoising, NeurIPS 2019,
arXiv:1901.10277: the variance of the error that the network predicts.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_dip.nets.gaussian import blur

DRAWS = 2  # of added noise, at each prediction of the image
ADDED = 0.3  # standard deviation of the added noise, in those of the image's own
SMOOTH = 3.0  # pixels over which p is averaged
LOCAL = 4.0  # pixels over which the squares of the residual are averaged
ERROR_OVER_P = 2.0  # where there is structure; confirmed on real pairs, docs/results/family.md
ERROR_OVER_P_BESIDE_OTHERS = 1.4
UNLEARNT = 0.01  # of the noise's variance: the network's least guess as long as it knows nothing


class AnswerError:
    """The standard deviation of the answer's error, from the predictions of a fit in turn.

    Parameters
    ----------
    noise : Tensor
        Shape (C, Y, X), variance of the noise in the units of the image that is predicted.
    weight : float
        Of the past in the averages over predictions, as for the answer.
    seed : int
        Of the added noise.
    others : int
        Channels of other images that the prediction is made of, too: their noise is added to.
    """

    def __init__(self, noise: Tensor, weight: float, seed: int, others: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.noise, self.weight, self.count = noise, weight, 0
        self.over_p = ERROR_OVER_P_BESIDE_OTHERS if others else ERROR_OVER_P
        size = (len(noise) + others, *noise.shape[1:])
        self.draws = [torch.randn(size, generator=generator) for _ in range(DRAWS)]
        self.means: tuple[Tensor, ...] = ()

    def update(
        self, seen: Tensor, blind: Tensor, left_open: Tensor, predict: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return the standard deviation after one more prediction.

        Parameters
        ----------
        seen : Tensor
            Shape (C + others, Y, X), the noisy image, and then the other images.
        blind, left_open : Tensor
            Shape (C, Y, X) each: the blind prediction, and the variance of the error that the
            network says it has.
        predict : callable
            Returns the blind prediction from images as `seen` of other noise.
        """
        self.count += 1
        y = seen[: len(blind)]
        # Less where the dark is clipped: there the residual, noise and error, is smaller.
        noise = blur((y - blind).square()[None], LOCAL)[0].minimum(self.noise)
        if not self.means:  # what is seen twice has one noise
            first = [
                next(j for j in range(i + 1) if seen[j].equal(seen[i])) for i in range(len(seen))
            ]
            self.draws = [draw[first] for draw in self.draws]
        added = ADDED * noise.sqrt()[torch.arange(len(seen), device=y.device) % len(noise)]
        changes = [(predict(seen + added * draw.to(y)) - blind) / ADDED for draw in self.draws]
        new = (blind, left_open, *changes)
        past = min(self.weight, 1 - 1 / self.count)
        pairs = zip(new, self.means or new, strict=True)
        self.means = tuple(torch.lerp(one, mean, past) for one, mean in pairs)
        blind, left_open, *changes = self.means
        propagated = blur(torch.stack(changes).square().mean(0, keepdim=True), SMOOTH)[0]
        grown = _growth(blind, propagated, self.over_p) * propagated
        error = grown.maximum(left_open - UNLEARNT * self.noise)
        own_share = left_open / (self.noise + left_open)
        return ((1 - own_share).square() * error + own_share.square() * noise).sqrt()


def _growth(blind: Tensor, propagated: Tensor, over_p: float) -> Tensor:
    """Return error over p, (C, 1, 1): less where the prediction varies no more than by its noise.

    In an empty image there is nothing to lose, and its few degrees of freedom are noise alone.
    """
    ratio = blind.var((1, 2), correction=0, keepdim=True) / propagated.mean(
        (1, 2), keepdim=True
    ).clamp_min(1e-30)
    structure = (1 - 1 / ratio.clamp_min(1.0)) * (over_p - 1)
    return ratio.clamp_max(1.0) + structure


def limit_to_variation(std: Tensor, answer: Tensor, noise: Tensor) -> Tensor:
    """Scale deviations (C, Y, X) down to how much the answer varies, and its mean by the noise.

    `noise` is the standard deviation of the noise, which is independent from pixel to pixel.
    """
    most = answer.var((1, 2), correction=0) + noise.square().mean((1, 2)) / answer[0].numel()
    scale = most / std.square().mean((1, 2)).clamp_min(1e-30)
    return std * scale.clamp_max(1.0).sqrt()[:, None, None]
