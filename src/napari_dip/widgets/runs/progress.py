"""What a dock is told of a run, and when: cheap beats often, pictures as seldom as they are costly."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_dip.snapshot import Snapshot

BEAT = 0.1  # seconds between beats
PICTURE_SHARE = 0.25  # of the worker's time, at most, goes into pictures
Point = tuple[int, float, float | None]


@dataclass(frozen=True, eq=False)
class Beat:
    """Where the work stands; `picture` where one was due.

    Attributes
    ----------
    step, total, chosen, plane, planes, note
        As in `Snapshot`; step 0 means that the work is being prepared.
    points : tuple of (step, loss, criterion)
        What the curve needs since the last beat.
    picture : array or None
        The answer so far, as the layer shows it.
    std : array or None
        Beside a picture, its standard deviation, where one was asked for.
    measures : mapping
        What else a training is watched by, by name.
    """

    step: int = 0
    total: int = 0
    chosen: int = 0
    plane: int = 0
    planes: int = 1
    note: str = ""
    points: tuple[Point, ...] = ()
    picture: NDArray[Any] | None = None
    std: NDArray[Any] | None = None
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Pace:
    """Says when a beat and when a picture is due."""

    pictures_per_second: float
    points: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    next_beat: float = 0.0
    next_picture: float = 0.0
    pictured: int = -1

    def take(self, snapshot: Snapshot) -> None:
        """Remember what a snapshot says, whether or not a beat is due with it.

        The first note and the newest are kept: an engine says each once, and a person reads slowly.
        """
        self.points.append((snapshot.step, snapshot.loss, snapshot.criterion))
        if snapshot.note and snapshot.note not in self.notes:
            self.notes = [*self.notes[:1], snapshot.note]

    def beat(
        self,
        snapshot: Snapshot,
        picture: NDArray[Any] | None = None,
        std: NDArray[Any] | None = None,
    ) -> Beat:
        """Pack a snapshot and the points since the last beat."""
        self.next_beat = time.monotonic() + BEAT
        points, self.points = tuple(self.points), []
        s = snapshot
        where = (s.step, s.total, s.chosen, s.plane, s.planes)
        return Beat(*where, " ".join(self.notes), points, picture, std, s.measures)

    def picture_due(self, snapshot: Snapshot) -> bool:
        """Say whether it is time for a picture, and whether it would be another than the last."""
        return snapshot.chosen != self.pictured and time.monotonic() >= self.next_picture

    def picture_made(self, snapshot: Snapshot, seconds: float) -> None:
        """Plan the next picture; a costly one waits longer, so that pictures never eat the fit."""
        self.pictured = snapshot.chosen
        wait = max(1 / self.pictures_per_second, seconds * (1 / PICTURE_SHARE - 1))
        self.next_picture = time.monotonic() + wait
