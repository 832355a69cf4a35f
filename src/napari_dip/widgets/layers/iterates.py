"""Answers of earlier and later steps, plane by plane: choosing one exchanges its own plane only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dip.images.lazy_array import LazyArray, as_slice
from napari_dip.widgets.layers.source import Source

MAX_COUNT = 24  # of a plane
MAX_BYTES = 1_000_000_000  # of all planes; at least three of a plane are kept


@dataclass(frozen=True, eq=False)
class Iterate:
    """One picture of a plane, and the step of its fit that it is the answer of."""

    step: int
    pixels: NDArray[Any]


@dataclass(eq=False)
class PlaneIterates:
    """Evenly spaced iterates of one plane, of a fit of any length.

    When there are too many every other one is dropped, and from then on half as many are taken.
    """

    items: list[Iterate] = field(default_factory=list)
    every: int = 1
    seen: int = 0

    def offer(self, iterate: Iterate, most: int) -> None:
        """Take an iterate if it is its turn."""
        taken = self.seen % self.every == 0 and all(one.step != iterate.step for one in self.items)
        self.seen += 1
        if not taken:
            return
        self.items.append(iterate)
        if len(self.items) > most:
            self.items = self.items[::2]
            self.every *= 2

    def end(self, answer: Iterate) -> None:
        """Take the answer, in place of an iterate of the same step; put all in order of steps."""
        rest = [one for one in self.items if one.step != answer.step]
        self.items = sorted([*rest, answer], key=lambda one: one.step)


@dataclass(eq=False)
class Iterates:
    """The iterates of all planes of a source, in bounded memory."""

    source: Source
    max_count: int = MAX_COUNT
    planes: dict[int, PlaneIterates] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)  # the step of each plane's answer
    _first: dict[int, int] = field(default_factory=dict)  # the steps before each plane

    def follow(self, plane: int, step: int, chosen: int) -> None:
        """Note where the work stands; steps count over all planes."""
        before = self._first.setdefault(plane, step - 1)
        self.answers[plane] = max(chosen - before, 0)

    def offer(self, plane: int, picture: Any) -> None:
        """Take the plane at work from a picture of all, if it is its turn."""
        if not self.answers.get(plane):  # no answer of its own yet
            return
        pixels = np.array(picture[self.source.plane_index(plane)])
        room = MAX_BYTES // max(pixels.nbytes * self.source.planes, 1)
        own = self.planes.setdefault(plane, PlaneIterates())
        own.offer(Iterate(self.answers[plane], pixels), max(3, min(self.max_count, room)))

    def end(self, picture: Any) -> None:
        """Take the answer of each plane from the picture of all."""
        for plane, own in self.planes.items():
            pixels = np.array(picture[self.source.plane_index(plane)])
            own.end(Iterate(self.answers[plane], pixels))


class Exchanged(LazyArray):
    """A stack that cannot be written to, with some of its planes exchanged."""

    def __init__(self, base: Any) -> None:
        self.base, self.shape, self.dtype = base, tuple(base.shape), np.dtype(base.dtype)
        self.planes: dict[tuple[int | slice, ...], NDArray[Any]] = {}

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        out = np.array(self.base[tuple(map(as_slice, ranges))])
        for index, pixels in self.planes.items():
            inside = [isinstance(i, slice) or i in r for i, r in zip(index, ranges, strict=False)]
            if all(inside):
                pairs = list(zip(index, ranges, strict=False))
                at = tuple(i if isinstance(i, slice) else r.index(i) for i, r in pairs)
                kept = [r for i, r in pairs if isinstance(i, slice)] + list(ranges[len(index) :])
                out[at] = pixels[tuple(map(as_slice, kept))]
        return out


def exchange(layer: Any, index: tuple[int | slice, ...], pixels: NDArray[Any]) -> None:
    """Put a plane into a layer; all others stay as they are, to the bit."""
    data = layer.data
    if isinstance(data, np.ndarray):
        data = data if data.flags.writeable else data.copy()
        data[index] = pixels
    else:
        data = data if isinstance(data, Exchanged) else Exchanged(data)
        data.planes[index] = pixels
    if data is layer.data:
        layer.refresh()
    else:
        layer.data = data
