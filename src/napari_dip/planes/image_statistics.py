"""Measure range and noise of an image before any work; refuse pixels that cannot be denoised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.noise.anscombe import PoissonGaussian, UnitRange
from napari_dip.noise.estimate import estimate_noise, noise_is_correlated
from napari_dip.noise.hot_pixels import replace_hot_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CORRELATED_NOISE = (
    "The noise of neighbouring pixels is correlated, as after resampling or a camera's own filter: "
    "part of it looks like structure and will stay. Denoise the raw data if you have them, or bin "
    "by 2 first."
)
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
    noise_is_correlated : bool
        Whether neighbouring pixels share their noise, in any channel.
    hot_pixels : int
        Hot and dead pixels in all planes, see `napari_dip.noise.hot_pixels`.
    blank_planes : int
        Planes without any finite pixel, which are left as they are: a camera that missed a frame,
        the border of a registered stack.
    """

    unit_ranges: tuple[UnitRange, ...]
    noise_is_correlated: bool
    hot_pixels: int
    blank_planes: int = 0

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
        if self.noise_is_correlated:
            notes.append(CORRELATED_NOISE)
        return " ".join(notes)

    def unit_range(self, image: Image, index: PlaneIndex) -> UnitRange:
        """Return the map to [0, 1] for one plane of `image`."""
        return self.unit_ranges[channel_of(image, index)]


def measure_image(
    image: Image, *, stabilise: bool, without: Sequence[PlaneIndex] = ()
) -> ImageStatistics:
    """Measure range and noise; every plane is read once, and some twice for their noise.

    Parameters
    ----------
    image : Image
        Any axes; read plane by plane.
    stabilise : bool
        Whether the maps make the variance of Poisson-Gaussian noise the same everywhere.
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
    results = [_measure_channel(image, indices, stabilise) for indices in measured]
    unit_ranges, correlated, hot, blank = zip(*results, strict=True)
    return ImageStatistics(unit_ranges, any(correlated), sum(hot), sum(blank))


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


def _measure_channel(
    image: Image, indices: list[PlaneIndex], stabilise: bool
) -> tuple[UnitRange, bool, int, int]:
    """Return unit range, whether noise is correlated, hot pixels, blank planes of a channel."""
    low, high, mean, hot = np.inf, -np.inf, 0.0, 0
    finite: list[PlaneIndex] = []
    for index in indices:
        plane = image.plane(index)
        if is_blank(plane):
            continue
        _check_finite(plane, image, index)
        finite.append(index)
        plane, count = replace_hot_pixels(plane)
        hot += count
        low, high = min(low, float(plane.min())), max(high, float(plane.max()))
        mean += float(plane.mean())
    if not finite:
        raise ValueError(
            "All pixels of the image, or of one of its channels, are non-finite (NaN or "
            "infinite): there is nothing to go by."
        )
    mean /= len(finite)
    largest = max(abs(low), abs(high))
    _check_magnitude(largest)
    stride = -(-len(finite) // NOISE_PLANES)
    samples = [replace_hot_pixels(image.plane(index))[0] for index in finite[::stride]]
    noise = estimate_noise(samples)
    _check_precision(largest, noise, mean)
    unit_range = UnitRange.of(low, high, mean, noise, stabilise=stabilise)
    return unit_range, noise_is_correlated(samples), hot, len(indices) - len(finite)


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
