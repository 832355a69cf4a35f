"""What a dock does when it is closed."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget


class Leaving(QWidget):
    """A widget whose `leave` is called when its dock is closed, or it itself as a window of its own."""

    def leave(self) -> None:
        """End what runs; may be called more than once."""
        raise NotImplementedError

    def closeEvent(self, event: Any) -> None:
        """Leave when closed as a window of its own."""
        self.leave()
        super().closeEvent(event)

    def event(self, event: Any) -> bool:
        """Leave when the dock is closed: napari then takes the widget out of it, and hiding does not."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.leave()
        return bool(super().event(event))
