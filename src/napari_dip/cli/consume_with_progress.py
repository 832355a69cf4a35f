"""A stream of snapshots read to its end or to Ctrl-C, with progress."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_dip.cli.progress import Progress
from napari_dip.snapshot import Consumed, consume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dip.cli.output import Output
    from napari_dip.snapshot import Snapshot

ENDINGS = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


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

    So are `ENDINGS`: SIGTERM, with which a cluster's queue ends a job, and SIGHUP, of a terminal
    that is closed, unless the program was started to outlive it (nohup).
    """
    event = threading.Event()

    def handle(number: int, frame: object) -> None:
        event.set()
        signal.signal(number, signal.default_int_handler)

    with handle_signals(handle, signal.SIGINT, *ENDINGS):
        yield event


@contextmanager
def handle_signals(handler: Callable[[int, Any], object], *numbers: int) -> Iterator[None]:
    """Handle signals for the time of a block, where they can be: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [one for one in numbers if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
