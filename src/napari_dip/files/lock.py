"""One process at a time: a lock on a folder, which the system takes back from one that dies."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST = 30.0  # seconds to wait for a process that holds it
PAUSE = 0.01


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of this block for the same folder; where locks are not known, not.

    Raises
    ------
    OSError
        If another one holds the lock for too long.
    """
    number = _open(folder)
    try:
        until = time.monotonic() + LONGEST
        while not _take(number):
            if time.monotonic() > until:
                raise OSError(f"another process has held {folder} for {LONGEST:.0f} s")
            time.sleep(PAUSE)
        yield
    finally:
        os.close(number)  # which gives the lock back


def _open(folder: Path) -> int:
    if os.name == "posix":
        return os.open(folder, os.O_RDONLY)
    return os.open(folder / ".napari-dip.lock", os.O_RDWR | os.O_CREAT)


def _take(number: int) -> bool:
    """Take the lock, or return that another process has it."""
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True
