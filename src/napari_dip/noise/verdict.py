"""A verdict on an answer where no clean image exists, from the residual ``noisy - answer``.

The residual of a good answer looks like the noise: its mean is 0 at every level of brightness, no
place departs from 0 by more than noise can, it holds less of the fine detail of structured parts
than the answer does, and it nowhere runs against the answer's own detail, as it does where that is
not in the noisy image. And in flat parts, the finest fluctuation of the noise is gone from the
answer.

Everything is read off the noisy image and the answer. What both share, such as a defocus, cannot be
seen. Every answer keeps a little of the noise, most of all in structured parts, and the residual
hangs together with that; so the limits are those that good answers on other images keep, not 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_dip.noise.anscombe import FLAT, is_flat
from napari_dip.noise.unit_range import enlarge_grid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_dip.noise.measured_noise import MeasuredNoise

    Pixels = NDArray[np.float32]
    AnyPixels = TypeVar("AnyPixels", NDArray[np.float32], NDArray[np.float64])
    Mask = NDArray[np.bool_]

SCALES = (1, 2, 4)  # pixels, widths of the Gaussians that split an image into bands
FLATTEST, STRUCTURED = 0.3, 0.8  # quantiles of the answer's slope: flat below, structured above
# Standard errors that no place of a good answer of 256 x 256 pixels reaches: photons are skewed, so
# that single bright pixels make the tail above 0 the longer one.
ADDED = {1: 5.5, 2: 4.8, 4: 4.5}
REMOVED = {1: 5.5, 2: 5.2, 4: 4.8}
SET_ON = 256**2
DETAIL_LEFT, COARSENESS, DETAIL_ADDED = 0.4, 0.08, 0.1
NOISE_LEFT, LEAST_REMOVED = 0.15, 0.5
OFFSET, LEVEL_OFFSET, SCALE = 0.05, 0.2, 0.035
# Standard errors that a number must be away from 0, besides its limit.
ERRORS, COARSENESS_ERRORS, DETAIL_ERRORS = 4.0, 2.0, 3.0
BLOCK = 16  # pixels, the side of the squares whose sums stand for independent ones
LEVELS = 8
LEAST_STD = 0.1  # of its root mean square: quantised images have places without noise
LEAST_SIDE = 4 * BLOCK
GOOD = "No fault found in the answer."
SENTENCES = {
    "structure_left": "Too smooth: structure was taken away with the noise; denoise less strongly.",
    "noise_left": "Noise is left in the answer; denoise more strongly.",
    "brightness": "Brightness is not kept: the answer is too {dark} by up to {offset:.1g} standard "
    "deviations of the noise; measure no intensities in it.",
    "structure_added": "The answer shows structure that the noisy image does not support; do not "
    "trust its details.",
}


@dataclass(frozen=True)
class Verdict:
    """What the residual says about the answer for one channel; of several, the worst.

    Attributes
    ----------
    detail_left : float
        How much detail of 1 to 2 pixels (coarser where noise is correlated) the residual holds in
        structured parts, beyond that in flat ones, relative to what the answer holds of it: 1 where
        half of the detail was taken away. Noise that the answer keeps adds to it.
    coarseness : float
        How much more energy of that detail, relative to the finest, the residual has in structured
        parts than in flat ones: 0 for noise, below 0 where the answer keeps some of that.
    place_left : float
        How far the noisy image lies above the answer at its most significant place, in standard
        errors of a Gaussian mean of 1, 2 or 4 pixels.
    noise_left : float
        Share of the noise that is still in the answer, 0 to 1, from the flat parts.
    brightness : float
        Mean of ``noisy - answer``, in standard deviations of the noise, at the level of brightness
        where it is largest; positive where the answer is too dark.
    scale : float
        Slope of the noisy image against the answer over squares of 16 pixels; 1 where kept.
    detail_added : float
        Strength of detail in the answer that the residual runs against, in variances of the noise
        in that band; 0 or less where there is none.
    place_added : float
        How far the answer lies above the noisy image at its most significant place, in standard
        errors as in `place_left`.
    errors : dict of str to float
        Standard errors of the others, by their names.
    flagged : tuple of str
        Names of what is wrong: of ``structure_left``, ``noise_left``, ``brightness`` and
        ``structure_added``.
    """

    detail_left: float
    coarseness: float
    place_left: float
    noise_left: float
    brightness: float
    scale: float
    detail_added: float
    place_added: float
    errors: dict[str, float]
    flagged: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What a user is told."""
        words = {
            "dark": "dark" if self.brightness > 0 else "bright",
            "offset": abs(self.brightness),
        }
        return " ".join(SENTENCES[name].format(**words) for name in self.flagged) or GOOD

    def to_json(self) -> dict[str, Any]:
        """Return all of it, numbers rounded to three digits."""
        rounded = {k: float(f"{v:.3g}") for k, v in asdict(self).items() if isinstance(v, float)}
        errors = {name: float(f"{error:.3g}") for name, error in self.errors.items()}
        flagged = list(self.flagged)
        return {**rounded, "errors": errors, "flagged": flagged, "sentence": self.sentence}


def judge(noisy: ArrayLike, answer: ArrayLike, noise: MeasuredNoise) -> Verdict | None:
    """Judge the answer for one channel by what it took away from the noisy image.

    Parameters
    ----------
    noisy, answer : (Y, X) arrays
        Finite intensities; hot pixels and offsets of lines put right in both.
    noise : MeasuredNoise
        Of the noisy image.

    Returns
    -------
    Verdict or None
        None where there is too little to judge: fewer than 64 pixels along y or x, or no noise.

    Raises
    ------
    ValueError
        If the shapes differ or have another number of axes.
    """
    one, two = np.asarray(noisy, np.float64), np.asarray(answer, np.float64)
    if one.shape != two.shape or one.ndim != 2:
        raise ValueError(
            f"Two images (Y, X) of one shape are wanted; given were {one.shape} and {two.shape}."
        )
    if min(one.shape) < LEAST_SIDE or max(noise.variances) <= 0:
        return None
    y, a, variance, least = _in_units_of_noise(one, two, noise)
    rho = np.maximum(noise.correlation, 0)
    if noise.hole == (0, 0):  # what is measured further away is chance
        middle = len(rho) // 2
        rho = rho[middle - 1 : middle + 2, middle - 1 : middle + 2]
    s = np.sqrt(variance)
    flat, structured = _parts(y, a, s)
    brightness, scale, line, off = _brightness(y - a, a, variance, float(rho.sum()))
    removed = float(np.square(y - a).mean() / variance.mean())
    share = _noise_left(y, a, variance, flat)
    # What is wrong with the brightness of all is no fault of places.
    residual = _clipped((y - a - line) / s)
    # Zeros beyond the edge: mirrored noise would be twice as strong in a corner's mean.
    blurred = [_blur(residual, width, "constant") for width in SCALES]
    left = _place(residual, blurred, rho, REMOVED)
    low = _clipped((a + line - y) / np.sqrt(least))
    more = _place(low, [_blur(low, width, "constant") for width in SCALES], rho, ADDED)
    reach = float(np.log2(max(rho.sum(), 1.0)) / 2)  # of the noise, in octaves
    detail_left, coarseness, detail_added = _detail(
        residual, a, s, (flat, structured), min(round(reach), 2)
    )
    smooth = (
        _share_of_limit(coarseness, COARSENESS, COARSENESS_ERRORS) > 1
        and detail_left[0] - detail_left[1] > DETAIL_LEFT
    )
    against = _share_of_limit(detail_added, DETAIL_ADDED, DETAIL_ERRORS) > 1
    # A blur fills dark places beside bright ones: they are not made up.
    invented = against or (more[1] > 1 and not smooth)
    flags = {
        "structure_left": smooth or (left[1] > 1 and not against),
        "noise_left": _share_of_limit(share, NOISE_LEFT) > 1 or removed < LEAST_REMOVED,
        "brightness": off,
        "structure_added": invented and removed >= LEAST_REMOVED,
    }
    numbers = {
        "detail_left": detail_left,
        "coarseness": coarseness,
        "noise_left": share,
        "brightness": brightness,
        "scale": scale,
        "detail_added": detail_added,
    }
    return Verdict(
        **{name: value for name, (value, _) in numbers.items()},
        place_left=left[0],
        place_added=more[0],
        errors={name: error for name, (_, error) in numbers.items()},
        flagged=tuple(name for name, bad in flags.items() if bad),
    )


def _share_of_limit(number: tuple[float, float], limit: float, errors: float = ERRORS) -> float:
    """Return a number with its standard error relative to the most that it may be."""
    value, error = number
    return value / max(limit, errors * error)


def _in_units_of_noise(
    y: NDArray[np.float64], a: NDArray[np.float64], noise: MeasuredNoise
) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """Return both images, the variance of the noise and the least that it may be, kept from 0.

    The level is the answer's and that of its blur, half and half: a spot that was erased would pass
    for dark and free of noise. The least is that of the lower of the two: a spot that was invented
    would pass for bright and noisy.
    """
    here, around = (noise.variance(level) for level in (a, _blur(a, 2)))
    both = (here + around) / 2, np.minimum(here, around)
    mean, middle = max(float(both[0].mean()), LEAST_STD**2 * max(noise.variances)), float(a.mean())
    local = 1.0 if noise.local is None else enlarge_grid(noise.local, a.shape) ** 2
    variances = [np.maximum(v / mean, LEAST_STD**2) * local for v in both]
    images = [(image - middle) / np.sqrt(mean) for image in (y, a)]
    one, two, three, four = (np.asarray(image, np.float32) for image in (*images, *variances))
    return one, two, three, four


def _blur(image: AnyPixels, width: float, mode: str = "reflect") -> AnyPixels:
    from scipy import ndimage

    blurred: AnyPixels = ndimage.gaussian_filter(image, width, mode=mode, truncate=3)
    return blurred


def _parts(y: Pixels, a: Pixels, s: Pixels) -> tuple[Mask, Mask]:
    """Return the flat and the structured parts of the answer; padding is in neither."""
    from scipy import ndimage

    level = _blur(a, 2)
    slope = np.hypot(ndimage.sobel(level, 0), ndimage.sobel(level, 1)) / s
    # Squares, not pixels like those beside them: of few photons these are the dark ones by chance.
    drawn = ndimage.maximum_filter(is_flat(y), FLAT)
    if drawn.mean() > 0.9:
        drawn[:] = False
    low, high = np.quantile(slope[~drawn], [FLATTEST, STRUCTURED])
    return (slope <= low) & ~drawn, (slope >= high) & ~drawn


def _clipped(residual: NDArray[np.floating[Any]]) -> Pixels:
    """Clip what is no place, such as a hot pixel; what a thousandth of the pixels reach is data."""
    limit = max(4.0, float(np.quantile(np.abs(residual), 0.999)))
    return np.asarray(np.clip(residual, -limit, limit), np.float32)


def _place(
    residual: Pixels, blurred: list[Pixels], rho: NDArray[np.float64], limits: dict[int, float]
) -> tuple[float, float]:
    """Return how far the most significant place is above 0: standard errors, share of its limit.

    The residual's own deviation stands for the noise's, whose measurement may be off. More pixels
    reach further by chance: the density of a Gaussian at the limit falls as their number grows.
    """
    own = float(np.sqrt(max(np.square(residual).mean(), LEAST_REMOVED)))
    skewness = max(float(np.power(residual, 3).mean()) / own**3, 0.0)
    more_pixels = 2 * np.log(max(residual.size / SET_ON, 1.0))
    places = []
    for width, image in zip(SCALES, blurred, strict=True):
        most = float(image.max()) / (own * _standard_error(rho, width))
        limit = float(np.sqrt(limits[width] ** 2 + more_pixels))
        # Few photons: the first term of Cornish and Fisher, for a Gaussian mean.
        few = 0.376 / width * skewness * (limit**2 - 1) / 6
        places.append((most / (limit + few), most))
    share, most = max(places)
    return most, share


def _standard_error(rho: NDArray[np.float64], width: float) -> float:
    """Return the deviation of a Gaussian mean of noise of deviation 1 and autocorrelation rho."""
    reach = int(3 * width + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    weights = np.correlate(weights, weights, "full") / weights.sum() ** 2
    shifts = min(len(rho) // 2, 2 * reach)
    centre, middle = len(rho) // 2, 2 * reach
    inner = rho[centre - shifts : centre + shifts + 1, centre - shifts : centre + shifts + 1]
    along = weights[middle - shifts : middle + shifts + 1]
    return float(np.sqrt(max(along @ inner @ along, 1e-6)))


def _detail(
    residual: Pixels, a: Pixels, s: Pixels, parts: tuple[Mask, Mask], octave: int
) -> list[tuple[float, float]]:
    """Return what `Verdict` has of detail: left, coarseness, added; each with its standard error.

    What was left is read off the finest band that is coarser than the noise is correlated: in finer
    ones nobody keeps detail. `parts` are the flat and the structured pixels.
    """
    widths = (*SCALES, 2 * SCALES[-1])[: max(octave + 2, len(SCALES))]
    levels = [a, *(_blur(a, width) for width in widths)]
    noises = [residual, *(_blur(residual, width) for width in widths)]
    details = [(fine - coarse) / s for fine, coarse in pairwise(levels)]
    bands = [fine - coarse for fine, coarse in pairwise(noises)]
    energies = [[_ratio(np.square(band) * part, part) for part in parts] for band in bands]
    units = [max(flat, 1e-6) for (flat, _), _ in energies]  # variance of the noise in each band
    products = [[_ratio(detail * residual * part, part) for part in parts] for detail in details]
    added = [
        (-mean / unit, error / unit)
        for unit, pair in zip(units, products, strict=True)
        for mean, error in pair
    ]
    one = octave + 1
    (low, low_error), (high, high_error) = products[one]
    least, most = (float(np.square(details[one])[part].mean()) for part in parts)
    held = max(most - least, 0.05 * units[one])
    left = (high - low) / held, float(np.hypot(low_error, high_error)) / held
    finest = max(energies[0][1][0], 1e-6) / units[0]
    ratio = energies[one][1][0] / units[one] / finest
    relative = [error / max(value, 1e-6) for value, error in energies[one]]
    error = ratio * float(np.linalg.norm(relative))
    by_limit = partial(_share_of_limit, limit=DETAIL_ADDED, errors=DETAIL_ERRORS)
    return [left, (ratio - 1, error), max(added, key=by_limit)]


def _ratio(
    one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any] | np.bool_]
) -> tuple[float, float]:
    """Return the ratio of two sums, and its standard error from the sums over squares.

    Squares hang together little: whatever correlation noise has is in the error.
    """
    top, bottom = _squares(one), _squares(other)
    total = max(float(bottom.sum()), 1e-12)
    ratio = float(top.sum()) / total
    return ratio, max(float(np.sqrt(np.square(top - ratio * bottom).sum())) / total, 1e-12)


def _noise_left(y: Pixels, a: Pixels, variance: Pixels, flat: Mask) -> tuple[float, float]:
    """Return the share of the noise that the answer keeps, from fine fluctuation in flat parts.

    What the mixed second difference in y and x lets pass is noise, but for some structure where
    noise is weak. So answer and noisy image are compared by what they share with the residual, in
    which a good answer leaves no structure: of ``x + k n`` and ``x + n`` that is k and 1.
    """
    from scipy import ndimage

    kernel = [1.0, -2.0, 1.0]
    fine_y, fine_a, fine = (
        ndimage.correlate1d(ndimage.correlate1d(image, kernel, 0), kernel, 1)
        for image in (y, a, y - a)
    )
    weighed = fine * flat / variance
    if np.square(weighed).sum() <= 1e-6 * np.square(fine_y * flat / variance).sum():
        return 1.0, 1e-12  # nothing was removed
    share, error = _ratio(fine_a * weighed, fine_y * weighed)
    return float(np.clip(share, 0, 1)), error


def _brightness(
    difference: Pixels, a: Pixels, variance: Pixels, correlated: float
) -> tuple[tuple[float, float], tuple[float, float], Pixels, bool]:
    """Return `Verdict.brightness` and `Verdict.scale` with their errors, the line, whether off.

    Squares are compared, not pixels: a blur moves light within them. The line is what brightness
    is off by at each pixel; 0 where it is not.
    """
    d, level, v = (_squares(image) for image in (difference, a, variance))
    error = float(np.sqrt(max(correlated, 1.0))) / BLOCK  # of a square, in deviations of the noise
    rms = float(np.sqrt(v.mean()))
    weight = 1 / v
    middle = float((weight * level).sum() / weight.sum())
    deviation = level - middle
    energy = max(float((weight * deviation**2).sum()), 1e-12)
    slope, slope_error = float((weight * d * deviation).sum()) / energy, error / np.sqrt(energy)
    # Noise that both images keep in a square, up to a quarter of its energy, ties them as well.
    tied = 0.25 * d.size * slope_error**2
    off = abs(slope) > max(SCALE, ERRORS * slope_error) + tied
    most = float(d.mean()) / rms, error / float(np.sqrt(d.size))
    off = off or _share_of_limit((abs(most[0]), most[1]), OFFSET) > 1
    for members in np.array_split(np.argsort(level.ravel(), kind="stable"), LEVELS):
        # In the dark, where noise may be next to none, half of the image's counts.
        own = max(float(np.sqrt(v.flat[members].mean())), 0.5 * rms)
        offset, its_error = float(d.flat[members].mean()) / own, error / np.sqrt(members.size)
        bound = max(LEVEL_OFFSET, ERRORS * its_error)
        off = off or abs(offset) > bound + tied * abs(deviation.flat[members].mean()) / own
        most = max(most, (offset, float(its_error)), key=lambda one: abs(one[0]))
    mean = float((weight * d).sum() / weight.sum())
    line = mean + slope * (a - middle) if off else np.zeros_like(a)
    return most, (1 + slope, float(slope_error)), np.asarray(line, np.float32), bool(off)


def _squares(image: NDArray[Any]) -> NDArray[np.float64]:
    """Return the means over squares of side `BLOCK`; what is left at the far edges is not seen."""
    h, w = (side // BLOCK for side in image.shape)
    whole = image[: h * BLOCK, : w * BLOCK].reshape(h, BLOCK, w, BLOCK)
    return np.asarray(whole.mean((1, 3), dtype=np.float64))


def join_verdicts(verdicts: list[Verdict], share: float = 0.0) -> Verdict:
    """Join verdicts on channels or planes: the worst numbers, and the flags of more than a share.

    Parameters
    ----------
    verdicts : list of Verdict
        At least one.
    share : float
        Of the verdicts, 0 to 1, that a flag must be raised in more than.
    """
    worst: dict[str, Any] = {}
    for name in (
        "detail_left",
        "coarseness",
        "place_left",
        "noise_left",
        "detail_added",
        "place_added",
    ):
        worst[name] = max(verdicts, key=lambda verdict: float(getattr(verdict, name)))
    worst["brightness"] = max(verdicts, key=lambda verdict: abs(verdict.brightness))
    worst["scale"] = max(verdicts, key=lambda verdict: abs(verdict.scale - 1))
    often = {name: sum(name in v.flagged for v in verdicts) / len(verdicts) for name in SENTENCES}
    return Verdict(
        **{name: getattr(verdict, name) for name, verdict in worst.items()},
        errors={name: v.errors[name] for name, v in worst.items() if name in v.errors},
        flagged=tuple(name for name in SENTENCES if often[name] > share),
    )
