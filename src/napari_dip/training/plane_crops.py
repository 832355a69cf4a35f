"""Crops of planes in units of the noise, each with those of the planes near it."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.data_sets.dataset import Dataset
from napari_dip.data_sets.sources import Plane
from napari_dip.nets.neighbours import Judge, Match, surroundings
from napari_dip.noise.even_noise import Normalisation


class PlaneCrops:
    """Reads crops of the planes of a data set, its neighbours as the data set has them.

    How a neighbour lies, and whether it helps, is seen once on the middle of its plane, as it is on
    whole planes where a model is applied (`napari_dip.planes.neighbours.Neighbours`).
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._found: dict[tuple[object, ...], list[tuple[Plane, Match] | None]] = {}

    def read(
        self,
        plane: Plane,
        normalisation: Normalisation,
        top: int,
        left: int,
        height: int,
        width: int,
    ) -> Tensor:
        """Read a part, (planes, C, Y, X): that of the plane itself first, then of its neighbours.

        Each is brought to the place and brightness of the plane. One that does not help is replaced
        by the nearest that does, and all by means around each pixel where none does.
        """
        own = self._part(plane, normalisation, range(top, top + height), range(left, left + width))
        parts = [own]
        for found in self._neighbours(plane, normalisation):
            if found is None:
                parts.append(surroundings(own, _hole(normalisation)))
                continue
            near, match = found
            rows = range(top + match.rows, top + match.rows + height)
            columns = range(left + match.columns, left + match.columns + width)
            parts.append(match.brighten(self._part(near, normalisation, rows, columns)))
        return torch.stack(parts)

    def has_help(self, plane: Plane, normalisation: Normalisation) -> bool:
        """Return whether a neighbour of a plane helps, or none is asked for."""
        return not self.data.neighbours or any(self._neighbours(plane, normalisation))

    def _part(
        self, plane: Plane, normalisation: Normalisation, rows: range, columns: range
    ) -> Tensor:
        """Read a part, mirrored where it reaches past a border."""
        y, x = (
            [_mirrored(place, size) for place in places]
            for places, size in zip((rows, columns), plane.size, strict=True)
        )
        top, left = min(y), min(x)
        pixels = plane.read(self.data.cache, top, left, max(y) + 1 - top, max(x) + 1 - left)
        part = torch.from_numpy(normalisation.apply(pixels))
        if len(rows) == part.shape[-2] and len(columns) == part.shape[-1]:  # within the borders
            return part
        return part[:, [place - top for place in y]][..., [place - left for place in x]]

    def _neighbours(
        self, plane: Plane, normalisation: Normalisation
    ) -> list[tuple[Plane, Match] | None]:
        """Return what to put beside a plane, a neighbour each; None for its own surroundings."""
        key = (id(plane.source), *map(str, plane.index))  # slices have no hash
        if key not in self._found:
            near = self.data.near(plane)
            middles = {
                offset: torch.from_numpy(normalisation.apply(other.middle(self.data.cache)))
                for offset, other in near.items()
            }
            matches: dict[int, Match] = {}
            if near:
                own = torch.from_numpy(normalisation.apply(plane.middle(self.data.cache)))
                matches, _ = Judge(own, _hole(normalisation)).choose(middles)
            nearest = [min(matches, key=lambda n: abs(n - offset), default=0) for offset in near]
            self._found[key] = [(near[n], matches[n]) if n else None for n in nearest]
        return self._found[key]


def _hole(normalisation: Normalisation) -> tuple[int, int]:
    return normalisation.shared.hole if normalisation.shared else (0, 0)


def _mirrored(place: int, size: int) -> int:
    """Return the place within an axis that one past its ends shows."""
    place %= max(2 * size - 2, 1)
    return place if place < size else 2 * size - 2 - place
