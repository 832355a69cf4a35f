"""One run of a dock: its worker, the layers it renews, and its bar in napari's activity dock."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_dip.snapshot import is_unchanged
from napari_dip.widgets.layers.result_layers import ResultLayers
from napari_dip.widgets.runs.follow import Follower
from napari_dip.widgets.runs.progress import Progress
from napari_dip.widgets.runs.worker import Answer, Control, FitRequest, work

_alive: set[QObject] = set()  # runs at work, also those whose dock and window are gone


class Run(QObject):
    """Work in a thread; it has no parent, which would delete it when its window closes."""

    def __init__(self) -> None:
        super().__init__()
        self._worker: Any = None

    @property
    def running(self) -> bool:
        """Whether the worker is at work (or paused)."""
        return self._worker is not None

    def _start(self, kind: str, work: Callable[..., Any], *args: Any, **connect: Any) -> None:
        """Start a worker of superqt; napari's notify with a traceback, the docks say a sentence."""
        from superqt import utils

        _alive.add(self)
        self._worker = utils.create_worker(
            work,
            *args,
            _worker_class=getattr(utils, kind),
            _ignore_errors=True,
            _start_thread=True,
            _connect=connect,
        )

    def _release(self) -> None:
        """Let the worker go, and give back its memory."""
        self._worker = None
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        _alive.discard(self)


def one_at_a_time(handler: Callable[..., None]) -> Callable[..., None]:
    """Make a slot of a FitRun wait until its slots that were called before have returned.

    Moving a bar of the activity dock makes Qt deliver the next signal in the middle of the one at
    hand.
    """

    @wraps(handler)
    def slot(self: FitRun, *args: Any) -> None:
        self._calls.append(partial(handler, self, *args))
        if self._calling:
            return
        self._calling = True
        try:
            while self._calls:
                self._calls.popleft()()
        finally:
            self._calling = False

    return slot


class FitRun(Run):
    """Starts the worker, shows its pictures in one layer, and cleans up.

    It emits `progressed` many times, then `ended` once, whatever happened. By then the worker is
    released, and `layer`, `answer`, `failure` say how it went.
    """

    progressed = Signal(object)
    shown = Signal()  # the first picture
    ended = Signal()

    def __init__(self, viewer: Any, request: FitRequest) -> None:
        super().__init__()
        self.viewer, self.request, self.control = viewer, request, Control()
        self.layers = request.layers or ResultLayers(viewer, request.source, request.result)
        self.answer: Answer | None = None
        self.failure = ""
        self.paused = False
        self._follower = Follower(viewer, request.source) if request.follow else None
        self._bar: Any = None
        self._calls: deque[Callable[[], None]] = deque()
        self._calling = False

    def start(self) -> None:
        """Start the worker."""
        from napari.utils import cancelable_progress

        title = f"{self.request.source.name}: {self.request.result}"
        self._bar = cancelable_progress(total=0, desc=title, leave=False)
        self.viewer.layers.events.removed.connect(self._on_layer_removed)
        self._start(
            "GeneratorWorker",
            work,
            self.request,
            self.control,
            yielded=self._on_progress,
            returned=self._on_answer,
            errored=self._on_error,
            paused=self._on_paused,
            finished=self._on_finished,
        )

    @property
    def layer(self) -> Any:
        """The layer of the answer, None before the first picture."""
        return self.layers.layer

    def pause(self) -> None:
        """Pause after the step at hand."""
        self.paused = True
        if self._worker is not None:
            self._worker.pause()

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        if self._worker is not None:
            self._worker.resume()

    def stop(self) -> None:
        """End after the step at hand and keep the answer so far."""
        self.control.stop.set()
        self.resume()

    def discard(self) -> None:
        """End after the step at hand and remove the layer."""
        self.control.discard.set()
        self.resume()
        self.layers.remove()

    def abandon(self) -> None:
        """End after the step at hand and touch neither viewer nor dock; the layer stays."""
        self.control.discard.set()
        self.layers.release()
        self.resume()

    def summary(self) -> str:
        """Return how the run ended: of what the answer is, and notes on it."""
        assert self.answer is not None
        last, stopped = self.answer.last, self.control.stop.is_set()
        if stopped and last.plane + 1 < last.planes:
            rest = last.planes - last.plane - 1
            what = f"{last.plane} of {last.planes} planes are done, one half-way; "
            what += f"the other {rest} show the input."
        elif is_unchanged(self.answer.provenance):
            what = "nothing was changed."
        elif not self.request.fits:
            each = f"{last.planes} planes, each " if last.planes > 1 else ""
            count = last.total // last.planes if last.planes > 1 else last.step
            what = f"{each}the mean of {count} orientations." if count > 1 else f"{each}denoised."
        elif last.planes > 1:
            what = f"{last.planes} planes, each the answer of its best step."
        else:
            what = f"the answer of step {last.chosen:,} of {last.step:,}."
        notes = (self.answer.remark, last.note, self.answer.warning)
        return " ".join(filter(None, (f"{'Stopped' if stopped else 'Done'}: {what}", *notes)))

    @one_at_a_time
    def _on_progress(self, progress: Progress) -> None:
        if self.control.discard.is_set():
            return
        if progress.picture is not None:
            first = self.layer is None
            self.layers.show(progress.picture, progress.std)
            self.control.drawn.set()
            if first:
                self.shown.emit()
        if self._follower is not None and progress.step:
            self._follower.show(progress.plane, self.layer)
        self._move_bar(progress)
        self.progressed.emit(progress)

    @one_at_a_time
    def _on_answer(self, answer: Answer | None) -> None:
        if answer is None or self.control.discard.is_set():
            return
        first = self.layer is None
        self.layers.show(answer.picture, answer.std, final=True)
        self.layers.set_provenance(answer.provenance)
        self.answer = answer
        if first:
            self.shown.emit()
        self.progressed.emit(answer.last)

    @one_at_a_time
    def _on_error(self, error: Exception) -> None:
        if self.control.discard.is_set():
            return
        self.failure = " ".join(str(error).split()) or type(error).__name__
        self.layers.set_provenance({"unfinished": self.failure})

    @one_at_a_time
    def _on_finished(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
        dropped = self.control.discard.is_set() and self.answer is None and not self.failure
        if dropped and self.request.drop is not None:
            self.request.drop()
        self.viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._release()
        self.ended.emit()

    def _on_paused(self) -> None:
        # Stop or Resume may have come between the request to pause and the pause itself.
        if not self.paused and self._worker is not None:
            self._worker.resume()

    def _on_layer_removed(self, event: Any) -> None:
        if self.layers.on_removed(event.value) and not self.control.discard.is_set():
            self.failure = (
                f"The layer {self.layer.name!r} was removed, so the run was ended and its answer "
                "dropped."
            )
            self.discard()

    def _move_bar(self, progress: Progress) -> None:
        if self._bar is None:
            return
        if self._bar.is_canceled:  # its own callback fires only for bars that are iterated
            self.stop()
        if progress.total and self._bar.total != progress.total:
            self._bar.total = progress.total
        if progress.step > self._bar.n:
            self._bar.update(progress.step - self._bar.n)
