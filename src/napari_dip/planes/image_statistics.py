"""Measure range and noise of an image before any work; refuse pixels that cannot be denoised."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.noise.anscombe import PoissonGaussian
from napari_dip.noise.hot_pixels import find_hot_pixels_of_stack, replace_hot_pixels
from napari_dip.noise.measure import measure_noise
from napari_dip.noise.measured_noise import MeasuredNoise
from napari_dip.noise.unit_range import ColourRanges, UnitRange
from napari_dip.planes.repair import MOST_PLACES, Repaired, repair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

CORRELATED_NOISE_STAYS = (
    "The noise of neighbouring pixels is correlated, as after resampling or a camera's own filter: "
    "part of it looks like structure and will stay. The method blind-spot takes it into account."
)
CORRELATED_NOISE_KNOWN = (
    "The noise of neighbouring pixels is correlated, up to {} pixels far: taken into account."
)
UNEVEN_LINES = (
    "Offsets of whole rows or columns (scan lines, camera columns) taken off in {} of {} planes."
)
UNEVEN_NOISE = (
    "The noise is up to {:.1f} times as strong in some places as in others, as after a correction "
    "of the illumination: {}."
)
UNEVEN_NOISE_KNOWN = "taken into account"
UNEVEN_NOISE_STAYS = "part of it may stay; the method blind-spot takes it into account"
Place = tuple[int, int]  # y, x
NOISE_PLANES = 8  # planes of a channel, evenly spread, that the noise is measured on


@dataclass(frozen=True)
class ImageStatistics:
    """Range and noise of an image.

    Attributes
    ----------
    unit_ranges : tuple of UnitRange
        The map to [0, 1] of each channel, one where there is no such axis. Each channel has a
        detector of its own, hence its own gain and offset; the planes along T and Z share theirs,
        and the colours of RGB theirs.
    noises : tuple of tuple of MeasuredNoise
        The noise of each channel: that of each colour in it.
    hot_pixels : int
        Hot and dead pixels in all planes, see `napari_dip.noise.hot_pixels`.
    blank_planes : int
        Planes without any finite pixel, which are left as they are: a camera that missed a frame,
        the border of a registered stack.
    straighten : bool
        Whether offsets of whole rows and columns are taken off, see `napari_dip.noise.lines`.
    uneven_lines, planes : int
        Planes in which there are such offsets, and all that were measured.
    keep_hot_pixels : bool
        Whether hot and dead pixels stay as they are.
    shared_hot_pixels : tuple of (tuple of int or None)
        Of each channel, the flat positions in a plane (C, Y, X) of the hot pixels that its planes
        share; None where they are too few to say.
    hot_places : tuple of (int, int)
        Where the first hot pixels are, in y and x.
    """

    unit_ranges: tuple[UnitRange | ColourRanges, ...]
    noises: tuple[tuple[MeasuredNoise, ...], ...]
    hot_pixels: int
    blank_planes: int = 0
    straighten: bool = False
    uneven_lines: int = 0
    planes: int = 1
    keep_hot_pixels: bool = False
    shared_hot_pixels: tuple[tuple[int, ...] | None, ...] = ()
    hot_places: tuple[tuple[int, int], ...] = ()
    # Of an image of one plane, that plane and what `repair` returns, which takes as long as the
    # rest; no field, so that it is neither compared nor written to files.
    _repaired: ClassVar[tuple[NDArray[np.float64], NDArray[np.float64]] | None] = None

    def repair(self, image: Image, index: PlaneIndex) -> NDArray[np.float64]:
        """Return a plane (C, Y, X) as it was measured here, without hot pixels or offsets."""
        plane, positions = image.plane(index), self.shared_hot_pixels[channel_of(image, index)]
        if self._repaired is not None and np.array_equal(plane, self._repaired[0]):
            return self._repaired[1]
        hot = None
        if positions is not None:
            hot = np.zeros(plane.shape, dtype=bool)
            hot.ravel()[list(positions)] = True
        return repair(
            plane,
            straighten=self.straighten,
            keep_hot_pixels=self.keep_hot_pixels,
            hot_pixels=hot,
        ).pixels

    @property
    def noise_is_correlated(self) -> bool:
        """Whether neighbouring pixels share their noise, in any channel."""
        return any(noise.is_correlated for channel in self.noises for noise in channel)

    @property
    def note(self) -> str:
        """Sentences for the user before the fit; mostly empty."""
        notes = []
        if self.hot_pixels:
            pixels = "pixel is" if self.hot_pixels == 1 else "pixels are"
            notes.append(f"{self.hot_pixels} hot or dead {pixels} replaced by the median around.")
        if self.blank_planes:
            notes.append(
                f"Planes left as they are, no pixel of theirs being finite: {self.blank_planes}."
            )
        if self.uneven_lines:
            notes.append(UNEVEN_LINES.format(self.uneven_lines, self.planes))
        return " ".join(notes)

    @property
    def unevenness(self) -> float:
        """How many times as strong the noise is in one place of the field as in another."""
        maps = [one for m in self.unit_ranges for one in getattr(m, "ranges", (m,))]
        fields = [m.measured.local for m in maps if m.measured and m.measured.local]
        return max((float(np.max(field) / np.min(field)) for field in fields), default=1.0)

    def noise_note(self, known: bool) -> str:
        """Return sentences on noise that pixels share or that is uneven.

        `known` is whether the method deals with it.
        """
        notes = []
        if self.noise_is_correlated:
            far = max(max(noise.hole) for channel in self.noises for noise in channel)
            notes.append(CORRELATED_NOISE_KNOWN.format(far) if known else CORRELATED_NOISE_STAYS)
        if (times := self.unevenness) > 1:
            end = UNEVEN_NOISE_KNOWN if known else UNEVEN_NOISE_STAYS
            notes.append(UNEVEN_NOISE.format(times, end))
        return " ".join(notes)

    def unit_range(self, image: Image, index: PlaneIndex) -> UnitRange | ColourRanges:
        """Return the map to [0, 1] for one plane of `image`."""
        return self.unit_ranges[channel_of(image, index)]

    def noise(self, image: Image, index: PlaneIndex) -> tuple[MeasuredNoise, ...]:
        """Return the noise of one plane of `image`, of each of its colours."""
        return self.noises[channel_of(image, index)]


def measure_image(
    image: Image,
    *,
    stabilise: bool,
    straighten: bool = False,
    keep_hot_pixels: bool = False,
    without: Sequence[PlaneIndex] = (),
) -> ImageStatistics:
    """Measure range and noise; planes are read once, and some before for hot pixels they share.

    Hot pixels are no part of the noise, also where they are kept.

    Parameters
    ----------
    image : Image
        Any axes; read plane by plane.
    stabilise : bool
        Whether the maps make the variance of Poisson-Gaussian noise the same everywhere.
    straighten : bool
        Whether offsets of whole rows and columns are to be taken off.
    keep_hot_pixels : bool
        Whether hot and dead pixels stay as they are.
    without : sequence of PlaneIndex
        Planes that are not measured, such as saturated ones, unless a channel has no others.

    Raises
    ------
    ValueError
        For pixels that are no real numbers, not finite (but for whole planes of a stack), or lost
        in a float32 answer.
    """
    check_dtype(image)
    channels: dict[int, list[PlaneIndex]] = {}
    for index in image.plane_indices():
        channels.setdefault(channel_of(image, index), []).append(index)
    measured = [
        [index for index in indices if index not in without] or indices
        for indices in channels.values()
    ]
    mend = partial(repair, straighten=straighten, keep_hot_pixels=keep_hot_pixels)
    shared = [
        None if keep_hot_pixels else _shared_hot_pixels(image, indices) for indices in measured
    ]
    results = [
        _measure_channel(
            image, indices, stabilise, keep_hot_pixels, partial(mend, hot_pixels=known)
        )
        for indices, known in zip(measured, shared, strict=True)
    ]
    unit_ranges, noises, hot, uneven, blank, places, first = zip(*results, strict=True)
    planes = sum(len(indices) for indices in measured)
    statistics = ImageStatistics(
        unit_ranges,
        noises,
        sum(hot),
        sum(blank),
        straighten,
        sum(uneven),
        planes,
        keep_hot_pixels,
        tuple(None if one is None else tuple(np.flatnonzero(one).tolist()) for one in shared),
        tuple(dict.fromkeys(place for one in places for place in one))[:MOST_PLACES],
    )
    if len(image.plane_indices()) == 1:
        object.__setattr__(statistics, "_repaired", first[0])
    return statistics


def check_dtype(image: Image) -> None:
    """Raise a ValueError for pixels that are no real numbers."""
    if image.dtype.kind not in "buif":
        raise ValueError(
            f"Pixels are of type {image.dtype}; give integers or floats (for complex data, a part "
            "of it)."
        )


def is_blank(plane: NDArray[np.float64]) -> bool:
    """Return whether a plane holds no finite pixel at all."""
    return not np.isfinite(plane).any()


def channel_of(image: Image, index: PlaneIndex) -> int:
    """Return the channel of a plane; 0 where there is no such axis, or it is colour."""
    axis = image.axes.find("C")
    channel = index[axis] if axis >= 0 else 0
    return channel if isinstance(channel, int) else 0


def name_plane(image: Image, index: PlaneIndex) -> str:
    """Return where a plane lies in its stack, such as ``"T = 0, Z = 2"``."""
    positions = zip(image.axes, index, strict=True)
    return ", ".join(f"{axis} = {i}" for axis, i in positions if isinstance(i, int))


def _shared_hot_pixels(image: Image, indices: list[PlaneIndex]) -> NDArray[np.bool_] | None:
    """Return the hot pixels (C, Y, X) that planes of one channel share; None of fewer than 3."""
    stride = -(-len(indices) // NOISE_PLANES)
    planes = [image.plane(index) for index in indices[::stride]]
    planes = [plane for plane in planes if np.isfinite(plane).all()]
    if len(planes) < 3:
        return None
    for plane in planes:
        _check_magnitude(float(np.abs(plane).max()))
    return find_hot_pixels_of_stack(planes)


class _Channel(NamedTuple):
    """What was measured of the planes of a channel."""

    unit_range: UnitRange | ColourRanges
    noises: tuple[MeasuredNoise, ...]
    hot: int
    uneven: int  # planes whose lines have offsets
    blank: int  # planes
    places: list[Place]
    first: tuple[NDArray[np.float64], NDArray[np.float64]]  # of the planes, as it is and repaired


def _measure_channel(
    image: Image,
    indices: list[PlaneIndex],
    stabilise: bool,
    keep_hot_pixels: bool,
    mend: Callable[..., Repaired],
) -> _Channel:
    ends: list[NDArray[np.float64]] = []  # (3, C) of each plane: least, greatest, mean
    samples: list[NDArray[np.float64]] = []  # the planes whose noise is measured
    stride = -(-len(indices) // NOISE_PLANES)
    hot = uneven = 0
    places: list[Place] = []
    first = None
    for number, index in enumerate(indices):
        raw = image.plane(index)
        if is_blank(raw):
            continue
        _check_finite(raw, image, index)
        _check_magnitude(float(np.abs(raw).max()))
        plane, count, has_offsets, found = mend(raw)
        first = first or (raw, plane)
        if len(places) < MOST_PLACES:  # those of later planes are mostly the same
            places += found
        hot, uneven = hot + count, uneven + has_offsets
        ends.append(np.array([plane.min((1, 2)), plane.max((1, 2)), plane.mean((1, 2))]))
        if number >= len(samples) * stride:  # a blank one is made up for by the next
            samples.append(replace_hot_pixels(plane)[0] if keep_hot_pixels else plane)
    if first is None:
        raise ValueError(
            "All pixels of the image, or of one of its channels, are non-finite (NaN or "
            "infinite): there is nothing to go by."
        )
    lows, highs, means = np.array(ends).swapaxes(0, 1)  # (planes, C) each
    low, high, mean = lows.min(0), highs.max(0), means.mean(0)
    noises = tuple(measure_noise(list(colour)) for colour in zip(*samples, strict=True))
    ranges = []
    for colour, noise in enumerate(noises):
        least, most, middle = low[colour], high[colour], mean[colour]
        _check_precision(max(abs(least), abs(most)), noise.line, middle)
        one = UnitRange.of(least, most, middle, noise.line, stabilise=stabilise)
        ranges.append(one.measure([sample[colour] for sample in samples], noise))
    unit_range = ranges[0] if len(ranges) == 1 else ColourRanges(tuple(ranges))
    blank = len(indices) - len(ends)
    return _Channel(unit_range, noises, hot, uneven, blank, places, first)


def _check_finite(plane: NDArray[np.float64], image: Image, index: PlaneIndex) -> None:
    bad = plane.size - int(np.isfinite(plane).sum())
    if bad:
        name = name_plane(image, index)
        raise ValueError(
            f"The image has {bad} non-finite pixel{'s' * (bad > 1)} (NaN or infinite)"
            f"{f' in the plane {name}' if name else ''}; fill them first: napari_dip.inpaint, "
            "`napari-dip inpaint`, or the dock Restore."
        )


def _check_magnitude(largest: float) -> None:
    limits = np.finfo(np.float32)
    if largest > float(limits.max) or 0 < largest < 1e3 * float(limits.tiny):
        raise ValueError(
            f"Intensities go up to {largest:.3g}, which the float32 answer cannot hold: multiply "
            "the image by a constant so that they lie between 1e-30 and 1e30."
        )


def _check_precision(largest: float, noise: PoissonGaussian, mean: float) -> None:
    spacing, std = float(np.spacing(np.float32(largest))), noise.std(mean)
    if 0 < std < spacing:
        raise ValueError(
            f"Intensities go up to {largest:.3g} and their noise is {std:.3g}, finer than the "
            f"steps of {spacing:.3g} of the float32 answer there: subtract the offset first."
        )
