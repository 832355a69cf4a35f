"""A stream of snapshots read to its end or to Ctrl-C, with progress."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_dip.cli.progress import progress
from napari_dip.snapshot import Consumed, consume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dip.cli.output import Talk
    from napari_dip.snapshot import Snapshot


def consume_with_progress(
    snapshots: Iterator[Snapshot],
    label: str,
    talk: Talk,
    on_snapshot: Callable[[Snapshot], object] | None = None,
) -> Consumed:
    """Read a stream to its end, or to Ctrl-C, which keeps the answer so far; notes are said at once."""
    with progress(label, talk) as bar, ask_to_stop() as asked:

        def show(snapshot: Snapshot) -> None:
            if on_snapshot:
                on_snapshot(snapshot)
            bar.show(snapshot)

        return consume(
            snapshots,
            show,
            on_note=lambda note: talk.note(f"{label}: {note}"),
            stop=asked.is_set,
            keep_on_interrupt=True,
        )


@contextmanager
def ask_to_stop() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set a flag, so that the step at hand ends well; the second interrupts at once.

    SIGTERM, with which a cluster's queue ends a job, is taken as Ctrl-C.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals can't be caught there
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def first(number: int, frame: object) -> None:
        asked.set()
        signal.signal(number, signal.default_int_handler)

    for number in before:
        signal.signal(number, first)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
