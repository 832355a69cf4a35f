"""One line that says about how long the work would take on this machine."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget
from superqt import QElidingLabel
from superqt.utils import qdebounced

from napari_dip.settings import Settings
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.parts.layouts import button, row

ASKED_AFTER = 700  # milliseconds after the last change of the form
ASKING = "Estimating how long it takes ..."
MANY, LONG = 8, 600  # planes and seconds, from which on training once may be quicker


class TimeLine(QWidget):
    """Asks in a thread, and only while it is in view: what it times keeps a processor busy."""

    train_wanted = Signal()
    _known = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.label = QElidingLabel()
        tip = "Of many planes or files it may be quicker to train a model once, and to apply it."
        self.train_button = button("Train once?", tip)
        self.train_button.hide()
        self.train_button.clicked.connect(lambda: self.train_wanted.emit())
        row(self.label, self.train_button, parent=self).setStretch(0, 1)
        self.setToolTip(
            "Measured by short trials. It may end earlier; on a busy computer it takes longer."
        )
        self._asked: tuple[Any, ...] | None = None
        self._working = False
        self._known.connect(self._on_known)
        self._ask_later = qdebounced(self._ask, timeout=ASKED_AFTER, parent=self)

    def ask(self, source: Source, how: Settings, device: str, layers: int) -> None:
        """Say how long it would take, as soon as that is known; until then nothing."""
        lengths = dict(zip(source.axes, source.shape, strict=True))
        shape = (lengths["Y"], lengths["X"], *((min(lengths["C"], 3),) if source.rgb else ()))
        asked = (shape, how, device, source.planes * layers)
        if asked != self._asked:
            self.clear()
            self._asked = asked
            self.label.setText(ASKING)
            self._ask_later()

    def clear(self) -> None:
        """Say nothing, and ask nothing more."""
        self._asked = None
        self.label.setText("")
        self.train_button.hide()

    def showEvent(self, event: Any) -> None:
        """Ask what was not asked while the line was out of view."""
        super().showEvent(event)
        self._ask_later()

    def shut_down(self) -> None:
        """Ask nothing more."""
        self._ask_later.cancel()
        self._asked = None

    def _ask(self) -> None:
        if self._asked is None or self._working or not self.isVisible():
            return
        self._working = True
        threading.Thread(target=self._work, args=(self._asked,)).start()

    def _work(self, asked: tuple[Any, ...]) -> None:
        known = _expect(asked)
        with suppress(RuntimeError):  # the window was closed meanwhile
            self._known.emit(known)

    def _on_known(self, known: tuple[Any, float | None, str]) -> None:
        self._working = False
        asked, seconds, words = known
        if asked != self._asked:  # the form was changed meanwhile
            self._ask_later()
            return
        self.label.setText("" if seconds is None else f"Takes {words} on this computer.")
        self.train_button.setVisible(asked[-1] >= MANY and (seconds or 0) >= LONG)


def _expect(asked: tuple[Any, ...]) -> tuple[Any, float | None, str]:
    """Return the choice, how long it takes, and that in words; called in a thread."""
    from napari_dip.batch.expected_time import expected_seconds, say_about

    shape, how, device, planes = asked
    seconds = expected_seconds(shape, how, device, planes=planes)
    return asked, seconds, "" if seconds is None else say_about(seconds)
