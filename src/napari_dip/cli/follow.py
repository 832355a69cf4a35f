"""A fit followed to its end or to Ctrl-C, and its answer signed with what made it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_dip.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_dip.batch.task import Begin
    from napari_dip.cli.output import Talk
    from napari_dip.cli.picture import Point
    from napari_dip.images.image import Image
    from napari_dip.settings import Settings
    from napari_dip.snapshot import Snapshot


def fit(
    image: Image,
    how: Settings,
    device: str,
    label: str,
    talk: Talk,
    curve: list[Point] | None = None,
    notes: list[str] | None = None,
    begin: Begin | None = None,
) -> tuple[Snapshot, bool]:
    """Follow a fit to its end, or to Ctrl-C; what it remarks on the way is said at once.

    Parameters
    ----------
    curve : list of (step, loss, criterion), optional
        Is given a point a step; the snapshots themselves are let go, since each can hold a whole picture.
    notes : list of str, optional
        Is given the remarks.
    begin : callable, optional
        What is done, called as `iter_denoise`, which it is by default.

    Returns
    -------
    final : Snapshot
        The last one, whose image is the answer.
    interrupted : bool
        Whether Ctrl-C ended it.

    Raises
    ------
    KeyboardInterrupt
        When interrupted before the first step was done.
    """
    from napari_dip.api import iter_denoise

    begin = begin or iter_denoise
    final: Snapshot | None = None
    interrupted = False
    said = [] if notes is None else notes
    try:
        with progress(label, talk) as bar, ask_to_stop() as asked:
            for final in begin(image, how=how, device=device):
                if curve is not None:
                    curve.append((final.step, final.loss, final.criterion))
                if final.note and final.note not in said:
                    said.append(final.note)
                    talk.note(f"{label}: {final.note}")
                bar.show(final)
                if asked.is_set():
                    interrupted = True
                    break
    except KeyboardInterrupt:
        interrupted = True
        if final is None:
            raise
    if final is None:
        raise ValueError(f"{label}: the method gave no answer.")
    return final, interrupted


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
