"""Which planes of a stack lie near another one."""

from __future__ import annotations

from collections.abc import Sequence

ALONG = "TZ"  # time, then depth


def neighbour_axis(axes: str, shape: Sequence[int], count: int, along: str = ALONG) -> str:
    """Return the first axis `along` which every plane has ``2 * count`` others; "" for none."""
    lengths = dict(zip(axes, shape, strict=True))
    return next((axis for axis in along if lengths.get(axis, 1) > 2 * count), "")


def places_near(place: int, length: int, count: int) -> range:
    """Return a place among `length` and its neighbours; at an end they lie at the one side."""
    first = max(0, min(place - count, length - 1 - 2 * count))
    return range(first, min(first + 2 * count, length - 1) + 1)


def offsets(place: int, length: int, count: int) -> list[int]:
    """Return how far away the neighbours of a place lie."""
    return [other - place for other in places_near(place, length, count) if other != place]
