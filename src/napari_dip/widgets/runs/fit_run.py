"""One run in the dock: the worker, the layer it renews, and the bar in the activity dock."""

from __future__ import annotations

import gc
import sys
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_dip.widgets.layers.iterate_store import Kept
from napari_dip.widgets.layers.result_layers import Shown
from napari_dip.widgets.runs.worker import Control, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_dip.settings import Settings
    from napari_dip.widgets.layers.source import Source
    from napari_dip.widgets.runs.progress import Beat
    from napari_dip.widgets.runs.worker import Answer


@dataclass(frozen=True, eq=False)
class Order:
    """What a run is to do.

    Attributes
    ----------
    begin : callable, optional
        Starts the work, called as `napari_dip.iter_denoise`, which it is by default.
    result : str
        What the answer is, such as "denoised"; its layer is named so.
    finish : callable, optional
        Takes the last Snapshot, in the worker, where the answer is kept; returns a sentence for the user.
    drop : callable, optional
        Called where the run was discarded.
    fits : bool
        Whether a network is fitted or trained, so that there is a loss; else one is applied in several orientations.
    """

    source: Source
    how: Settings
    device: str = "auto"
    pictures_per_second: float = 3.0
    keep_iterates: bool = False
    folder: str = ""
    begin: Callable[..., Any] | None = None
    result: str = "denoised"
    finish: Callable[[Any], str] | None = None
    drop: Callable[[], None] | None = None
    fits: bool = True


_at_work: set[Run] = (
    set()
)  # kept alive until their worker has ended, even where dock and window are gone


class Run(QObject):
    """Starts the worker, shows its pictures in one layer, and cleans up.

    Signals come in this order: `beat` many times, then `ended` once, whatever happened. By then the worker is
    let go, and `layer`, `answer`, `failure` say how it went.
    """

    beat = Signal(object)
    ended = Signal()

    def __init__(self, viewer: Any, order: Order) -> None:
        super().__init__()  # no parent: a window that closes would delete it in the middle of a signal
        self.viewer = viewer
        self.order = order
        self.control = Control()
        self.shown = Shown(viewer, order.source, order.result)
        self.answer: Answer | None = None
        self.failure = ""
        self.paused = False
        self._worker: Any = None
        self._bar: Any = None
        self._inbox: deque[Callable[[], None]] = deque()
        self._reading = False

    def start(self) -> None:
        """Start the worker."""
        from napari.qt.threading import create_worker
        from napari.utils import cancelable_progress
        from superqt.utils import GeneratorWorker

        order = self.order
        _at_work.add(self)
        self._bar = cancelable_progress(
            total=0, desc=f"{order.source.name}: {order.result}", leave=False
        )
        self.viewer.layers.events.removed.connect(self._on_removed)
        # superqt's own class: napari's notifies with a traceback, where the dock shows one sentence.
        self._worker = create_worker(
            watched,
            order.source,
            order.how,
            order.device,
            self.control,
            order.pictures_per_second,
            Kept() if order.keep_iterates else None,
            order.folder,
            order.begin,
            order.result,
            order.finish,
            _worker_class=GeneratorWorker,
            _ignore_errors=True,
            _connect={
                "yielded": self._on_beat,
                "returned": self._on_returned,
                "errored": self._on_errored,
                "paused": self._on_paused,
                "finished": self._on_finished,
            },
        )

    @property
    def layer(self) -> Any:
        """The layer of the answer, None before the first picture."""
        return self.shown.layer

    @property
    def running(self) -> bool:
        """Whether the worker is at work (or paused)."""
        return self._worker is not None

    def pause(self) -> None:
        """Hold the work after this step."""
        self.paused = True
        if self._worker is not None:
            self._worker.pause()

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        if self._worker is not None:
            self._worker.resume()

    def stop(self) -> None:
        """End after this step and keep the answer so far."""
        self.control.stop.set()
        self.resume()

    def discard(self) -> None:
        """End after this step and take the layer away."""
        self.control.discard.set()
        self.resume()
        self.shown.remove()

    def leave(self) -> None:
        """End after this step and touch neither viewer nor dock again; the layer stays as it is."""
        self.control.discard.set()
        self.shown.let_go()
        self.resume()

    def _in_turn(self, work: Callable[[], None]) -> None:
        """Do what a signal asks for, after what earlier ones asked for.

        Moving a bar of the activity dock makes Qt deliver the next signal in the middle of the one at hand.
        """
        self._inbox.append(work)
        if self._reading:
            return
        self._reading = True
        try:
            while self._inbox:
                self._inbox.popleft()()
        finally:
            self._reading = False

    def _on_beat(self, beat: Beat) -> None:
        self._in_turn(partial(self._take_beat, beat))

    def _on_returned(self, answer: Answer | None) -> None:
        self._in_turn(partial(self._take_answer, answer))

    def _on_errored(self, error: Exception) -> None:
        self._in_turn(
            partial(self._take_error, " ".join(str(error).split()) or type(error).__name__)
        )

    def _on_finished(self) -> None:
        self._in_turn(self._take_end)

    def _on_paused(self) -> None:
        # Stop or Resume may have come between the request to pause and the pause itself.
        if not self.paused and self._worker is not None:
            self._worker.resume()

    def _take_beat(self, beat: Beat) -> None:
        if self.control.discard.is_set():
            return
        if beat.picture is not None:
            self.shown.show(beat.picture, beat.std)
            self.control.shown.set()
        self._move_bar(beat)
        self.beat.emit(beat)

    def _take_answer(self, answer: Answer | None) -> None:
        if answer is None or self.control.discard.is_set():
            return
        self.shown.show(answer.picture, answer.std, final=True)
        self.shown.describe(answer.provenance)
        self.answer = answer
        self.beat.emit(answer.last)

    def _take_error(self, sentence: str) -> None:
        if self.control.discard.is_set():
            return
        self.failure = sentence
        self.shown.describe({"unfinished": self.failure})

    def _take_end(self) -> None:
        self._worker = None
        self._close_bar()
        if (
            self.order.drop is not None
            and self.control.discard.is_set()
            and self.answer is None
            and not self.failure
        ):
            self.order.drop()
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        free_memory()
        _at_work.discard(self)
        self.ended.emit()

    def _on_removed(self, event: Any) -> None:
        if self.shown.lost(event.value) and not self.control.discard.is_set():
            self.failure = f"The layer {self.layer.name!r} was removed, so the run was ended and its answer dropped."
            self.discard()

    def _move_bar(self, beat: Beat) -> None:
        if self._bar is None:
            return
        if self._bar.is_canceled:  # its own callback fires only for bars that are iterated
            self.stop()
        if beat.total and self._bar.total != beat.total:
            self._bar.total = beat.total
        if beat.step > self._bar.n:
            self._bar.update(beat.step - self._bar.n)

    def _close_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()


def free_memory() -> None:
    """Give memory back: collect what the worker held, and empty CUDA's cache if torch has one."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
