"""Progress on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any, Self

from napari_dip.batch.estimate import format_duration
from napari_dip.cli.output import print_line, printable

LINE_EVERY = 10.0  # seconds between two lines where there is no terminal


class Progress:
    """How much is done, the rate, and the time left, which is the most it can be.

    Parameters
    ----------
    label : str
        Of what.
    unit : str
        Of what is counted, such as ``"steps"``.
    per : {"s", "min"}
        Unit of time of the rate.
    shown : bool
        Whether anything is shown at all.
    """

    def __init__(
        self, label: str, *, unit: str = "steps", per: str = "s", shown: bool = True
    ) -> None:
        self.label, self.unit, self.per, self.shown = label, unit, per, shown
        self.next = time.monotonic() + LINE_EVERY
        # From the first report on: loading torch is no part of the rate.
        self.start: tuple[float, float] | None = None
        self.bar: Any = None

    def __enter__(self) -> Self:
        if self.shown and _is_terminal():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as RichProgress

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
            )
            self.bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self.bar.add_task(printable(self.label), total=None, rate="starting")
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            with suppress(OSError):  # of a terminal that was closed
                self.bar.stop()

    def update(self, done: float, total: float) -> None:
        """Move the bar, or print a line when the last one is ten seconds old."""
        rate = self._rate(done, total)
        if self.bar is not None:
            with suppress(OSError):
                task = self.bar.task_ids[0]
                self.bar.update(task, completed=round(done, 1), total=total, rate=rate)
        elif self.shown and time.monotonic() >= self.next:
            self.next = time.monotonic() + LINE_EVERY
            count = done if isinstance(done, int) else f"{done:.1f}"
            text = f"{self.label}: {count} of {total} {self.unit}, {rate}"
            print_line(text, sys.stderr)

    def _rate(self, done: float, total: float) -> str:
        now = time.monotonic()
        if self.start is None:
            self.start = now, done
        seconds, more = now - self.start[0], done - self.start[1]
        if more <= 0 or seconds <= 0:
            return "starting"
        rate = more / seconds
        left = format_duration((total - done) / rate)
        rate *= 60 if self.per == "min" else 1
        return f"{rate:.3g} {self.unit}/{self.per}, at most {left} left"


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False
