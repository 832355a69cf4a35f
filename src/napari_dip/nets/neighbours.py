"""Other images of the same place beside the one to denoise: planes before and after, or a guide.

Their noise is not that of the image, so a network may look at all of their pixels. `Match` brings a
plane to the image's brightness and, by whole pixels, to its place; finer motion, and motion that
differs over the field, is left to the network. `fit_brightness` does the first for a guide, which
may show the same in another contrast. `mix_with` is the linear start of a fit. In it what differs
from the image by more than noise is left out, such as a spot that lights up in one plane alone: a
linear mixture would show its ghost.

References
----------
Sheth et al., Unsupervised Deep Video Denoising, ICCV 2021, arXiv:2011.15045: blind to the pixel of
the middle frame, and to none of its neighbours, without estimating motion.
Eom et al., Statistically unbiased prediction enables accurate denoising of voltage imaging data
(SUPPORT), Nature Methods 2023, doi:10.1038/s41592-023-02005-8: the same for movies of cells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from napari_dip.nets.blind_spot import RING_WIDTHS, best_mixture, ring_mean, ring_means
from napari_dip.nets.gaussian import blur, mirror

FAR = 16  # pixels, the longest displacement that is looked for
NARROW, WIDE = 1.5, 8.0  # standard deviations of the blurs between which a displacement is seen
GAINS = (0.5, 2.0)  # by which a neighbour's contrast may be changed: an empty one has none
COMPARED = RING_WIDTHS[1]  # ring means of this width are compared
ALIKE, UNLIKE = 2.0, 4.0  # standard deviations of a difference that is noise, and that is not
LEAST_GAIN = 0.05  # of the error, beside the noise: an image that gains less does not help
SURE = 2.0  # standard errors of a gain that is believed
JUDGED = 512  # pixels, side of the part of a large image that is judged
SQUARE = 11  # pixels, side of the squares that a mixture is fitted to or judged on
LEAST_SQUARES = 4  # of an image in which anything is judged
AWAY = (0.38, 0.29)  # of height and width: how far off a wrong place is
TOO_GOOD = 0.25  # of the noise that is predicted: no image of other noise does that
SHARED_NOISE = 0.3  # least correlation of the noise of two planes that is believed
QUIET = 0.1  # of the squares, in which it is looked for
WIDTHS = (0.7, 1.4, 2.8)  # standard deviations in pixels of the blurs of another image
_Key = TypeVar("_Key")


class Match(NamedTuple):
    """How another plane (C, Y, X) is moved by whole pixels to where it fits x, and brightened.

    Attributes
    ----------
    rows, columns : int
        How much further its content lies.
    mean, gain, aim : Tensor
        Shape (C, 1, 1): what its mean is, by what its contrast is changed, and x's mean.
    """

    rows: int
    columns: int
    mean: Tensor
    gain: Tensor
    aim: Tensor

    def apply(self, other: Tensor) -> Tensor:
        """Move and brighten the plane."""
        return self.brighten(shift(other, self.rows, self.columns))

    def brighten(self, moved: Tensor) -> Tensor:
        """Bring the plane, or a part of it, to x's brightness."""
        return (moved - self.mean) * self.gain + self.aim


def match(other: Tensor, x: Tensor) -> Match:
    """Find where another plane (C, Y, X) fits x, and how bright it has to be."""
    seen, aim = blur(other[None], NARROW)[0], blur(x[None], NARROW)[0]
    rows, columns = displacement(seen, aim)
    seen, dims = shift(seen, rows, columns), (-2, -1)
    contrast = seen.std(dims, keepdim=True).clamp_min(1e-6)
    gain = (aim.std(dims, keepdim=True) / contrast).clamp(*GAINS)
    return Match(rows, columns, seen.mean(dims, keepdim=True), gain, aim.mean(dims, keepdim=True))


def shift(image: Tensor, rows: int, columns: int) -> Tensor:
    """Move the content of (..., Y, X) up and to the left; borders are mirrored."""
    far, (height, width) = max(abs(rows), abs(columns)), image.shape[-2:]
    top, left = far + rows, far + columns
    return mirror(image, far)[..., top : top + height, left : left + width]


def fit_brightness(guide: Tensor, x: Tensor) -> Tensor:
    """Bring a guide (G, Y, X) to the brightness of x (C, Y, X), by a line fitted to their blurs.

    Each of its channels to one of x in turn.
    """
    aim = x[torch.arange(len(guide), device=x.device) % len(x)]
    seen, aim = (image - image.mean((-2, -1), keepdim=True) for image in (guide, aim))
    seen_blur, aim_blur = blur(seen[None], NARROW)[0], blur(aim[None], NARROW)[0]
    power = seen_blur.square().sum((-2, -1), keepdim=True).clamp_min(1e-12)
    gain = (seen_blur * aim_blur).sum((-2, -1), keepdim=True) / power
    return seen * gain + x.mean((-2, -1), keepdim=True)[torch.arange(len(guide)) % len(x)]


def displacement(other: Tensor, x: Tensor) -> tuple[int, int]:
    """Return by how many pixels in y and x the content of (C, Y, X) lies further than in `x`.

    It is the place of the highest correlation; both should be blurred as far as their noise asks.
    """
    height, width = x.shape[-2:]
    spectra = [torch.fft.rfft2(image - blur(image[None], WIDE)[0]) for image in (other, x)]
    correlation = torch.fft.irfft2(spectra[0] * spectra[1].conj(), s=(height, width)).sum(0)
    far_y, far_x = min(FAR, (height - 1) // 4), min(FAR, (width - 1) // 4)
    near = correlation.roll((far_y, far_x), (0, 1))[: 2 * far_y + 1, : 2 * far_x + 1]
    row, column = divmod(int(near.argmax()), 2 * far_x + 1)
    return row - far_y, column - far_x


def mix_with(x: Tensor, rings: Tensor, others: Tensor, hole: tuple[int, int]) -> Tensor:
    """Predict x (1, C, Y, X) by the best mixture of its ring means and of other images.

    Parameters
    ----------
    rings : Tensor
        Shape (1, C * rings, Y, X), see `napari_dip.nets.blind_spot.ring_means`.
    others : Tensor
        Shape (1, N, Y, X), of independent noise.
    """
    return best_mixture(x, rings, mixable(others, x, rings, hole))


def mixable(others: Tensor, x: Tensor, rings: Tensor, hole: tuple[int, int]) -> Tensor:
    """Return (1, 8 * N, Y, X) of N other images: pixels, their blurs, and one moved by a pixel.

    Where one differs from x by more than noise, x's own blind prediction is put in its place. What
    differs is seen in the means around each pixel, so that the pixel's own noise decides nothing.
    Channels of `others` are compared with those of x in turn.
    """
    own, around = best_mixture(x, rings), ring_mean(x, COMPARED, hole)
    views = []
    for number, other in enumerate(torch.split(others, 1, dim=1)):
        colour = slice(number % x.shape[1], number % x.shape[1] + 1)
        difference = (ring_mean(other, COMPARED, hole) - around[:, colour]).abs()
        # The median is that of noise, unless most of the image has changed.
        spread = (difference.median() / 0.6745).clamp_min(1e-6)
        share = ((UNLIKE - difference / spread) / (UNLIKE - ALIKE)).clamp(0, 1)
        # Last, at each pixel: blurred or moved, the own prediction would not be blind any more.
        views.append(torch.lerp(own[:, colour], _blurred_and_moved(other), share))
    return torch.cat(views, dim=1)


def _blurred_and_moved(other: Tensor) -> Tensor:
    narrow, *wider = (blur(other, width) for width in WIDTHS)
    around = mirror(narrow, 1)
    moved = [
        around[..., 1 + dy : around.shape[-2] - 1 + dy, 1 + dx : around.shape[-1] - 1 + dx]
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    return torch.cat([other, narrow, *wider, *moved], dim=1)


class Judge:
    """Says of other images (N, Y, X) whether they help to predict x, and whether they may.

    The best mixture is found on every other square of x and judged on those between, and the other
    way round, so that no pixel takes part in the weights of its own prediction. The smaller error
    is that of the better prediction, and not of the one with more to choose from. In a large image
    that is done where most is seen; in one of less than LEAST_SQUARES squares nothing helps.

    Parameters
    ----------
    x : Tensor
        Shape (C, Y, X), its noise of variance 1.
    hole : (int, int)
        How far, in y and x, neighbouring pixels share their noise.
    """

    def __init__(self, x: Tensor, hole: tuple[int, int]) -> None:
        self.whole, self.hole, self.where = x, hole, _where_most_is_seen(x, JUDGED)
        self.x = x[self.where][None]
        self.rings = ring_means(self.x, hole)
        rows, columns = (torch.arange(n, device=x.device) // SQUARE for n in self.x.shape[-2:])
        self.fold = (rows[:, None] + columns) % 2 == 0
        squares = math.prod(n // SQUARE for n in self.x.shape[-2:])
        self.alone = self._errors(None) if squares >= LEAST_SQUARES else None
        self.residual = self.x - best_mixture(self.x, self.rings)

    def says(self, others: Tensor) -> Literal["helps", "own noise", "no help"]:
        """Return whether x is predicted better with other images than without, beyond chance.

        Without is: as well as by its own pixels alone, or with other images from the wrong place.
        What fills dark places with a constant helps a little, too, whatever it shows. Better than
        x's noise lets images of other noise do it, x is predicted by what was made of x itself,
        such as a copy that was blurred: that has its own noise.
        """
        if self.alone is None:
            return "no help"
        others = others[self.where]
        errors = self._errors(others)
        noise = self.alone.quantile(QUIET).clamp(max=1.0)  # where there is little structure
        if float(errors.mean()) < (1 - TOO_GOOD) * float(noise):
            return "own noise"
        if not _is_less(errors, self.alone):
            return "no help"
        away = [round(part * n) for part, n in zip(AWAY, others.shape[-2:], strict=True)]
        elsewhere = self._errors(others.roll(away, (-2, -1)))
        return "helps" if _is_less(errors, elsewhere) else "no help"

    def _errors(self, others: Tensor | None) -> Tensor:
        """Return the mean square errors in squares, each by a mixture that is not fitted to it."""
        views = None if others is None else mixable(others[None], self.x, self.rings, self.hole)
        square = torch.zeros_like(self.x)
        for fitted in (self.fold, ~self.fold):
            error = self.x - best_mixture(self.x, self.rings, views, fitted)
            square += error.square() * ~fitted
        return _in_squares(square)

    def choose(self, others: Mapping[_Key, Tensor]) -> tuple[dict[_Key, Match], int]:
        """Match other planes (C, Y, X); return those that help, and how many have x's noise."""
        kept, same_noise = {}, 0
        for key, other in others.items():
            found = match(other, self.whole)
            moved = found.apply(other)
            shared = self.shares_noise(moved, found.gain.square())
            said = "own noise" if shared else self.says(moved)
            same_noise += said == "own noise"
            if said == "helps":
                kept[key] = found
        return kept, same_noise

    def shares_noise(self, other: Tensor, variance: Tensor | float = 0.0) -> bool:
        """Return whether another image (C, Y, X) has x's own noise.

        Where neither holds structure, in their quietest squares, what is left of both beside their
        own blind predictions is noise. Fine structure that both show everywhere is no noise: what
        is compared is no more than that of x and the other's own, of a `variance`.
        """
        if self.alone is None:
            return False
        other = other[self.where]
        theirs = best_mixture(other[None], ring_means(other[None], self.hole))
        own, others = self.residual, other[None] - theirs
        power, difference = map(
            _in_squares, (own.square() + others.square(), (own - others).square())
        )
        quiet = power <= power.quantile(QUIET)
        noise = 1 + float(torch.as_tensor(variance).mean())
        left = min(float(power[quiet].mean()), noise)
        return float(difference[quiet].mean()) < (1 - SHARED_NOISE) * left


def _is_less(errors: Tensor, others: Tensor) -> bool:
    """Return whether mean square errors in squares, in units of the noise, are less for sure."""
    gains = others - errors
    chance = float(gains.std(correction=0)) / math.sqrt(gains.numel())
    least = LEAST_GAIN * max(float(others.mean()) - 1, 0.0)
    return float(gains.mean()) > max(least, SURE * chance)


def _in_squares(image: Tensor) -> Tensor:
    """Return the means of (1, C, Y, X) in whole squares."""
    return functional.avg_pool2d(image.mean(1), SQUARE)


def _where_most_is_seen(x: Tensor, side: int) -> tuple[slice, slice, slice]:
    """Return the square of (C, Y, X), or all of a smaller image, whose intensity varies most."""
    height, width = (min(side, n) for n in x.shape[-2:])
    seen = (x - x.mean((-2, -1), keepdim=True)).square().mean(0)
    places = product(*({*range(0, n - side, side // 2), max(n - side, 0)} for n in seen.shape))
    top, left = max(
        sorted(places), key=lambda at: float(seen[at[0] :, at[1] :][:height, :width].mean())
    )
    return slice(None), slice(top, top + height), slice(left, left + width)


def surroundings(x: Tensor, hole: tuple[int, int]) -> Tensor:
    """Return means of (C, Y, X) around each pixel, which stand in where no other plane helps.

    Only where a trained network is applied: those beside a pixel hold its noise, and a network
    that is trained on them learns to return it.
    """
    return ring_mean(x[None], COMPARED, hole)[0]
