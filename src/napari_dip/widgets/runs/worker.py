"""The generator that napari runs in a worker thread: from a stream of snapshots to reports.

It sees no torch and no Qt. It computes a picture only when one is due and the one before has been
drawn, so the main thread is never sent more than it can show; between pictures it yields cheap
reports, so that pause answers quickly.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from napari_dip.errors import DenoiseError, lack_of_memory
from napari_dip.images.image import Image
from napari_dip.planes.judge_image import judge_image
from napari_dip.settings import Settings
from napari_dip.snapshot import Snapshot
from napari_dip.widgets.layers.iterates import Iterates
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.napari_hooks.writer import write_beside
from napari_dip.widgets.runs.progress import Progress, Reporter


@dataclass(frozen=True, eq=False)
class FitRequest:
    """What a run does to what.

    `begin` starts the work, called as `napari_dip.iter_denoise`, which it is by default. `finish`
    takes the last Snapshot, in the worker, if the answer is kept, and returns a sentence for the
    user; `drop` is called if the run was discarded.
    """

    source: Source
    how: Settings
    device: str = "auto"
    pictures_per_second: float = 3.0  # at most
    keep_iterates: bool = False  # to choose among the answers of all steps afterwards
    folder: str = ""  # where the answer is also written as a TIFF; nowhere if empty
    begin: Callable[..., Iterator[Snapshot]] | None = None
    result: str = "denoised"  # what the answer is; its layer and its file are named so
    finish: Callable[[Snapshot], str] | None = None
    drop: Callable[[], None] | None = None
    fits: bool = True  # whether there is a loss; else a model is applied in several orientations
    follow: bool = False  # whether the viewer's sliders move to the plane at work
    judged: bool = False  # whether a verdict on the answer is said, as on denoised images
    layer: Any = None  # of the source, which is shown or hidden with the answer
    layers: Any = None  # the `ResultLayers` of a run before, which this one renews


def among_neighbours(
    source: Source, how: Settings, begin_chunk: Callable[..., Iterator[Snapshot]] | None = None
) -> Callable[..., Iterator[Snapshot]] | None:
    """Return what denoises a source that is one plane of a layer with the planes near it.

    None where no planes nearby are looked at. Range and noise are measured on the one plane, as if
    it were alone: no more of a long stack is read than the few planes that may help. `begin_chunk`
    is called as `napari_dip.api.iter_chunk`, which it is by default.
    """
    wider, inside = source.near(getattr(how, "neighbours", 0))
    if not inside:
        return None

    def begin(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        from napari_dip.api import iter_chunk
        from napari_dip.planes.chunk import Chunk

        (axis, place), *more = inside.items()
        chunk = Chunk(axis, place.start, place.stop, None, dict(more))
        start = begin_chunk or iter_chunk
        return start(wider.image(), how=how, device=device, chunk=chunk)

    return begin


class Control:
    """What the dock asks of a running worker, at the end of the step at hand.

    `stop` ends it with the answer so far, `discard` with nothing; `drawn` allows the next picture.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.discard = threading.Event()
        self.drawn = threading.Event()
        self.drawn.set()


@dataclass(frozen=True, eq=False)
class Answer:
    """How a run ended: the full answer, its provenance, the last report, and notes on it."""

    picture: NDArray[Any]
    provenance: dict[str, object]
    last: Progress
    iterates: Iterates | None = None
    std: NDArray[Any] | None = None
    remark: str = ""
    warning: str = ""


def work(request: FitRequest, control: Control) -> Generator[Progress, None, Answer | None]:
    """Run a method on a layer's source and report as it goes; for napari's `create_worker`.

    The answer is None after `control.discard`, and after `control.stop` before the first step.

    Raises
    ------
    DenoiseError
        For whatever breaks during the work. Never a RuntimeError: napari's workers swallow those.
    ValueError
        If the image or the settings are refused.
    """
    stream: Any = None
    try:
        yield Progress()
        # What follows loads torch, and it is not the main thread that waits for it.
        from napari_dip import api

        begin = request.begin or api.iter_denoise
        stream = iter(begin(request.source.image(), how=request.how, device=request.device))
        iterates = Iterates(request.source) if request.keep_iterates else None
        reporter = Reporter(request.pictures_per_second, iterates)
        last = yield from _reports(stream, request.source, control, reporter)
        return None if last is None else _answer(request, last, reporter)
    except (RuntimeError, MemoryError, StopIteration) as error:
        sentence = _explain(error)
        traceback.clear_frames(error.__traceback__)  # they hold the net and its memory
        raise DenoiseError(sentence) from None
    finally:
        if hasattr(stream, "close"):
            stream.close()


def _reports(
    stream: Iterator[Snapshot], source: Source, control: Control, reporter: Reporter
) -> Generator[Progress, None, Snapshot | None]:
    """Yield reports until the stream ends or is stopped; return the last snapshot to be kept."""
    snapshot = None
    if control.stop.is_set() or control.discard.is_set():  # while it was prepared
        return None
    for snapshot in stream:
        if control.discard.is_set():
            return None
        reporter.add(snapshot)
        if control.stop.is_set():
            break
        now = time.monotonic()
        if control.drawn.is_set() and reporter.picture_due(snapshot):
            picture = source.layer_pixels(snapshot.image)
            std = source.layer_std(snapshot.std)
            reporter.picture_made(snapshot, picture, time.monotonic() - now)
            control.drawn.clear()
            yield reporter.report(snapshot, picture, std)
        elif now >= reporter.next_report:
            yield reporter.report(snapshot)
    if control.discard.is_set():
        return None
    if snapshot is None:
        raise DenoiseError("The method ended without an answer: raise its number of steps.")
    yield reporter.report(snapshot)
    return snapshot


def _answer(request: FitRequest, last: Snapshot, reporter: Reporter) -> Answer:
    remark = request.finish(last) if request.finish else ""
    source, provenance, iterates = request.source, dict(last.provenance), reporter.iterates
    verdict = judge_image(source.image(), last.image) if request.judged else None
    if verdict is not None:
        provenance["verdict"] = verdict.to_json()
    picture, std = source.layer_pixels(last.image), source.layer_std(last.std)
    if iterates is not None:
        iterates.end(picture)
    warning = ""
    if request.folder:
        answer = replace(last.image, provenance={**last.image.provenance, **provenance})
        warning = write_beside(answer, source.name, request.folder, request.result)
    return Answer(picture, provenance, reporter.report(last), iterates, std, remark, warning)


def _explain(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    if whose := lack_of_memory(error):
        other = ", or the CPU as device" if whose == "GPU" else ""
        return f"The {whose} ran out of memory ({reason}): choose a smaller region{other}."
    return f"The work broke off ({reason}): try another device, or the settings of a preset."
