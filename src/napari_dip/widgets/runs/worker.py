"""From the stream of snapshots to what a dock can show: a generator that napari runs in a worker thread.

Sees no torch and no Qt. It realises a picture only when one is due and the one before has been shown, so the
main thread is never sent more than it can draw; between pictures it yields cheap beats, so that pause answers
quickly.
"""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_dip.errors import DenoiseError, lack_of_memory
from napari_dip.widgets.napari_hooks.writer import write_beside
from napari_dip.widgets.runs.progress import Beat, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray

    from napari_dip.settings import Settings
    from napari_dip.snapshot import Snapshot
    from napari_dip.widgets.layers.iterate_store import Kept
    from napari_dip.widgets.layers.source import Source


class Control:
    """What the dock tells a running worker.

    Attributes
    ----------
    stop : threading.Event
        End after this step and keep the answer.
    discard : threading.Event
        End after this step and keep nothing.
    shown : threading.Event
        The last picture has been drawn, so the next may be made.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.discard = threading.Event()
        self.shown = threading.Event()
        self.shown.set()


@dataclass(frozen=True, eq=False)
class Answer:
    """How a run ended: the full answer, what made it, the last beat, and what there is to say or to warn of."""

    picture: NDArray[Any]
    provenance: dict[str, object]
    last: Beat
    kept: Kept | None = None
    warning: str = ""
    std: NDArray[Any] | None = None
    remark: str = ""


def watched(
    source: Source,
    how: Settings,
    device: str,
    control: Control,
    pictures_per_second: float = 3.0,
    kept: Kept | None = None,
    folder: str = "",
    begin: Callable[..., Iterator[Snapshot]] | None = None,
    result: str = "denoised",
    finish: Callable[[Snapshot], str] | None = None,
) -> Generator[Beat, None, Answer | None]:
    """Run a method on a layer's source and report as it goes; made for napari's `create_worker`.

    Parameters
    ----------
    source : Source
        What to read and how to show it.
    how : Settings
        The method and its knobs.
    device : str
        As in `napari_dip.iter_denoise`.
    control : Control
        Read at every step.
    pictures_per_second : float
        Pictures a second, at most.
    kept : Kept, optional
        Where the pictures are kept for the axis of iterates.
    folder : str
        Where the answer is also written as a TIFF; nowhere if empty.
    begin : callable, optional
        Starts the work, called as `napari_dip.iter_denoise`, which it is by default.
    result : str
        What the answer is; its file is named so.
    finish : callable, optional
        Takes the last Snapshot of a run that was not discarded, before the answer is handed out; returns a sentence.

    Yields
    ------
    Beat
        At each step, but not more than ten a second.

    Returns
    -------
    Answer or None
        None after `control.discard`, and after `control.stop` before the first step.

    Raises
    ------
    DenoiseError
        For whatever breaks during the work. Never a RuntimeError: napari's workers swallow those.
    ValueError
        If the image or the settings are refused.
    """
    stream: Iterator[Snapshot] | None = None
    try:
        yield Beat()
        # What follows loads torch, and it is not the main thread that waits for it.
        from napari_dip import api

        begin = begin or api.iter_denoise
        stream = iter(begin(source.image(), how=how, device=device))
        pace = Pace(pictures_per_second)
        last = yield from _follow(stream, source, control, pace, kept)
        if last is None:
            return None
        remark = finish(last) if finish else ""
        return replace(_answer(last, pace, source, kept, folder, result), remark=remark)
    except (RuntimeError, MemoryError, StopIteration) as error:
        sentence = _sentence(error)
        traceback.clear_frames(error.__traceback__)  # they hold the net and its memory
        raise DenoiseError(sentence) from None
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _follow(
    stream: Iterator[Snapshot], source: Source, control: Control, pace: Pace, kept: Kept | None
) -> Generator[Beat, None, Snapshot | None]:
    """Yield beats until the stream ends or is stopped; return the last snapshot, or None if there is none to keep."""
    snapshot = None
    if control.stop.is_set() or control.discard.is_set():  # while it was prepared
        return None
    for snapshot in stream:
        if control.discard.is_set():
            return None
        pace.take(snapshot)
        if control.stop.is_set():
            break
        now = time.monotonic()
        if control.shown.is_set() and pace.picture_due(snapshot):
            picture, std = source.shown(snapshot.image), _std(snapshot, source)
            pace.picture_made(snapshot, time.monotonic() - now)
            if kept is not None:
                kept.add(snapshot.chosen, picture, snapshot.provenance)
            control.shown.clear()
            yield pace.beat(snapshot, picture, std)
        elif now >= pace.next_beat:
            yield pace.beat(snapshot)
    if control.discard.is_set():
        return None
    if snapshot is None:
        raise DenoiseError("The method ended without an answer: raise its number of steps.")
    yield pace.beat(snapshot)
    return snapshot


def _answer(
    snapshot: Snapshot, pace: Pace, source: Source, kept: Kept | None, folder: str, result: str
) -> Answer:
    image = snapshot.image
    picture = source.shown(image)
    if kept is not None:
        kept.add(snapshot.chosen, picture, snapshot.provenance, final=True)
    warning = write_beside(image, source.name, folder, result) if folder else ""
    return Answer(
        picture,
        dict(snapshot.provenance),
        pace.beat(snapshot),
        kept,
        warning,
        _std(snapshot, source),
    )


def _std(snapshot: Snapshot, source: Source) -> Any:
    return None if snapshot.std is None else source.shown_std(snapshot.std)


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    if whose := lack_of_memory(error):
        other = (
            "choose a smaller region, or the CPU as device"
            if whose == "GPU"
            else "choose a smaller region"
        )
        return f"The {whose} ran out of memory ({reason}): {other}."
    return f"The work broke off ({reason}): try another device, or the settings of a preset."
