"""The window "Noise": what `napari-dip noise` prints and draws, of the image chosen in a dock."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QWidget

from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.parts.layouts import Message, column, scroll_area

SIZE = 1000, 560  # pixels


class NoiseWindow(QDialog):
    """Shows the noise of a source, measured in a thread."""

    def __init__(self, source: Source, parent: QWidget) -> None:
        super().__init__(parent)
        from superqt.utils import create_worker

        self.setWindowTitle(f"Noise of {source.name}")
        self.message, self.picture = Message(), QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        layout = column(scroll_area(self.message, self.picture), parent=self)
        layout.setContentsMargins(10, 10, 10, 10)
        self.resize(*SIZE)
        self.message.say("Measuring ...")
        self._worker: Any = create_worker(
            measure,
            source,
            _connect={"returned": self._on_measured},
            _ignore_errors=True,
            _start_thread=True,
        )

    def _on_measured(self, result: tuple[str, bytes]) -> None:
        text, png = result
        self.message.say(text, error=not png)
        if png:
            pixmap = QPixmap()
            pixmap.loadFromData(png)
            self.picture.setPixmap(pixmap)


def measure(source: Source) -> tuple[str, bytes]:
    """Return a report and its picture as PNG; why there is none, and no picture, where it fails."""
    from napari_dip.planes.noise_report import noise_report

    try:
        report = noise_report(source.image())
        return str(report), report.png()
    except (ValueError, OSError, MemoryError) as error:
        return str(error) or "Too little memory to measure the noise.", b""
