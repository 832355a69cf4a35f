"""Endless random crops, drawn on the fly from data that may be larger than the memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_dip.data_sets.dataset import SMALLEST, Dataset, Scene
from napari_dip.engine.device import put
from napari_dip.engine.orientations import turn
from napari_dip.noise.units import UNIT
from napari_dip.training.plane_crops import PlaneCrops
from napari_dip.training.processes import ALONE, ProcessGroup

HELD_CROPS = 16  # crops of the validation set, at most
WIDER = 2  # times as high and wide are crops of correlated noise, whose structure is coarser
TRIES = 16  # draws that may fall on a held-out crop before one is taken all the same
HELP_TRIES = 1000  # draws that may fall on planes without a neighbour that helps


@dataclass(frozen=True)
class Place:
    """A square of a scene."""

    scene: int
    capture: int
    top: int
    left: int
    size: int

    def overlaps(self, other: Place) -> bool:
        """Return whether two squares show some of the same pixels."""
        down, right = other.top - self.top, other.left - self.left
        near = (-other.size < shift < self.size for shift in (down, right))
        return self.scene == other.scene and all(near)


@dataclass(frozen=True)
class Batch:
    """Crops (B, C, Y, X) in units of three times the noise.

    `noisy` has those of neighbouring planes as further channels, where the network sees any.
    `target` is the second capture or the clean image of the same places, where there is one;
    `correlation` (B, 2R + 1, 2R + 1) that of the noise, where neighbours share it.
    """

    noisy: Tensor
    target: Tensor | None = None
    correlation: Tensor | None = None

    def on(self, device: torch.device) -> Batch:
        """Bring it to a device."""
        beside = (None if p is None else put(p, device) for p in (self.target, self.correlation))
        return Batch(put(self.noisy, device), *beside)


class Crops:
    """Draw square crops of a data set; a scene is drawn as often as its share of all pixels.

    `size` is the side of the squares, less where a plane is smaller. `second` is ``""``, or
    ``"capture"`` or ``"clean"`` where each crop comes with another capture, or the clean image, of
    its place. `held_out_share` of the pixels, places drawn from `generator`, are kept for
    validation. All crops of a batch are of one kind: of independent noise, or of noise that
    neighbours share (where `holes`, as the network has them, name it).
    """

    def __init__(
        self,
        data: Dataset,
        size: int,
        *,
        stabilise: bool,
        second: str = "",
        held_out_share: float = 0.0,
        generator: torch.Generator,
        holes: tuple[int, ...] = (0,),
    ) -> None:
        self.data, self.stabilise, self.second = data, stabilise, second
        self.planes = PlaneCrops(data)
        _check(data, second)
        smallest = min(min(plane.size) for plane in data.planes)
        self.size = min(size, smallest)
        areas = [
            float(np.prod(scene.captures[0].size)) * len(scene.captures) for scene in data.scenes
        ]
        self.areas = torch.tensor(areas, dtype=torch.float64)
        correlated = [bool(data.hole(scene, stabilise)) and any(holes) for scene in data.scenes]
        self.correlated = torch.tensor(correlated)
        sides = [s.shortest_side for s, one in zip(data.scenes, correlated, strict=True) if one]
        self.wider = min([WIDER * self.size, *sides])
        self.held: list[Place] = []
        # Refused before any work starts, where no plane has help; drawn apart from the training.
        self._free_place(self.size, torch.Generator().manual_seed(0), self.areas)
        self._hold_out(held_out_share * sum(areas), generator)

    def _hold_out(self, pixels: float, generator: torch.Generator) -> None:
        size = min(self.size, int(pixels**0.5))
        if size < SMALLEST:  # too few pixels to learn anything from
            return
        for _ in range(min(HELD_CROPS, int(pixels / size**2))):
            place = self._place(size, generator, self.areas)
            if not any(place.overlaps(other) for other in self.held):
                self.held.append(place)

    def draw(
        self,
        count: int,
        generator: torch.Generator,
        group: ProcessGroup = ALONE,
        *,
        correlated: bool = False,
    ) -> Batch:
        """Cut `count` random squares, each in a random one of the eight orientations.

        Of several processes each draws all of them, and cuts and returns those of its share.
        """
        parts, tables, share = [], [], range(count)[group.share(count)]
        size = self.wider if correlated else self.size
        areas = torch.where(self.correlated == correlated, self.areas, 0.0)
        for number in range(count):
            place = self._free_place(size, generator, areas)
            orientation = int(torch.randint(8, (1,), generator=generator))
            other = int(torch.randint(1 << 30, (1,), generator=generator))
            if number in share:
                parts.append(turn(self.cut(place, other), orientation))
                if correlated:
                    tables.append(turn(self._correlation(place), orientation))
        return self._batch(torch.stack(parts), torch.stack(tables) if tables else None)

    def held_out(self) -> list[Batch]:
        """Cut the validation crops."""
        return [
            self._batch(
                self.cut(place)[None],
                self._correlation(place)[None] if self.correlated[place.scene] else None,
            )
            for place in self.held
        ]

    def cut(self, place: Place, other: int = 0) -> Tensor:
        """Cut one square, (planes, C, Y, X): of the noisy plane, its neighbours, its target."""
        scene = self.data.scenes[place.scene]
        plane = scene.captures[place.capture]
        normalisation = self.data.normalisation(plane, self.stabilise)
        where = place.top, place.left, place.size, place.size
        parts = [self.planes.read(plane, normalisation, *where)]
        target = None
        if self.second == "capture":
            others = [c for c in scene.captures if c is not plane]
            second = others[other % len(others)]
            target = normalisation.apply(second.read(self.data.cache, *where))
        elif scene.clean is not None and self.second == "clean":
            target = normalisation.apply_to_clean(scene.clean.read(self.data.cache, *where))
        if target is not None:
            parts.append(torch.from_numpy(target)[None])
        return torch.cat(parts) / UNIT

    def _batch(self, crops: Tensor, correlation: Tensor | None) -> Batch:
        """Turn (B, planes, C, Y, X) into a batch."""
        seen = 1 + 2 * self.data.neighbours
        target = crops[:, seen] if crops.shape[1] > seen else None
        return Batch(crops[:, :seen].flatten(1, 2), target, correlation)

    def _correlation(self, place: Place) -> Tensor:
        """Return that of the noise of a square, which pixels share."""
        captures = self.data.scenes[place.scene].captures
        found = [self.data.normalisation(c, self.stabilise).shared for c in captures]
        shared = next(noise for noise in [found[place.capture], *found] if noise is not None)
        return torch.tensor(shared.correlation)

    def _free_place(self, size: int, generator: torch.Generator, areas: Tensor) -> Place:
        """Draw a square apart from those held out, in a plane that a neighbour helps."""
        overlapping = 0
        for _ in range(HELP_TRIES):
            place = self._place(size, generator, areas)
            plane = self.data.scenes[place.scene].captures[place.capture]
            if not self.planes.has_help(plane, self.data.normalisation(plane, self.stabilise)):
                continue
            if overlapping == TRIES - 1 or not any(place.overlaps(held) for held in self.held):
                return place
            overlapping += 1
        raise ValueError(
            "No plane of the training images is predicted better with its neighbours than without: "
            "train with neighbours = 0."
        )

    def _place(self, size: int, generator: torch.Generator, areas: Tensor) -> Place:
        draw = torch.rand(4, generator=generator, dtype=torch.float64)
        shares = areas.cumsum(0) / areas.sum()
        number = min(int(torch.searchsorted(shares, draw[0])), len(self.data.scenes) - 1)
        scene = self.data.scenes[number]
        height, width = scene.captures[0].size
        top, left = int(draw[1] * (height - size + 1)), int(draw[2] * (width - size + 1))
        return Place(number, int(draw[3] * len(scene.captures)), top, left, size)


def _check(data: Dataset, second: str) -> None:
    def lacks(scene: Scene) -> bool:
        return {"": False, "capture": len(scene.captures) < 2, "clean": scene.clean is None}[second]

    if any(lacks(scene) for scene in data.scenes):
        wanted = {
            "capture": "two captures or more of every scene: repeats along T, a second folder as "
            "targets, or samples of FMD",
            "clean": "a clean image for every noisy one: give them as targets, or samples of FMD",
        }[second]
        raise ValueError(f"This method needs {wanted}.")
