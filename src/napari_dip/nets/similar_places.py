"""Average the measured pixels of similar places: those around which a first answer looks alike.

    mean(p) = [(y(p) + f(p)) / 2 + sum_q w(p, q) y(q)] / [1 + sum_q w(p, q)],    q other than p,
    w(p, q) = exp(-|f(p + .) - f(q + .)|^2 / h)

f is the first answer and y the noisy image, in units of the noise; the distance is a mean over a
patch, weighted by a Gaussian, so that a spot of light is compared above all by its own brightness.
The pixel itself counts by half with its first answer: where no place is alike, as on a bead apart
from others, the mean would be its own noise.
Noise hides which places are alike; a first answer shows it (as in the second pass of BM3D). What
the network errs by and what these means err by has little in common: half of each is better than
either.
Where the two differ by much, as at a faint spot among flat places, the answer is moved by no more
than MOST of the noise would ask for.
More places are dim than bright, and so the means pull bright structure down. The mean change at
each brightness is therefore taken off again. Brightness is that of the means, which hold less of
the answer's error: at levels of the answer, what the means average away would be put back.

References
----------
Buades, Coll and Morel, A non-local algorithm for image denoising, CVPR 2005,
doi:10.1109/CVPR.2005.38.
Dabov, Foi, Katkovnik and Egiazarian, Image denoising by sparse 3-D transform-domain collaborative
filtering, IEEE TIP 2007, doi:10.1109/TIP.2007.901238 (a first answer finds what is alike).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from napari_dip.nets.blind_spot import shrink
from napari_dip.nets.gaussian import blur, gaussian_line, mirror

REACH = 7  # pixels, in y and x, to the furthest place that is compared
PATCH_SIGMA, PATCH_RADIUS = 1.0, 3  # pixels
MARGIN = REACH + PATCH_RADIUS
STRIP_PIXELS = {"cpu": 1 << 15}  # that are worked on at a time: what fits a CPU's cache
STRIP_PIXELS_ELSEWHERE = 1 << 20
ALIKE = 0.3  # h: squared difference, in variances of the noise, at which a weight falls to 1 / e
MOST = 0.5  # standard deviations of the noise, by which the means may differ from the answer
SHARE = 0.5  # of the means in the mixture
SHARE_BESIDE_OTHERS = 0.25  # where planes nearby have made the first answer better
LEVELS, LEVEL_PIXELS = 64, 256  # of brightness, in a colour: at most, and the least pixels of one
SMOOTH = 3.0  # pixels over which squared differences of answer and mixture are averaged


@torch.no_grad()
def mix_similar(y: Tensor, answer: Tensor, std: Tensor, share: float = SHARE) -> Tensor:
    """Mix an answer with the means over the places where it looks alike, at its brightness.

    Parameters
    ----------
    y, answer : Tensor
        Shape (C, Y, X), the noisy image and the answer. All colours are compared together.
    std : Tensor
        Shape (C, Y, X), standard deviation of the noise, which is independent between pixels.
    share : float
        Of the means in what is returned.

    Returns
    -------
    Tensor
        Shape (C, Y, X).
    """
    sums = torch.cat([(y + answer) / 2, torch.ones_like(y[:1])])  # the pixel itself, weight 1
    padded = mirror(torch.stack([y, answer, std.square().reciprocal()]), MARGIN)
    rows = max(1, STRIP_PIXELS.get(y.device.type, STRIP_PIXELS_ELSEWHERE) // y.shape[-1])
    for top in range(0, sums.shape[1], rows):
        strip = sums[:, top : top + rows]
        _add_similar(strip, *padded[..., top : top + strip.shape[1] + 2 * MARGIN, :])
    means = sums[:-1] / sums[-1]
    change = share * (means - answer).clamp(-MOST * std, MOST * std)
    return answer + change - torch.stack([*map(_mean_by_brightness, change, means)])


def _add_similar(sums: Tensor, y: Tensor, answer: Tensor, precision: Tensor) -> None:
    """Add the weighted pixels of all similar places, and then the weights, to `sums` (C + 1, Y, X).

    The others have margins of MARGIN pixels. All places along a line are compared at once.
    """
    height, width = sums.shape[-2:]
    side = 2 * REACH + 1
    line = gaussian_line(PATCH_SIGMA, PATCH_RADIUS, y).expand(side, 1, 1, -1)
    y = shrink(y, PATCH_RADIUS, PATCH_RADIUS)
    own, precision = (shrink(image, REACH, REACH)[:, None] for image in (answer, precision))
    for down in range(side):
        there = answer[:, down : down + own.shape[-2]].unfold(-1, own.shape[-1], 1)
        squares = ((own - there.transpose(1, 2)).square() * precision).mean(0)  # (side, Y, X)
        alike = conv2d(conv2d(squares, line, groups=side), line.mT, groups=side)
        weights = torch.exp(alike / -ALIKE)
        if down == REACH:
            weights[REACH] = 0
        measured = y[:, down : down + height].unfold(-1, width, 1).transpose(1, 2)
        sums[:-1] += (weights * measured).sum(1)
        sums[-1] += weights.sum(0)


def _mean_by_brightness(change: Tensor, image: Tensor) -> Tensor:
    """Return the mean change (Y, X) at the brightness of each pixel, interpolated between levels.

    Levels are quantiles of the image. Pixels of one value are all in one level.
    """
    brightness = image.flatten()
    pixels = len(brightness)
    count = min(max(pixels // LEVEL_PIXELS, 1), LEVELS)
    lowest = torch.arange(count, device=image.device) * pixels // count
    first = torch.unique(brightness.sort().values[lowest])
    level = torch.searchsorted(first, brightness, right=True) - 1
    size = torch.zeros_like(first).index_add(0, level, torch.ones_like(brightness))
    at, means = (
        torch.zeros_like(first).index_add(0, level, values) / size
        for values in (brightness, change.flatten())
    )
    above = torch.searchsorted(at, image.contiguous()).clamp(max=len(at) - 1)
    below = (above - 1).clamp(min=0)
    gap = (at[above] - at[below]).clamp(min=torch.finfo(at.dtype).tiny)
    return torch.lerp(means[below], means[above], ((image - at[below]) / gap).clamp(0, 1))


def std_of_mixture(std: Tensor, answer: Tensor, mixed: Tensor, share: float = SHARE) -> Tensor:
    """Return the standard deviation of the error of what `mix_similar` returned.

    Of two estimates a and m, mixed by a share c of m, the squared error is, whatever their errors
    have in common,

        (1 - c) E_a + c E_m - c (1 - c) (m - a)^2.

    The means err about as much as the answer does, so the last term is what is won. It is limited
    to what independent errors would win.

    Parameters
    ----------
    std, answer, mixed : Tensor
        Shape (C, Y, X), the deviation of the answer's error, the answer, and the mixture.
    share : float
        As for `mix_similar`.

    Returns
    -------
    Tensor
        Shape (C, Y, X).
    """
    variance = std.square()
    won = (1 - share) / share * blur((mixed - answer).square()[None], SMOOTH)[0]
    return (variance - won.minimum(2 * share * (1 - share) * variance)).sqrt()
