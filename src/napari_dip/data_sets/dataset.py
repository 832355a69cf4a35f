"""What a model is trained on: scenes, each with its noisy captures and perhaps a clean image.

Files are read a crop at a time, so that memory does not grow with the data (see `napari_dip.data_sets.sources`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from napari_dip.data_sets.sources import FileCache, Plane, Source
from napari_dip.noise.estimate import noise_is_smooth
from napari_dip.noise.normalisation import NoNoiseError, Normalisation, measure_normalisation

LOOKS = 4  # planes of an image that its noise is measured on
MEASURED = 16  # images whose statistics are stored
SMALLEST = 16  # pixels; no crop can be cut out of less


@dataclass(frozen=True)
class Scene:
    """One view: its noisy captures (one, or repeats) and its clean image where there is one."""

    captures: tuple[Plane, ...]
    clean: Plane | None = None


@dataclass(frozen=True)
class Dataset:
    """The scenes to train on, and the cache that they are read from."""

    scenes: tuple[Scene, ...]
    channels: int
    cache: FileCache = field(default_factory=FileCache)

    @cached_property
    def planes(self) -> list[Plane]:
        """All noisy planes."""
        return [plane for scene in self.scenes for plane in scene.captures]

    @cached_property
    def sources(self) -> list[Source]:
        """The images, each once."""
        return list({id(plane.source): plane.source for plane in self.planes}.values())

    @cached_property
    def _channels(self) -> dict[tuple[int, int | None], list[Plane]]:
        groups: dict[tuple[int, int | None], list[Plane]] = {}
        for plane in self.planes:
            groups.setdefault((id(plane.source), plane.channel), []).append(plane)
        return groups

    def normalisation(self, plane: Plane, stabilise: bool) -> Normalisation:
        """Return the map to units of the noise; all planes of one channel of an image share theirs.

        Raises
        ------
        ValueError
            If the image has no noise that could be measured.
        """
        known, key = plane.source.normalisations, (plane.channel, stabilise)
        if key not in known:
            planes = self._channels[
                id(plane.source), plane.channel
            ]  # not the one drawn first: the same in every run
            samples = [one.middle(self.cache) for one in planes[:: -(-len(planes) // LOOKS)]]
            known[key] = measure_normalisation(samples, stabilise, plane.source.name)
        return known[key]

    def with_noise(self, stabilise: bool) -> tuple[Dataset, list[str]]:
        """Measure the noise of every image; return the data without those that have none, and their names.

        Raises
        ------
        ValueError
            If no image is left, or one has NaN or infinite pixels.
        """
        kept, blank = [], []
        for scene in self.scenes:
            try:
                for plane in scene.captures:
                    self.normalisation(plane, stabilise)
                kept.append(scene)
            except NoNoiseError as error:
                blank.append((scene.captures[0].source.name, error))
        if not kept:
            raise blank[0][1]
        return Dataset(tuple(kept), self.channels, self.cache), list(
            dict.fromkeys(name for name, _ in blank)
        )

    def fingerprint(self) -> str:
        """Return a SHA-256 over the marks of all sources: other data, another mark."""
        return hashlib.sha256(
            "\n".join(source.fingerprint() for source in self.sources).encode()
        ).hexdigest()

    def smooth_noise(self, looks: int = 4) -> list[str]:
        """Name the images, among a few evenly spread, whose neighbouring pixels share their noise."""
        chosen = self.sources[:: -(-len(self.sources) // looks)]
        first = {id(plane.source): plane for plane in reversed(self.planes)}
        return [s.name for s in chosen if noise_is_smooth([first[id(s)].middle(self.cache)])]

    def statistics(self, stabilise: bool, correlated: bool) -> dict[str, Any]:
        """Measure intensities and noise on a few images, evenly spread, ready for JSON."""
        first = {id(plane.source): plane for plane in reversed(self.planes)}
        chosen = self.sources[:: -(-len(self.sources) // MEASURED)]
        rows = []
        for source in chosen:
            plane = first[id(source)]
            middle, normalisation = plane.middle(self.cache), self.normalisation(plane, stabilise)
            low, high = np.quantile(normalisation.apply(middle), (0.001, 0.999))
            noise = normalisation.noise
            rows.append(
                (middle.min(), middle.mean(), middle.max(), high - low, noise.gain, noise.variance)
            )
        least, mean, most, contrast, gain, variance = (
            np.array(column, dtype=float) for column in zip(*rows, strict=True)
        )
        return {
            "intensity": [float(least.min()), float(mean.mean()), float(most.max())],
            "contrast": [float(contrast.min()), float(contrast.max())],
            "gain": [float(gain.min()), float(gain.max())],
            "variance": [float(variance.min()), float(variance.max())],
            "noise_is_correlated": correlated,
        }

    def summary(self) -> dict[str, Any]:
        """Say what it is, ready for JSON; names of folders stay out."""
        names = [source.name for source in self.sources]
        return {
            "images": len(names),
            "planes": len(self.planes),
            "pixels": sum(prod(plane.size) for plane in self.planes),
            "types": sorted({str(source.dtype) for source in self.sources}),
            "first_names": names[:8],
            "sha256_of_names_sizes_and_times": self.fingerprint(),
        }
