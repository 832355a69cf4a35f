"""Look at all pixels once before any work: refuse what cannot be denoised, and measure range and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dip.images.image import Image, PlaneIndex
from napari_dip.noise.anscombe import PoissonGaussian, UnitRange
from napari_dip.noise.estimate import estimate_noise, noise_is_smooth
from napari_dip.noise.hot_pixels import replace_hot_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SMOOTH_NOISE = (
    "The noise of neighbouring pixels is correlated, as after resampling or a camera's own filter: part of it looks "
    "like structure and will stay. Denoise the raw data if you have them, or bin by 2 first."
)
NO_NUMBER = "All pixels of the image, or of one of its channels, are non-finite (NaN or infinite): there is nothing to go by."
NOISE_PLANES = 8  # planes of a channel, evenly spread, that the noise is measured on


@dataclass(frozen=True)
class ImageStatistics:
    """What the pixels say.

    Attributes
    ----------
    units : tuple of UnitRange
        The map to [0, 1] of each channel, one where there is no such axis. Each channel has a
        detector of its own, hence its own gain and offset; the planes along T and Z share theirs,
        and the colours of RGB theirs.
    noise_is_smooth : bool
        Whether neighbouring pixels share their noise, in any channel.
    hot_pixels : int
        Hot and dead pixels in all planes, see `napari_dip.noise.hot_pixels`.
    blank_planes : int
        Planes without any number, which are left as they are: a camera that missed a frame, the
        border of a registered stack.
    """

    units: tuple[UnitRange, ...]
    noise_is_smooth: bool
    hot_pixels: int
    blank_planes: int = 0

    @property
    def note(self) -> str:
        """What a user should know before the fit; mostly empty."""
        many = (
            "1 hot or dead pixel is"
            if self.hot_pixels == 1
            else f"{self.hot_pixels} hot or dead pixels are"
        )
        hot = f"{many} replaced by the median around." if self.hot_pixels else ""
        blank = f"Planes left as they are, no pixel of theirs being finite: {self.blank_planes}."
        blank = blank if self.blank_planes else ""
        return " ".join(
            text for text in (hot, blank, SMOOTH_NOISE if self.noise_is_smooth else "") if text
        )

    def unit(self, image: Image, index: PlaneIndex) -> UnitRange:
        """Return the map for one plane of `image`."""
        return self.units[channel_of(image, index)]


def measure_image(
    image: Image, *, stabilise: bool, without: Sequence[PlaneIndex] = ()
) -> ImageStatistics:
    """Read every plane once, and some twice to measure their noise.

    Parameters
    ----------
    image : Image
        Any axes; read plane by plane.
    stabilise : bool
        Whether the maps make Poisson-Gaussian noise even.
    without : sequence of PlaneIndex
        Planes that say nothing of range and noise, such as saturated ones, unless a channel has no
        others.

    Raises
    ------
    ValueError
        For pixels that are no real numbers, not finite (but for whole planes of a stack), or lost
        in a float32 answer.
    """
    if image.dtype.kind not in "buif":
        raise ValueError(
            f"Pixels are of type {image.dtype}; give integers or floats (for complex data, a part of it)."
        )
    groups: dict[int, list[PlaneIndex]] = {}
    for index in image.plane_indices():
        groups.setdefault(channel_of(image, index), []).append(index)
    telling = [
        [index for index in group if index not in without] or group for group in groups.values()
    ]
    maps = [_measure_channel(image, indices, stabilise) for indices in telling]
    units, smooth, hot, blank = zip(*maps, strict=True)
    return ImageStatistics(units, any(smooth), sum(hot), sum(blank))


def is_blank(plane: NDArray[np.float64]) -> bool:
    """Say whether a plane holds no number at all."""
    return not np.isfinite(plane).any()


def _measure_channel(
    image: Image, indices: list[PlaneIndex], stabilise: bool
) -> tuple[UnitRange, bool, int, int]:
    low, high, total, hot = np.inf, -np.inf, 0.0, 0
    filled: list[PlaneIndex] = []
    for index in indices:
        plane = image.plane(index)
        if is_blank(plane):
            continue
        _check_finite(plane, image, index)
        filled.append(index)
        plane, count = replace_hot_pixels(plane)
        hot += count
        low, high = min(low, float(plane.min())), max(high, float(plane.max()))
        total += float(plane.mean())
    if not filled:
        raise ValueError(NO_NUMBER)
    total /= len(filled)
    _check_magnitude(max(abs(low), abs(high)))
    samples = [
        replace_hot_pixels(image.plane(index))[0]
        for index in filled[:: -(-len(filled) // NOISE_PLANES)]
    ]
    noise = estimate_noise(samples)
    _check_precision(max(abs(low), abs(high)), noise, total)
    unit = UnitRange.of(low, high, total, noise, stabilise=stabilise)
    return unit, noise_is_smooth(samples), hot, len(indices) - len(filled)


def channel_of(image: Image, index: PlaneIndex) -> int:
    """Return which channel a plane belongs to; 0 where there is no such axis, or it is colour."""
    at = image.axes.find("C")
    place = index[at] if at >= 0 else 0
    return place if isinstance(place, int) else 0


def _check_finite(plane: NDArray[np.float64], image: Image, index: PlaneIndex) -> None:
    bad = plane.size - int(np.isfinite(plane).sum())
    if not bad:
        return
    places = ", ".join(
        f"{a} = {i}" for a, i in zip(image.axes, index, strict=True) if isinstance(i, int)
    )
    raise ValueError(
        f"The image has {bad} non-finite pixel{'s' * (bad > 1)} (NaN or infinite)"
        f"{f' in the plane {places}' if places else ''}; fill them first: napari_dip.inpaint, "
        "`napari-dip inpaint`, or the dock Restore."
    )


def _check_magnitude(top: float) -> None:
    limits = np.finfo(np.float32)
    if top > float(limits.max) or 0 < top < 1e3 * float(limits.tiny):
        raise ValueError(
            f"Intensities go up to {top:.3g}, which the float32 answer cannot hold: multiply the image by a constant "
            "so that they lie between 1e-30 and 1e30."
        )


def _check_precision(top: float, noise: PoissonGaussian, mean: float) -> None:
    spacing, std = float(np.spacing(np.float32(top))), noise.std(mean)
    if 0 < std < spacing:
        raise ValueError(
            f"Intensities go up to {top:.3g} and their noise is {std:.3g}, finer than the steps of {spacing:.3g} "
            "of the float32 answer there: subtract the offset first."
        )
