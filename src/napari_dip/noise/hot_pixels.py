"""Hot and dead pixels: single pixels that neither the noise nor a spot of light explains.

A handful of them among a million pixels ruins a noise estimate and a least-squares fit, so both see
them replaced. A pixel is found that departs from the median around it

- further than the noise at that intensity reaches. Probability densities of noise (Gaussian,
  Poisson, the amplified photons of a photomultiplier) are log-concave: seen on a logarithmic scale
  they fall ever faster, so what is counted at two to six standard deviations bounds what lies
  beyond (Bagnoli and Bergstrom, Economic Theory 26, 2005);
- alone, or with few others. Light has passed a lens, and a spot of it reaches the neighbours
  as well: of a Gaussian of sigma 0.4 pixels, integrated over pixels, the four sides of the
  brightest pixel hold together 0.54 of its height at the least.

The same rule for planes of one detector together, in which the same pixels are hot, finds fainter
ones and spares what moves: `find_hot_pixels_of_stack`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Indices = NDArray[np.intp]

# For independent Gaussian noise, pixel minus median of 3x3, in standard deviations of a pixel: mean
# of the absolute value, cut at its quantile 0.8; median; quantile 0.9.
CUT_MEAN, MEDIAN, TENTH = 0.623, 0.583, 1.64
GAUSSIAN = 1.09  # its standard deviation far out, where the median knows nothing of the pixel
NOISE_BIN, TAIL_BIN = 4000, 16000  # pixels of like intensity whose noise is measured together
BINS = 32
BIN_SAMPLE = 20000  # of a bin's pixels; more do not make its standard deviation better
CHANCE = 0.02  # pixels of a tail's bin that noise may take beyond the limit
EDGES = np.arange(1.5, 7.01, 0.5)  # standard deviations between which pixels are counted
FEWEST = 20  # of them in a window that says how fast the tail falls
# Half of the least that the sides of 1, 2 and 3 pixels hold of their sum where a spot of light of
# sigma 0.4 makes them. Four are a spot between them if they form a square; more than three count
# as hot only where they touch at corners, with one side in common at most.
SPOT = np.array([0.268, 0.14, 0.1, 0.05, 0.05, 0.05])
# Standard deviations of the sum of sides that count as noise all the same; there are no dark spots
# as small as that, so dead pixels have more.
SIDES, DARK_SIDES = 1.65, 3.0
AT_MOST = 1.5  # times `SPOT` that noise may add to what the sides of a bright pixel hold
BESIDE = 3.5  # standard deviations a neighbour may reach, or half of the pixel itself
TEXTURE = 0.8  # of the spread in the 7x7 square around that counts as noise of the pixel
MOST = 0.04  # of an image; more are photons counted one by one, or drawn
PART = 1 << 15  # pixels looked at together
CACHED = 1 << 14  # pixels whose squares are sorted together


def replace_hot_pixels(plane: Pixels, hot: Mask | None = None) -> tuple[Pixels, int]:
    """Replace hot and dead pixels by the median of their neighbours that are neither.

    Parameters
    ----------
    plane : (C, Y, X) array
        Finite intensities; not changed.
    hot : (C, Y, X) array of bool, optional
        Pixels known to be hot or dead; they are found in the plane itself where not given.

    Returns
    -------
    plane : (C, Y, X) array
        The same array where there is nothing to replace.
    count : int
        Pixels replaced.
    """
    if hot is None:
        hot = find_hot_pixels(plane)
    count = int(hot.sum())
    if not count:
        return plane, 0
    fixed = plane.copy()
    for channel, found, out in zip(plane, hot, fixed, strict=True):
        rows, columns = np.nonzero(found)
        known = np.where(found, np.nan, channel)
        left = np.ones(rows.size, dtype=bool)
        for reach in (1, 2, 4, 8):  # further out where all of the nearer ones are hot
            around = _squares(known, rows[left], columns[left], reach)
            valid = np.isfinite(around).any(axis=0)
            at = np.flatnonzero(left)[valid]
            out[rows[at], columns[at]] = np.nanmedian(around[:, valid], axis=0)
            left[at] = False
            if not left.any():
                break
    return fixed, count


def find_hot_pixels(plane: Pixels) -> Mask:
    """Return where a plane (C, Y, X) of finite intensities has hot or dead pixels."""
    return np.stack([_find(channel) for channel in plane])


def find_hot_pixels_of_stack(planes: Sequence[Pixels]) -> Mask:
    """Return the hot and dead pixels (C, Y, X) that planes (C, Y, X) of one detector share.

    They are found in the median of the planes, and in their mean, whose noise is least. In the mean
    they count only if they depart from their neighbours by half as much in the median: what is
    bright in a few planes, a particle that moves, a photon or a cosmic ray, is not the camera's. Of
    one or two planes it returns what `find_hot_pixels` finds in their mean.
    """
    mean = np.mean(planes, axis=0)
    hot = find_hot_pixels(mean)
    if len(planes) < 3:
        return hot
    median = np.median(planes, axis=0)
    for c, channel in enumerate(hot):
        rows, columns = np.nonzero(channel)
        around = np.median(np.delete(_squares(mean[c], rows, columns, 1), 4, axis=0), axis=0)
        excess = mean[c, rows, columns] - around
        middle = median[c, rows, columns] - around
        channel[rows, columns] = middle * np.sign(excess) > np.abs(excess) / 2
    return hot | find_hot_pixels(median)


def _find(channel: Pixels) -> Mask:
    """Return the hot and dead pixels of one channel (Y, X)."""
    found = np.zeros(channel.shape, dtype=bool)
    if min(channel.shape) < 3 or channel.size < 64:  # too few to tell noise by
        return found
    level = _median_of_nine(channel)
    noise = _Noise.of(level, channel - level)
    if noise is None:
        return found
    for sign, sides in ((1.0, SIDES), (-1.0, DARK_SIDES)):
        limits = noise.limits(sign)
        one = _alone(sign * channel, sign, noise, limits, sides)
        if one.mean() > 1e-3:  # so many that they make noise look larger than it is
            one = _alone(sign * channel, sign, noise, noise.limits(sign, limits, one), sides)
        if one.mean() <= MOST:
            found |= one
    return found


def _median_of_nine(image: Pixels) -> Pixels:
    """Return the median of 3x3 pixels, mirrored at the border.

    It is made in parts that fit the cache. The three columns of a square are sorted; its median is
    that of the greatest of their least, the median of their medians, the least of their greatest.
    """
    padded, out = np.pad(image, 1, mode="reflect"), np.empty_like(image)
    rows = max(1, CACHED // image.shape[1])
    for top in range(0, len(image), rows):
        part = padded[top : top + rows + 2]
        low, middle, high = _sorted3(part[:-2], part[1:-1], part[2:])
        lows, middles, highs = ([n[:, :-2], n[:, 1:-1], n[:, 2:]] for n in (low, middle, high))
        least = np.maximum(np.maximum(lows[0], lows[1]), lows[2])
        most = np.minimum(np.minimum(highs[0], highs[1]), highs[2])
        out[top : top + rows] = _sorted3(least, _sorted3(*middles)[1], most)[1]
    return out


def _sorted3(a: Pixels, b: Pixels, c: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    a, b = np.minimum(a, b), np.maximum(a, b)
    b, c = np.minimum(b, c), np.maximum(b, c)
    return np.minimum(a, b), np.maximum(a, b), c


def _order(values: Pixels) -> Indices:
    """Return the flat indices of ascending values; whole numbers are sorted in one pass."""
    flat = values.ravel()
    if (
        flat.min() >= 0
        and flat.max() < 1 << 16
        and (flat == (whole := flat.astype(np.uint16))).all()
    ):
        return np.argsort(whole, kind="stable")
    return np.argsort(flat, kind="stable")


@dataclass(frozen=True)
class _Noise:
    """Departures from the median around, in standard deviations of noise of that intensity."""

    z: Pixels  # (Y, X)
    std: Pixels  # (Y, X)
    bins: list[Indices]  # flat indices of pixels of like intensity

    @classmethod
    def of(cls, level: Pixels, away: Pixels) -> _Noise | None:
        """Measure the noise; None where most pixels are like their neighbours at any intensity."""
        order = _order(level)
        ranked = level.ravel()[order]
        levels, stds = [], []
        for part in _split(ranked, NOISE_BIN):
            members = order[part][:: -(-(part.stop - part.start) // BIN_SAMPLE)]
            levels.append(float(ranked[part].mean()))
            stds.append(_std(np.abs(away.ravel()[members])))
        largest = max(stds)
        if largest == 0:
            return None
        # Saturated or clipped pixels have no noise, and what departs from them is judged as if
        # they had that of the others.
        std = np.interp(level, levels, [one or largest for one in stds])
        return cls(away / std, std, [order[part] for part in _split(ranked, TAIL_BIN)])

    def limits(self, sign: float, first: Pixels | None = None, found: Mask | None = None) -> Pixels:
        """Return for each bin how far noise reaches, in standard deviations.

        `found` are hot pixels beyond the limits `first`. As many are taken to lie below them.
        """
        limits = np.zeros(len(self.bins))
        for i, members in enumerate(self.bins):
            z, hot = sign * self.z.ravel()[members], 0
            if first is not None and found is not None and np.isfinite(first[i]):
                beyond = z[found.ravel()[members]] - first[i]
                hot = int(np.histogram(beyond, np.arange(5))[0].min())
            limits[i] = _reach(z, hot)
        finite = limits[np.isfinite(limits)]
        limits[~np.isfinite(limits)] = finite.max() if finite.size else np.inf
        return limits


def _split(ranked: Pixels, size: int) -> list[slice]:
    """Return parts of about `size` or more of ascending numbers; equal ones stay together."""
    count = int(np.clip(ranked.size // size, 1, BINS))
    middle = ranked[np.linspace(0, ranked.size, count + 1)[1:-1].astype(int)]
    cuts = np.unique(np.searchsorted(ranked, middle))
    cuts = cuts[(cuts >= size / 2) & (cuts <= ranked.size - size / 2)]
    return [slice(a, b) for a, b in zip([0, *cuts], [*cuts, ranked.size], strict=True)]


def _std(sizes: Pixels) -> float:
    """Return the standard deviation of the noise from departures; 0 where most are none."""
    sizes = np.sort(sizes)
    fifth, tenth = sizes[int(0.8 * sizes.size)], sizes[int(0.9 * sizes.size)]
    if tenth == 0:
        return 0.0
    std = float(np.minimum(sizes, fifth).mean()) / CUT_MEAN
    step = float(sizes[np.searchsorted(sizes, 0, side="right")])
    # Of few photons the most are alike, and a window of the tail must hold a step at least.
    few = sizes[sizes.size // 2] < 4 * step
    return max(std, float(tenth) / TENTH, 1.001 * step) if few else std


def _reach(z: Pixels, hot: int) -> float:
    """Return beyond what of `z` less than `CHANCE` noisy pixels lie, infinite if unknown.

    From the counts in two windows a unit apart the geometric series of a density that goes on
    falling as fast; of several pairs of windows the lowest bound. They are two units wide: the
    values of few photons are far from each other.
    """
    from scipy.special import ndtri

    counts = np.histogram(z, EDGES)[0]
    windows = np.maximum(np.convolve(counts, np.ones(4), "valid") - 2 * hot, 0)
    least = -GAUSSIAN * ndtri(CHANCE / z.size)
    best = np.inf
    for edge, near, far in zip(EDGES, windows, windows[2:], strict=False):
        if near < FEWEST:
            break
        most = far + np.sqrt(far) + 2  # what chance may have left out
        ratio = most / near
        if ratio < 0.95:
            steps = np.log(most / (1 - ratio) / CHANCE) / -np.log(ratio)
            best = min(best, edge + 1 + steps)
    return float(max(best, least))


def _alone(channel: Pixels, sign: float, noise: _Noise, limits: Pixels, sides: float) -> Mask:
    """Return which pixels beyond the limits are neither structure nor spots of light."""
    from scipy import ndimage

    far = np.zeros(channel.shape, dtype=bool)
    limit = np.empty(channel.shape)
    for members, reach in zip(noise.bins, limits, strict=True):
        beyond = members[sign * noise.z.ravel()[members] > reach]
        far.ravel()[beyond], limit.ravel()[beyond] = True, reach
    groups = ndimage.label(far, np.ones((3, 3)))[0]
    small = np.bincount(groups.ravel()) <= SPOT.size
    small[0] = False
    where = np.flatnonzero(small[groups.ravel()])
    if not where.size:
        return np.zeros(channel.shape, dtype=bool)
    _, group = np.unique(groups.ravel()[where], return_inverse=True)
    parts = [
        _measure_surroundings(channel, noise, groups, *np.divmod(part, channel.shape[1]))
        for part in np.split(where, range(PART, where.size, PART))
    ]
    own, near, around, contacts, std = np.concatenate(parts, axis=1)
    size = np.bincount(group)
    dense = (size > 3) & (np.bincount(group, contacts) > 2)
    least = SPOT[size - 1] * np.bincount(group, own)
    by_chance = 2 * sides * np.sqrt(np.bincount(group, std**2))
    if sign > 0:
        by_chance = np.minimum(by_chance, AT_MOST * least)
    spot = np.bincount(group, around) > np.maximum(least, by_chance)
    doubtful = (own <= limit.ravel()[where] * std) | (near >= np.maximum(own / 2, BESIDE * std))
    alone = ~(dense | spot | (np.bincount(group, doubtful) > 0))
    far[:] = False
    far.ravel()[where] = alone[group]
    return far


def _measure_surroundings(
    channel: Pixels, noise: _Noise, groups: NDArray[np.int32], rows: Indices, columns: Indices
) -> Pixels:
    """Return for some pixels the rows below, (5, pixels).

    Height over the border of the 5x5 square; of the highest neighbour; of the four sides together,
    both without the pixel's own group; how many sides are of that group; standard deviation.
    """
    squares = _squares(channel, rows, columns, 2).reshape(5, 5, -1)
    same = _squares(groups, rows, columns, 1).reshape(3, 3, -1) == groups[rows, columns]
    border = np.ones((5, 5), dtype=bool)
    border[1:4, 1:4] = False
    height = squares[1:4, 1:4] - np.median(squares[border], axis=0)
    others = np.where(same, 0, height)
    sides = [0, 1, 1, 2], [1, 0, 2, 1]
    spread = np.delete(_squares(np.abs(noise.z), rows, columns, 3), 24, axis=0)
    texture = TEXTURE / MEDIAN * np.median(spread, axis=0)
    std = noise.std[rows, columns] * np.maximum(1, texture)
    four, contacts = others[sides].sum(axis=0), same[sides].sum(axis=0)
    return np.stack([height[1, 1], others.max(axis=(0, 1)), four, contacts, std])


def _squares(image: NDArray[Any], rows: Indices, columns: Indices, reach: int) -> NDArray[Any]:
    """Return the squares around some pixels, (side x side, pixels); mirrored at the border."""
    padded = np.pad(image, reach, mode="reflect" if min(image.shape) > reach else "symmetric")
    side = range(2 * reach + 1)
    return np.stack([padded[rows + y, columns + x] for y in side for x in side])
