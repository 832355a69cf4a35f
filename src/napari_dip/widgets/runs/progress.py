"""Reports of a running fit, and how often they are sent: pictures as seldom as they are costly."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from napari_dip.snapshot import Snapshot
from napari_dip.widgets.layers.iterates import Iterates

REPORT_EVERY = 0.1  # seconds
PICTURE_SHARE = 0.25  # of the worker's time, at most, goes into pictures
Point = tuple[int, float, float | None]  # step, loss, criterion


@dataclass(frozen=True, eq=False)
class Progress:
    """Where the work stands; what is not explained here is as in `Snapshot`."""

    step: int = 0  # 0 while the work is being prepared
    total: int = 0
    chosen: int = 0
    plane: int = 0
    planes: int = 1
    note: str = ""
    points: tuple[Point, ...] = ()  # since the last report
    picture: NDArray[Any] | None = None  # the answer so far, if one was due
    std: NDArray[Any] | None = None  # of the picture, if one was asked for
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Reporter:
    """Decides when a report and when a picture is due, and makes reports of snapshots."""

    pictures_per_second: float
    iterates: Iterates | None = None  # which get the pictures too
    points: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    next_report: float = 0.0
    next_picture: float = 0.0
    last_picture: int = -1  # the chosen step it showed

    def add(self, snapshot: Snapshot) -> None:
        """Remember what a snapshot says, whether or not a report is due.

        The first note and the newest are kept: an engine says each once, and a person reads slowly.
        """
        self.points.append((snapshot.step, snapshot.loss, snapshot.criterion))
        if self.iterates is not None:
            self.iterates.follow(snapshot.plane, snapshot.step, snapshot.chosen)
        if snapshot.note and snapshot.note not in self.notes:
            self.notes = [*self.notes[:1], snapshot.note]

    def report(self, snapshot: Snapshot, picture: Any = None, std: Any = None) -> Progress:
        """Return a report of a snapshot and the points since the last one."""
        self.next_report = time.monotonic() + REPORT_EVERY
        points, self.points = tuple(self.points), []
        s = snapshot
        place = (s.step, s.total, s.chosen, s.plane, s.planes)
        return Progress(*place, " ".join(self.notes), points, picture, std, s.measures)

    def picture_due(self, snapshot: Snapshot) -> bool:
        """Return whether it is time for a picture, and it would differ from the last."""
        return snapshot.chosen != self.last_picture and time.monotonic() >= self.next_picture

    def picture_made(self, snapshot: Snapshot, picture: Any, seconds: float) -> None:
        """Offer the picture to the iterates, and schedule the next: after a costly one later."""
        if self.iterates is not None:
            self.iterates.offer(snapshot.plane, picture)
        self.last_picture = snapshot.chosen
        wait = max(1 / self.pictures_per_second, seconds * (1 / PICTURE_SHARE - 1))
        self.next_picture = time.monotonic() + wait
