"""How long work will take on this machine, from its first seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_dip.snapshot import Snapshot

PROBE = 3.0  # seconds of steps that are timed, after the first one


def estimate_seconds(snapshots: Iterator[Snapshot], probe: float = PROBE) -> float:
    """Return how many seconds work takes at most, from the time of its first steps.

    It is begun and given up. A fit may end before its last step, and the planes of a stack that go
    on from the one before take fewer.

    Parameters
    ----------
    snapshots : iterator of Snapshot
        The work, not begun yet.
    probe : float
        Seconds of steps that are timed.

    Raises
    ------
    ValueError, DenoiseError
        As the work does.
    """
    started = now = time.perf_counter()
    first = None
    for snapshot in snapshots:
        now = time.perf_counter()
        if first is None:
            first = now, snapshot.step
        left = snapshot.total - snapshot.step
        if left <= 0:
            break
        if now - first[0] >= probe and snapshot.step > first[1]:
            return now - started + left * (now - first[0]) / (snapshot.step - first[1])
    return now - started
