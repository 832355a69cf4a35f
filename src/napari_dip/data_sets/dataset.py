"""What a model is trained on: scenes, each with its noisy captures and perhaps a clean image.

Files are read a crop at a time, so that memory does not grow with the data (see
`napari_dip.data_sets.sources`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from statistics import median_low
from typing import Any, TypeVar

import numpy as np

from napari_dip.data_sets.sources import FileCache, Plane, Source
from napari_dip.images.nearby import ALONG, neighbour_axis
from napari_dip.noise.even_noise import NoNoiseError, Normalisation, measure_normalisation

NOISE_PLANES = 4  # planes of an image that its noise is measured on
STATISTICS_IMAGES = 16  # images whose statistics are stored
SMALLEST = 16  # pixels; no crop can be cut out of less
NO_NOISE = "Left out, since no noise could be measured in them: {}."
TOO_FEW = "Left out, since they have fewer than {} planes along {}: {}."
_T = TypeVar("_T")
TOO_SMALL = "Left out, since they are much smaller than crops of {} pixels: {}."


@dataclass(frozen=True)
class Scene:
    """One view: its noisy captures (one, or repeats) and its clean image where there is one."""

    captures: tuple[Plane, ...]
    clean: Plane | None = None

    @property
    def name(self) -> str:
        """Of its first image."""
        return self.captures[0].source.name

    @property
    def shortest_side(self) -> int:
        """Height or width of its planes, whichever is less, in pixels."""
        return min(min(plane.size) for plane in self.captures)


@dataclass(frozen=True)
class Dataset:
    """The scenes to train on, the cache they are read from, and what a user should know of them.

    Each plane comes with the `neighbours` planes before and after it, along the first of the axes
    `along` that has as many.
    """

    scenes: tuple[Scene, ...]
    channels: int
    cache: FileCache = field(default_factory=FileCache)
    notes: tuple[str, ...] = ()
    neighbours: int = 0
    along: str = ALONG

    @cached_property
    def planes(self) -> list[Plane]:
        """All noisy planes."""
        return [plane for scene in self.scenes for plane in scene.captures]

    @cached_property
    def sources(self) -> list[Source]:
        """The images, each once."""
        return list({id(plane.source): plane.source for plane in self.planes}.values())

    @cached_property
    def _planes_of_channel(self) -> dict[tuple[int, int | None], list[Plane]]:
        groups: dict[tuple[int, int | None], list[Plane]] = {}
        for plane in self.planes:
            groups.setdefault((id(plane.source), plane.channel), []).append(plane)
        return groups

    @cached_property
    def _first_planes(self) -> dict[int, Plane]:
        return {id(plane.source): plane for plane in reversed(self.planes)}

    def normalisation(self, plane: Plane, stabilise: bool) -> Normalisation:
        """Return the map to units of the noise, the same for all planes of a channel."""
        known, key = plane.source.normalisations, (plane.channel, stabilise)
        if key not in known:
            # Of planes evenly spread, not of the one drawn first: the same in every run.
            planes = _spread(self._planes_of_channel[id(plane.source), plane.channel], NOISE_PLANES)
            samples = [one.middle(self.cache) for one in planes]
            known[key] = measure_normalisation(samples, stabilise, plane.source.name)
        return known[key]

    def with_noise(self, stabilise: bool) -> Dataset:
        """Measure the noise of every image; return the data without those that have none."""
        left: list[Scene] = []
        errors: dict[str, NoNoiseError] = {}
        for scene in self.scenes:
            try:
                for plane in scene.captures:
                    self.normalisation(plane, stabilise)
                left.append(scene)
            except NoNoiseError as error:
                errors.setdefault(scene.name, error)
        if not left:
            raise next(iter(errors.values()))
        note = (NO_NOISE.format(list_names(errors)),) if errors else ()
        return replace(self, scenes=tuple(left), notes=(*self.notes, *note))

    def with_neighbours(self, count: int, along: str = ALONG) -> Dataset:
        """Return the data with neighbours of each plane, without images of too few planes."""
        if not count:
            return self
        left: list[Scene] = []
        few: list[Scene] = []
        for scene in self.scenes:
            sources = [plane.source for plane in scene.captures]
            enough = all(neighbour_axis(s.letters, s.shape, count, along) for s in sources)
            (left if enough else few).append(scene)
        axes, names = " or ".join(along), list_names(scene.name for scene in few)
        if not left:
            raise ValueError(
                f"With neighbours = {count} each image has to be a stack of at least "
                f"{2 * count + 1} planes along {axes}, and none is ({names}): give whole stacks, "
                "or take neighbours = 0."
            )
        note = (TOO_FEW.format(2 * count + 1, axes, names),) if few else ()
        notes = (*self.notes, *note)
        return replace(self, scenes=tuple(left), notes=notes, neighbours=count, along=along)

    def near(self, plane: Plane) -> dict[int, Plane]:
        """Return the neighbours of a plane by how far away they lie."""
        source = plane.source
        axis = neighbour_axis(source.letters, source.shape, self.neighbours, self.along)
        return plane.near(axis, self.neighbours) if axis and self.neighbours else {}

    def without_small_planes(self, crop: int) -> Dataset:
        """Return the data without scenes that would make all crops much smaller than most allow.

        All crops are of one size, that of the smallest plane where this is below `crop`. Scenes
        under half of what at least half of the scenes allow are left out.
        """
        typical = median_low(min(crop, scene.shortest_side) for scene in self.scenes)
        left = [scene for scene in self.scenes if 2 * scene.shortest_side >= typical]
        if len(left) == len(self.scenes):
            return self
        small = [scene.name for scene in self.scenes if 2 * scene.shortest_side < typical]
        note = TOO_SMALL.format(typical, list_names(small))
        return replace(self, scenes=tuple(left), notes=(*self.notes, note))

    def fingerprint(self) -> str:
        """Return a SHA-256 over the fingerprints of all sources."""
        lines = "\n".join(source.fingerprint() for source in self.sources)
        return hashlib.sha256(lines.encode()).hexdigest()

    def hole(self, scene: Scene, stabilise: bool) -> int:
        """Return how many pixels far a scene's captures share their noise; mostly 0."""
        return max(self.normalisation(plane, stabilise).hole for plane in scene.captures)

    def holes(self, stabilise: bool) -> tuple[int, ...]:
        """Return 0 where there is independent noise, and the median hole of correlated noise."""
        found = [self.hole(scene, stabilise) for scene in self.scenes]
        correlated = [hole for hole in found if hole]
        return (*((0,) if 0 in found else ()), *([median_low(correlated)] if correlated else []))

    def correlated_noise(self, stabilise: bool) -> list[str]:
        """Name the images whose neighbouring pixels share their noise."""
        planes = (plane for plane in self.planes if self.normalisation(plane, stabilise).hole)
        return list(dict.fromkeys(plane.source.name for plane in planes))

    def statistics(self, stabilise: bool, correlated: bool) -> dict[str, Any]:
        """Measure intensities and noise on a few images, evenly spread, ready for JSON."""
        rows = []
        for source in _spread(self.sources, STATISTICS_IMAGES):
            plane = self._first_planes[id(source)]
            middle, normalisation = plane.middle(self.cache), self.normalisation(plane, stabilise)
            low, high = np.quantile(normalisation.apply(middle), (0.001, 0.999))
            noise = normalisation.noise
            rows.append(
                (middle.min(), middle.mean(), middle.max(), high - low, noise.gain, noise.variance)
            )
        columns = np.array(list(zip(*rows, strict=True)), dtype=float)
        least, mean, most, contrast, gain, variance = columns
        return {
            "intensity": [float(least.min()), float(mean.mean()), float(most.max())],
            "contrast": [float(contrast.min()), float(contrast.max())],
            "gain": [float(gain.min()), float(gain.max())],
            "variance": [float(variance.min()), float(variance.max())],
            "noise_is_correlated": correlated,
        }

    def summary(self) -> dict[str, Any]:
        """Return what the data are, ready for JSON; names of folders stay out."""
        names = [source.name for source in self.sources]
        return {
            "images": len(names),
            "planes": len(self.planes),
            "pixels": sum(prod(plane.size) for plane in self.planes),
            "types": sorted({str(source.dtype) for source in self.sources}),
            "first_names": names[:8],
            "part": self.sources[0].part.given() or None,
            "sha256_of_names_sizes_and_times": self.fingerprint(),
        }


def _spread(items: list[_T], most: int) -> list[_T]:
    """Return at most `most` items, evenly spread."""
    return items[:: -(-len(items) // most)]


def list_names(names: Iterable[str]) -> str:
    """List the first three different names, and how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    return ", ".join(different[:3]) + more
