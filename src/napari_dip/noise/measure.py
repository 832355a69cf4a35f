"""How noisy an image is, measured on itself: its variance over intensity and its correlation.

Structure is told from noise by the places where there is little of it: at each intensity those
pixels count that have the least energy at scales of 2 to 8 pixels around them, which hardly depends
on the noise of a single pixel. There the squares of second differences are averaged, and none is
cut away: at few photons the largest squares are the photons.

References
----------
Foi, Trimeche, Katkovnik and Egiazarian, Practical Poissonian-Gaussian noise modeling and fitting
for single-image raw-data, IEEE TIP 2008, doi:10.1109/TIP.2008.2001399.
Liu, Tanaka and Okutomi, Single-image noise level estimation for blind denoising, IEEE TIP 2013,
doi:10.1109/TIP.2013.2283400 (the places with the least texture).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.noise.anscombe import FLAT, PoissonGaussian, is_flat
from napari_dip.noise.correlation import (
    NEAR_SIGMA,
    RADIUS,
    REACH,
    WIDE_SIGMA,
    Correlation,
    energy,
    is_everywhere,
    measure_lags,
    second_difference,
    tell_noise,
)
from napari_dip.noise.curve import Curve, fit_line, measure_curve, smooth, split_levels
from napari_dip.noise.measured_noise import SHARED, MeasuredNoise
from napari_dip.noise.uneven import CELLS, cell_of, enlarge, measure_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Local = tuple[tuple[float, ...], ...] | None
    Places = tuple[Pixels, Pixels]  # of rows and columns, 0 to 1 over the image

TEXTURE_SIGMA = 6.0
DRAWN = 0.03  # least share of pixels that differ from those around them: one photon in 300 pixels
MOST_SATURATED = 0.25  # share of the pixels; more have this value by themselves, as in masks
FEW = 64  # pixels along the shorter side, for all that is done here
QUIET_SIDE = 13  # pixels
FEWEST = 5  # pixels along an axis that a measurement needs
MOST_PIXELS = 640**2  # that are looked at, in windows evenly spread
WINDOW = 128
TURNS = 3
MOST_UNEVEN = 6.0  # times the variance that is expected; more is structure
ROUNDING = 1e-13  # of the largest square: sums along a window leave so much where it is 0
PHOTONS = 20.0  # that the level around a pixel should be the mean of
INDEPENDENT = Correlation(1.0, np.pad([[1.0]], REACH), 1.0, (0, 0))


@dataclass(frozen=True)
class Window:
    """Part of a plane, and what is read off it at every pixel."""

    image: Pixels
    fine: Pixels  # second difference
    apart: Pixels  # the same with twice the spacing, which sees more of the structure
    wide: Pixels  # the image less its wide blur
    texture: Pixels  # local energy between the two blurs
    usable: Mask
    places: Places


def measure_noise(
    planes: Sequence[Pixels], local: Local = None, *, is_independent: bool = False
) -> MeasuredNoise:
    """Measure the noise of one channel.

    Parameters
    ----------
    planes : sequence of (Y, X) arrays
        Finite intensities, all of one detector.
    local : tuple of tuples, optional
        What is known of `MeasuredNoise.local` already, as from before a transform.
    is_independent : bool
        Whether it is known that pixels share nothing; what looks like it is texture.

    Returns
    -------
    MeasuredNoise
        Of variance 0 where there is none: labels, drawings, a blank image.
    """
    images = [np.asarray(p, dtype=np.float64) for p in planes if min(p.shape) >= FEWEST]
    images = [y for y in images if not _is_drawn(y)]
    if images and max(min(y.shape) for y in images) < FEW:
        return _of_few_pixels(images)
    parts = [part for image in images for part in _windows(image, len(images))]
    if not parts:
        return _no_noise(0.0)
    pixels = np.concatenate([y.ravel() for y, _ in parts])
    middle = float(np.median(pixels))
    unit = float(np.mean([np.abs(second_difference(y)[1:-1, 1:-1]).mean() for y, _ in parts]))
    saturation = _saturation(pixels, unit)
    top = saturation[0] if saturation else np.inf
    windows = (
        [_look((y - middle) / unit, y >= top, places) for y, places in parts] if unit > 0 else []
    )
    usable = [w for w in windows if w.usable.any()]
    field = np.ones((CELLS, CELLS)) if local is None else np.square(local)
    independent = INDEPENDENT if is_independent else None
    for turn in range(TURNS):
        evened = usable if field.std() == 0 else [_evened(w, field) for w in usable]
        known = evened is not usable
        curve, found, uneven = _measure(evened, known, independent) if usable else (None,) * 3
        independent = found if found is not None and found.hole == (0, 0) else None
        if uneven is None or turn == TURNS - 1:
            break
        field = field * uneven
        field /= field.mean()
    if curve is None or found is None:
        return _no_noise(middle)
    gain, constant = fit_line(curve)
    variance = smooth(curve)
    nearest = max(found.table[REACH, REACH + 1], found.table[REACH + 1, REACH])
    if gain == 0 and nearest < SHARED:
        # The same everywhere: what is larger than in the quiet places is fine structure.
        constant = min(constant, _quiet_variance(evened))
        variance = variance * min(_quiet_variance(evened, curve), 1.0)
    inner = slice(REACH - RADIUS, REACH + RADIUS + 1)
    return MeasuredNoise(
        PoissonGaussian(gain * unit, constant * unit**2 - gain * unit * middle),
        tuple((curve.level * unit + middle).tolist()),
        tuple((variance * unit**2).tolist()),
        tuple(curve.error.tolist()),
        tuple(tuple(row) for row in found.table[inner, inner].tolist()),
        found.error,
        found.hole,
        tuple(tuple(row) for row in np.sqrt(field).tolist()) if field.std() > 0 else None,
        saturation,
    )


def _of_few_pixels(images: list[Pixels]) -> MeasuredNoise:
    """Return a line, known to a third or so, or less; too little is seen to tell more."""
    import torch
    from scipy import ndimage

    from napari_dip.noise.few_pixels import LEVEL_SIGMA, fit_few_pixels

    blurred = [ndimage.gaussian_filter(y, LEVEL_SIGMA) for y in images]
    flat = [is_flat(y) for y in images]
    made = ([torch.tensor(a) for a in part] for part in (images, blurred, flat))
    line = PoissonGaussian(*fit_few_pixels(*made))
    # Squares of second differences hang together over about 4 pixels.
    count = sum((y.shape[0] - 2) * (y.shape[1] - 2) for y in images)
    error = max(0.3, float(np.sqrt(2 * 4 / count)))
    ends = min(float(y.min()) for y in images), max(float(y.max()) for y in images)
    levels = tuple(np.linspace(*ends, 9).tolist())
    variances = tuple(line.std(level) ** 2 for level in levels)
    return replace(
        _no_noise(0.0), line=line, levels=levels, variances=variances, errors=(error,) * len(levels)
    )


def _quiet_variance(windows: list[Window], curve: Curve | None = None) -> float:
    """Return the variance of noise that is the same everywhere, read off where least happens.

    With a curve, over what that says at the level there: it may be that of other places.
    """
    from scipy import ndimage

    energies = []
    for w in windows:
        energy = ndimage.uniform_filter(w.fine**2, QUIET_SIDE)
        if curve is not None:
            expected = curve.at(_box_mean(w.image, NEAR_SIGMA), least=0.0)
            energy /= np.maximum(expected, 1e-200)
        energies.append(energy[w.usable])
    # Squares of second differences hang together over about 4 pixels; a fifth of the means over
    # so many lies this far below by chance.
    by_chance = 0.84 * np.sqrt(2 * 4 / QUIET_SIDE**2)
    return float(np.quantile(np.concatenate(energies), 0.2) / (1 - by_chance))


def _is_drawn(y: Pixels) -> bool:
    """Return whether hardly any pixel differs from those around it: labels, a blank plane."""
    fine = [second_difference(part)[1:-1, 1:-1].ravel() for part, _ in _windows(y, 1)]
    return float(np.mean(np.concatenate(fine) != 0)) < DRAWN


def _saturation(pixels: Pixels, unit: float) -> tuple[float, float] | None:
    """Return the greatest value and its share, where pixels heap up there."""
    top = float(pixels.max())
    at_top = int(np.sum(pixels == top))
    below = int(np.sum(pixels >= top - 0.5 * unit)) - at_top
    heaped = (
        max(10, 3 * below) < at_top < MOST_SATURATED * pixels.size
        and np.sum(pixels >= top - 3 * unit) > at_top
    )
    return (top, at_top / pixels.size) if heaped else None


def _no_noise(level: float) -> MeasuredNoise:
    table = np.zeros((2 * RADIUS + 1, 2 * RADIUS + 1))
    table[RADIUS, RADIUS] = 1
    rows = tuple(tuple(row) for row in table.tolist())
    return MeasuredNoise(PoissonGaussian(0, 0), (level,), (0.0,), (1.0,), rows, 1.0, (0, 0))


def _windows(image: Pixels, planes: int) -> list[tuple[Pixels, Places]]:
    """Return the whole image, or windows of it evenly spread where it is large.

    With each, where its rows and columns lie in the image.
    """
    rows, columns = ((np.arange(n) + 0.5) / n for n in image.shape)
    if image.size * planes <= MOST_PIXELS:
        return [(image, (rows, columns))]
    count = max(1, int(np.sqrt(MOST_PIXELS / planes)) // WINDOW)
    starts = [np.linspace(0, max(n - WINDOW, 0), count).astype(int) for n in image.shape]
    parts = [(slice(y, y + WINDOW), slice(x, x + WINDOW)) for y in starts[0] for x in starts[1]]
    return [(image[y, x], (rows[y], columns[x])) for y, x in parts]


def _look(y: Pixels, saturated: Mask, places: Places) -> Window:
    from scipy import ndimage

    near, wide = (ndimage.gaussian_filter(y, s) for s in (NEAR_SIGMA, WIDE_SIGMA))
    flat = is_flat(y)
    if flat.any() and np.mean(y == y[flat][0]) ** (FLAT**2) > 1e-5:
        flat[:] = False  # so few photons that squares without any are no padding
    usable = ~ndimage.maximum_filter(flat, 2 * FLAT + 1) if flat.any() else ~flat
    if usable.mean() < 0.1:
        usable = ~ndimage.maximum_filter(flat, FLAT + 4)  # to the edge of what is padded
    if saturated.any():
        usable &= ~ndimage.maximum_filter(saturated, 5)
    usable[[0, 1, -2, -1]] = usable[:, [0, 1, -2, -1]] = False
    fine, apart = second_difference(y), second_difference(y, 2)
    texture = ndimage.gaussian_filter((near - wide) ** 2, TEXTURE_SIGMA)
    return Window(y, fine, apart, y - wide, texture, usable, places)


def _evened(window: Window, field: Pixels) -> Window:
    """Return a window as it would be if the noise were as strong everywhere."""
    std = np.sqrt(enlarge(field, *window.places))
    fine, apart, wide = window.fine / std, window.apart / std, window.wide / std
    return replace(window, fine=fine, apart=apart, wide=wide, texture=window.texture / std**2)


def _box_mean(y: Pixels, sigma: float) -> Pixels:
    """Return the means over a square as wide as a Gaussian.

    Level and variance are means over the same square, in which each photon counts the same: where
    variance grows with the level, the means lie on that very line whatever is in the square.
    """
    from scipy import ndimage

    return np.asarray(ndimage.uniform_filter(y, 2 * round(sigma * np.sqrt(3)) + 1))


def _measure(
    windows: list[Window], known: bool, independent: Correlation | None
) -> tuple[Curve, Correlation, Pixels | None] | tuple[None, None, None]:
    """Measure curve and correlation in turns: each needs the other to tell what is flat.

    `independent` is the correlation where it is known that pixels share nothing.
    """
    inside = [w.usable for w in windows]
    squares, apart, texture = (
        np.concatenate([getattr(w, name)[m] for w, m in zip(windows, inside, strict=True)])
        for name in ("fine", "apart", "texture")
    )
    squares, apart = squares**2, apart**2
    sigma = _level_sigma(squares, texture)
    levels = [_box_mean(w.image, sigma) for w in windows]
    shares = [_box_mean(w.usable.astype(np.float64), sigma) for w in windows]
    level = np.concatenate([at[m] for at, m in zip(levels, inside, strict=True)])
    near, wider = (
        np.concatenate(
            [
                _box_mean(getattr(w, name) ** 2 * m, sigma)[m] / share[m]
                for w, share, m in zip(windows, shares, inside, strict=True)
            ]
        )
        for name in ("fine", "apart")
    )
    bins = split_levels(level)
    white = INDEPENDENT.table
    rho, scale, limit, ratio, share = white, 1.0, 0.0, texture, 0.2
    turn = 0
    while turn < TURNS:
        turn += 1
        growth = energy("apart", rho) / max(energy("fine", rho), 1e-3)
        chosen = [b[ratio[b] <= max(limit, np.quantile(ratio[b], share))] for b in bins]
        curve = measure_curve(level, near, wider, squares, growth, bins, chosen)
        if not np.median(curve.variance) > ROUNDING * squares.max():
            return None, None, None
        expected = curve.at(level)
        in_band = max(scale * energy("band", rho), energy("band", white))
        ratio = texture / (in_band * expected)
        limit = _flatness_limit(ratio, squares / expected)
        share = 0.1
        flat = ratio < max(3.0, float(np.quantile(ratio, 0.1)))
        found = independent or _correlation(windows, levels, flat, curve)
        rho, scale = white, 1.0
        if found.hole != (0, 0):
            y, x = np.abs(np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1])
            rho = np.where((y > found.hole[0]) | (x > found.hole[1]), 0, found.table)
            scale = found.variance / float((squares[flat] / expected[flat]).mean())
        if turn == TURNS and found.hole != (0, 0):
            stds = [np.sqrt(scale * curve.at(at)) for at in levels]
            wide = [w.wide / std for w, std in zip(windows, stds, strict=True)]
            if not is_everywhere(wide, inside, rho, evened=known):  # but texture: measured again
                independent, turn = INDEPENDENT, 0
                rho, scale, limit, ratio, share = white, 1.0, 0.0, texture, 0.2
    # Little texture for the noise there, and not by far too much for that of its level.
    even = texture <= max(3.0, limit) * in_band * np.minimum(near, MOST_UNEVEN * expected)
    cell = np.concatenate([cell_of(*w.places)[w.usable] for w in windows])
    even &= (level >= curve.sure[0]) & (level <= curve.sure[1])
    kurtosis = float(np.square(squares[even]).sum() / max(np.square(near[even]).sum(), 1e-300))
    uneven = measure_field(cell[even], near[even], expected[even], kurtosis, known=known)
    return Curve(curve.level, curve.variance * scale, curve.error), found, uneven


def _level_sigma(squares: Pixels, texture: Pixels) -> float:
    """Return how wide means must be to be those of enough photons."""
    flattest = squares[texture <= np.quantile(texture, 0.2)]
    kurtosis = float((flattest**2).mean() / max(flattest.mean() ** 2, 1e-300)) - 3
    sigma = float(np.sqrt(max(PHOTONS * 2 * kurtosis, 0) / (4 * np.pi)))
    return min(sigma, WIDE_SIGMA) if sigma > 1.2 * NEAR_SIGMA else NEAR_SIGMA


def _flatness_limit(ratio: Pixels, squares: Pixels) -> float:
    """Return up to which texture the squares are those of noise alone, in units of the latter's."""
    limit, best = 2.0, None
    for upper in (2.0, 4.0, 8.0, 16.0, 32.0, 64.0):
        part = squares[(ratio <= upper) & (ratio > (limit if best else 0))]
        if part.size < 1000:
            continue
        mean, error = float(part.mean()), float(part.std() / np.sqrt(part.size / 4))
        if best and mean > 1.03 * best[0] + 2 * np.hypot(error, best[1]):
            break
        limit, best = upper, min(best or (mean, error), (mean, error), key=lambda m: m[1])
    return limit


def _correlation(
    windows: list[Window], levels: list[Pixels], flat: Mask, curve: Curve
) -> Correlation:
    """Measure the correlation at the flat ones of the usable pixels, each over its deviation."""
    start, masks, wide, fine = 0, [], [], []
    for window, level in zip(windows, levels, strict=True):
        count = int(window.usable.sum())
        mask = np.zeros(window.usable.shape)
        mask[window.usable] = flat[start : start + count]
        start += count
        std = np.sqrt(curve.at(level))
        masks.append(mask)
        wide.append(window.wide / std)
        fine.append(window.fine / std)
    return tell_noise(*measure_lags([wide, fine], masks))


def estimate_noise(planes: Iterable[Pixels]) -> PoissonGaussian:
    """Fit the Poisson-Gaussian line to (C, Y, X) planes of one detector."""
    return measure_noise([channel for plane in planes for channel in plane]).line
