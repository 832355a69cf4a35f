"""Progress of a fit on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from napari_dip.cli.output import Talk, minutes, print_line

if TYPE_CHECKING:
    from types import TracebackType

    from napari_dip.snapshot import Snapshot

LINE_EVERY = 10.0  # seconds between two lines where there is no terminal


class Progress(Protocol):
    """A context in which snapshots are shown."""

    def __enter__(self) -> Progress: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def show(self, snapshot: Snapshot) -> None:
        """Show where the work stands."""


def progress(label: str, talk: Talk) -> Progress:
    """Return the kind of progress that fits: a bar, lines, or none."""
    if talk.quiet:
        return Silent()
    return Bar(label) if sys.stderr.isatty() else Lines(label)


class Silent:
    """No progress at all."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        """Show nothing."""


class Lines(Silent):
    """A line every ten seconds, for logs."""

    def __init__(self, label: str) -> None:
        self.label, self.clock, self.next = label, Clock(), time.monotonic() + LINE_EVERY

    def show(self, snapshot: Snapshot) -> None:
        """Print a line when the last one is ten seconds old."""
        pace = self.clock.pace(snapshot)  # at every step: the clock starts at the first
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + LINE_EVERY
            text = f"{self.label}: step {snapshot.step} of {snapshot.total}, {pace}"
            print_line(text, sys.stderr)


class Bar(Silent):
    """A bar on the terminal with the rate and the time left."""

    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self.clock = Clock()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        self.bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(label, total=None, pace="starting")

    def __enter__(self) -> Bar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Move the bar."""
        pace = self.clock.pace(snapshot)
        self.bar.update(self.task, completed=snapshot.step, total=snapshot.total, pace=pace)


class Clock:
    """Steps a second and the time left, from the first step on: loading torch is no part of the rate."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.first = 0

    def pace(self, snapshot: Snapshot) -> str:
        """Return the rate and the time left, which is the most it can be: the fit may end earlier."""
        now = time.monotonic()
        if self.started is None:
            self.started, self.first = now, snapshot.step
        done, seconds = snapshot.step - self.first, now - self.started
        if done < 1 or seconds <= 0:
            return "starting"
        rate = done / seconds
        return (
            f"{rate:.3g} steps/s, at most {minutes((snapshot.total - snapshot.step) / rate)} left"
        )


def files_progress(count: int, talk: Talk) -> Files:
    """Return the progress of many files that are worked on side by side."""
    return Files(count, shown=not talk.quiet)


class Files:
    """How many files are done, those at work counted by their share: one bar, or a line every ten seconds."""

    def __init__(self, count: int, shown: bool = True) -> None:
        self.count, self.shares = count, dict.fromkeys(range(count), 0.0)
        self.started, self.next = time.monotonic(), time.monotonic() + LINE_EVERY
        self.shown, self.bar = shown, Bar("files") if shown and sys.stderr.isatty() else None

    def __enter__(self) -> Files:
        if self.bar is not None:
            self.bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.__exit__()

    def move(self, number: int, share: float) -> None:
        """Show that a share of a file is done; a file that is done again starts from its beginning."""
        self.shares[number] = share
        done = sum(self.shares.values())
        pace = self._pace(done)
        if self.bar is not None:
            self.bar.bar.update(
                self.bar.task, completed=round(done, 1), total=self.count, pace=pace
            )
        elif self.shown and time.monotonic() >= self.next:
            self.next = time.monotonic() + LINE_EVERY
            print_line(f"{done:.1f} of {self.count} files, {pace}", sys.stderr)

    def _pace(self, done: float) -> str:
        seconds = time.monotonic() - self.started
        if done < 0.01 or seconds <= 0:
            return "starting"
        return f"{60 * done / seconds:.3g} files/min, at most {minutes((self.count - done) * seconds / done)} left"
