"""What is known of an image's noise, in words, figures and a picture, before anything is denoised.

References
----------
Janesick, Photon Transfer, SPIE 2007, doi:10.1117/3.725073 (the curve of variance over intensity).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.as_image import as_image
from napari_dip.noise.lines import line_offsets
from napari_dip.noise.measure import FEWEST
from napari_dip.noise.measured_noise import SHARED, MeasuredNoise
from napari_dip.planes.image_statistics import channel_of, is_blank, measure_image
from napari_dip.planes.repair import MOST_PLACES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from napari_dip.images.image import ArrayLike, Image, PlaneIndex
    from napari_dip.planes.image_statistics import ImageStatistics

QUANTILES = (0.05, 0.5, 0.95)  # of the intensities, where the noise's strength is said
LEVEL_SIGMA = 2.0  # pixels, of the blur whose intensities these are: single photons are no level
FEW_PHOTONS = 1.0  # a pixel; below, the answer is mostly what the method expects of images
TITLES = (
    "photon transfer curve",
    "correlation between pixels",
    "noise over that of its intensity, by place",
)
UNTOLD = (
    "Whether neighbouring pixels share it can't be told (few flat pixels, or fine texture); it is "
    "taken as independent."
)
BENT = 1.3  # times the variance of the straight line, up or down, that is said


@dataclass(frozen=True)
class ChannelNoise:
    """The noise of one channel, or of one colour.

    Attributes
    ----------
    name : str
        Such as ``"channel 1 (GFP)"``; empty where there is only one.
    noise : MeasuredNoise
        As measured, hot pixels and offsets of lines aside.
    levels : tuple of float
        Intensities at the `QUANTILES` of the blurred first plane.
    row_offsets, column_offsets : float
        Standard deviation of the offsets of whole rows and columns in the first plane, in units of
        its noise; 0 where none are significant.
    too_small : bool
        Whether the image has too few pixels along y or x for any measurement.
    """

    name: str
    noise: MeasuredNoise
    levels: tuple[float, ...]
    row_offsets: float
    column_offsets: float
    too_small: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the noise could be measured: its error is not everywhere as large as itself."""
        noise = self.noise
        return not self.too_small and (not any(noise.variances) or min(noise.errors) < 1)

    @property
    def photons(self) -> tuple[float, ...] | None:
        """Photons a pixel at the levels, were all noise photon noise.

        None where the noise is even, and where neighbours share it: whatever mixed the pixels has
        changed the variance, and with it the gain.
        """
        line = self.noise.line
        if line.gain <= 0 or self.noise.is_correlated:
            return None
        return tuple(line.std(level) ** 2 / line.gain**2 for level in self.levels)

    @property
    def lines(self) -> list[str]:
        """Return what was found, a sentence a line."""
        noise = self.noise
        if self.too_small:
            return [f"Fewer than {FEWEST} pixels along y or x: no noise can be measured."]
        if not any(noise.variances):
            return ["No noise was found: labels, a drawing, or a constant image."]
        sure = 50 * float(np.interp(self.levels[1], noise.levels, noise.errors))
        stds = noise.std(self.levels)
        if not self.is_known:
            return [
                f"Standard deviation of the noise: not known; {stds[1]:.3g} was measured at "
                f"{self.levels[1]:.4g} (median), but structure, or noise that many pixels share, "
                "hides it."
            ]
        places = zip(("dark", "median", "bright"), self.levels, stds, strict=True)
        said = ", ".join(f"{std:.3g} at {level:.4g} ({name})" for name, level, std in places)
        # what the error leaves out: content that looks like noise
        found = [f"Standard deviation of the noise: {said}; sure within {max(sure, 2):.0f}%."]
        found.append(self._growth())
        found.append(self._correlation())
        for strength, name in ((self.row_offsets, "rows"), (self.column_offsets, "columns")):
            if strength > 0:
                found.append(f"Whole {name} are offset, by {strength:.2g} times the noise.")
        if noise.local is not None:
            least, most = np.min(noise.local), np.max(noise.local)
            found.append(
                f"It varies over the field at the same intensity: {least:.2g} to {most:.2g} times."
            )
        if noise.saturation is not None:
            level, share = noise.saturation
            found.append(f"{100 * share:.2g}% of the pixels are saturated at {level:.4g}.")
        return found

    @property
    def advice(self) -> list[str]:
        """Return what it means for the choice of method, a sentence a line."""
        noise = self.noise
        if self.too_small:
            return ["Such an image is left as it is; give a larger part of the field."]
        if not any(noise.variances):
            return ["There is nothing to denoise."]
        if not self.is_known:
            return [
                "Judge an answer by eye: methods that go by the noise may take off too little or "
                "too much. If the image was resampled or filtered, denoise it as recorded."
            ]
        means = []
        if noise.is_correlated:
            far = max(noise.hole)
            means.append(
                f"Pixels up to {far} apart share noise. The default method (blind-spot) and models "
                "trained on such images know it; dip and patchdip would keep part of it."
            )
        elif noise.correlation_error >= SHARED:
            means.append(
                "The default suits independent noise. Of an image that was enlarged or filtered, "
                "denoise what it was made from."
            )
        else:
            means.append("Every method knows this kind of noise; the default suits it.")
        if self.photons is not None and self.photons[-1] < FEW_PHOTONS:
            means.append(
                f"There is less than one photon a pixel in {QUANTILES[-1]:.0%} of the image: fine "
                "structure there cannot be told from noise; the mean of several frames will show "
                "more."
            )
        if self.row_offsets or self.column_offsets:
            means.append("The offsets of lines are taken off first by every method that denoises.")
        if noise.local is not None:
            means.append("The default method takes into account where the noise is stronger.")
        if noise.saturation is not None:
            means.append(
                "Saturated pixels are denoised like the others: how bright they were is not known."
            )
        return means

    def _growth(self) -> str:
        """Say how the variance goes with the intensity."""
        line, noise = self.noise.line, self.noise
        if line.gain <= 0:
            stds = noise.std(self.levels)
            if stds.max() < BENT**0.5 * stds.min():
                return "It is the same at all intensities."
            return "It does not grow with the intensity, as photon noise does."
        straight = np.array([line.std(level) ** 2 for level in noise.levels])
        known = (np.array(noise.errors) <= 0.2) & (straight > 0)
        ratios = np.array(noise.variances)[known] / straight[known]
        text = f"Its variance grows with the intensity, by {line.gain:.3g} for each gray level"
        if ratios.size and not 1 / BENT < ratios.min() <= ratios.max() < BENT:
            text += f", {ratios.min():.2g} to {ratios.max():.2g} times what a straight line says"
        if self.photons is None:
            return f"{text}."
        count = f"; as of {self.photons[1]:.3g} photons a pixel at the median"
        return text + count + ", were it all photon noise."

    def _correlation(self) -> str:
        """Say what neighbours share."""
        noise = self.noise
        middle = len(noise.correlation) // 2
        y, x = noise.correlation[middle + 1][middle], noise.correlation[middle][middle + 1]
        if noise.correlation_error >= SHARED:
            return UNTOLD
        y, x = round(y, 2) + 0.0, round(x, 2) + 0.0  # no -0.00
        text = f"Neighbouring pixels share {y:.2f} of it in y and {x:.2f} in x"
        text += f" (correlation, within {max(noise.correlation_error, 0.01):.2f})"
        if noise.is_correlated:
            return f"{text}, up to {noise.hole[0]} pixels far in y and {noise.hole[1]} in x."
        return f"{text}: as good as independent."


@dataclass(frozen=True)
class NoiseReport:
    """The noise of an image.

    Attributes
    ----------
    channels : tuple of ChannelNoise
        Of each channel or colour.
    hot_pixels : int
        Hot and dead pixels in all planes.
    planes : int
        All that were looked at for them.
    hot_places : tuple of (int, int)
        Where the first ten of them are, in y and x.
    """

    channels: tuple[ChannelNoise, ...]
    hot_pixels: int
    planes: int
    hot_places: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        """Return it as indented lines."""
        text = []
        for channel in self.channels:
            text += [channel.name] if channel.name else []
            text += [f"  {line}" for line in channel.lines]
            text += [f"  -> {line}" for line in channel.advice]
        if self.hot_pixels:
            where = f" in {self.planes} planes" if self.planes > 1 else ""
            more = ", ..." if self.hot_pixels > len(self.hot_places) == MOST_PLACES else ""
            text.append(
                f"  Hot or dead pixels{where}: {self.hot_pixels}, at (y, x) = "
                f"{', '.join(map(str, self.hot_places))}{more}, replaced before a fit unless the "
                "setting hot_pixels is keep."
            )
        return "\n".join(text)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as numbers, lists and dicts."""
        channels = [
            {
                **asdict(one),
                "photons": one.photons,
                "is_correlated": one.noise.is_correlated,
                "is_known": one.is_known,
            }
            for one in self.channels
        ]
        return {
            "channels": channels,
            "hot_pixels": self.hot_pixels,
            "hot_places": [list(place) for place in self.hot_places],
            "planes": self.planes,
        }

    def png(self) -> bytes:
        """Draw variance over intensity, the correlation and, where it varies, the local level."""
        from matplotlib.figure import Figure

        rows = len(self.channels)
        columns = 3 if any(one.noise.local is not None for one in self.channels) else 2
        figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
        all_panels = figure.subplots(rows, columns, squeeze=False)
        for channel, panels in zip(self.channels, all_panels, strict=True):
            _draw_channel(channel, panels, figure)
        for axes, title in zip(all_panels[0], TITLES, strict=False):
            axes.set_title(title, fontsize=9)
        content = BytesIO()
        figure.savefig(content, format="png", dpi=100)
        return content.getvalue()


def noise_report(image: Image | ArrayLike, axes: str | None = None) -> NoiseReport:
    """Measure the noise of an image: how strong at which intensity, and what pixels share of it.

    Parameters
    ----------
    image : Image or array-like
        2 to 5 axes out of TZCYX, any intensity range. Up to eight planes of each channel are
        measured.
    axes : str, optional
        A letter an axis for a bare array, such as ``"ZYX"``; guessed where not given.

    Returns
    -------
    NoiseReport
        To print, to draw, or to read off.

    Raises
    ------
    ValueError
        For pixels that are no real numbers or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dip import noise_report
    >>> noisy = np.random.default_rng(0).normal(100, 5, (128, 128))
    >>> round(float(noise_report(noisy).channels[0].noise.std(100)))
    5
    """
    source = as_image(image, axes)
    stats = measure_image(source, stabilise=False, straighten=True)
    first: dict[int, PlaneIndex] = {}
    for index in source.plane_indices():
        if channel_of(source, index) not in first and not is_blank(source.plane(index)):
            first[channel_of(source, index)] = index
    channels = [
        channel
        for number, index in sorted(first.items())
        for channel in _report_channel(source, number, index, stats)
    ]
    return NoiseReport(tuple(channels), stats.hot_pixels, stats.planes, stats.hot_places)


def _report_channel(
    image: Image, number: int, index: PlaneIndex, stats: ImageStatistics
) -> list[ChannelNoise]:
    """Return the noise of one channel, or of each of its colours."""
    from scipy import ndimage

    plane, noises = image.plane(index), stats.noise(image, index)
    names: Sequence[str] = ("",)
    if len(noises) > 1:
        names = ("red", "green", "blue", "alpha")[: len(noises)]
    elif len(stats.noises) > 1:
        called = f" ({image.channels[number]})" if image.channels else ""
        names = (f"channel {number}{called}",)
    straight = stats.repair(image, index)
    found = []
    for name, pixels, mended, noise in zip(names, plane, straight, noises, strict=True):
        offsets = line_offsets(pixels)
        blurred = ndimage.gaussian_filter(mended, LEVEL_SIGMA)
        levels = tuple(np.quantile(blurred, QUANTILES).tolist())
        found.append(
            ChannelNoise(
                name,
                noise,
                levels,
                offsets.row_strength,
                offsets.column_strength,
                min(pixels.shape) < FEWEST,
            )
        )
    return found


def _draw_channel(channel: ChannelNoise, panels: Sequence[Any], figure: Figure) -> None:
    """Draw one row of the picture."""
    noise, curve, lags = channel.noise, panels[0], panels[1]
    levels, variances = np.array(noise.levels), np.array(noise.variances)
    errors = variances * np.minimum(noise.errors, 1)
    curve.errorbar(
        levels, variances, errors, fmt="o", ms=3, capsize=2, label="measured, standard error"
    )
    straight = [noise.line.std(level) ** 2 for level in levels]
    curve.plot(levels, straight, "--", lw=1, label="straight line")
    curve.set(xlabel=f"intensity {channel.name}".rstrip(), ylabel="variance of the noise")
    curve.legend(fontsize=8)
    far = len(noise.correlation) // 2 + 0.5
    shown = lags.imshow(noise.correlation, cmap="RdBu_r", vmin=-1, vmax=1, extent=(-far, far) * 2)
    figure.colorbar(shown, ax=lags, shrink=0.8)
    lags.set(xlabel="lag in x (pixels)", ylabel="lag in y (pixels)")
    if noise.correlation_error >= SHARED:
        lags.text(0, far / 2, "not known", ha="center")
    for place in panels[2:]:
        local = np.ones((1, 1)) if noise.local is None else np.array(noise.local)
        ends = {"vmin": min(0.5, local.min()), "vmax": max(2, local.max())}
        figure.colorbar(place.imshow(local, **ends), ax=place, shrink=0.8)
        place.set(xticks=[], yticks=[])
