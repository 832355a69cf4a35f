"""A stream of snapshots read to its end or to Ctrl-C, with progress."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_dip.cli.progress import Progress
from napari_dip.snapshot import Consumed, consume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dip.cli.output import Output
    from napari_dip.snapshot import Snapshot


def consume_with_progress(
    snapshots: Iterator[Snapshot],
    label: str,
    output: Output,
    on_snapshot: Callable[[Snapshot], object] | None = None,
    *,
    stop: Callable[[threading.Event], bool] = threading.Event.is_set,
    keep_on_interrupt: bool = True,
) -> Consumed:
    """Read a stream to its end, or to Ctrl-C, which keeps the answer so far.

    Parameters
    ----------
    snapshots, on_snapshot, keep_on_interrupt
        See `napari_dip.snapshot.consume`.
    label : str
        Of the progress and of notes, which are printed at once.
    output : Output
        Where they go.
    stop : callable
        Is given the event that Ctrl-C sets, and returns whether to stop.
    """
    with Progress(label, shown=not output.quiet) as progress, ctrl_c_as_event() as ctrl_c:

        def show(snapshot: Snapshot) -> None:
            if on_snapshot:
                on_snapshot(snapshot)
            progress.update(snapshot.step, snapshot.total)

        return consume(
            snapshots,
            show,
            on_note=lambda note: output.note(f"{label}: {note}"),
            stop=lambda: stop(ctrl_c),
            keep_on_interrupt=keep_on_interrupt,
        )


@contextmanager
def ctrl_c_as_event() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set an event, so that the step at hand ends well; a second interrupts.

    SIGTERM, with which a cluster's queue ends a job, is taken as Ctrl-C.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals can't be caught there
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: object) -> None:
        event.set()
        signal.signal(number, signal.default_int_handler)

    for number in before:
        signal.signal(number, handle)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Take SIGTERM, with which a cluster's queue ends a job, as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
