"""A line for the name of a file or folder, with a button that looks for one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget


def is_file(path: Path) -> bool:
    """Say whether there is such a file; what is being typed may be anything, which makes `Path.is_file` raise."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Say whether there is such a folder."""
    return os.path.isdir(path)  # noqa: PTH112


class PathRow(QWidget):
    """Asks for a path.

    Parameters
    ----------
    kind : {"open", "save", "folder"}
        What the button looks for.
    title, pattern : str
        Of the dialog: its title, and which files it shows, such as ``"Models (*.safetensors)"``.
    hint : str
        What stands in the empty line.
    """

    changed = Signal()

    def __init__(
        self,
        kind: str,
        title: str,
        pattern: str = "",
        hint: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._kind, self._title, self._pattern = kind, title, pattern
        self.line, self.button = QLineEdit(), QPushButton("...")
        self.line.setPlaceholderText(hint)
        self.line.setClearButtonEnabled(True)
        self.button.setFixedWidth(28)
        self.button.setToolTip(title)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.line, stretch=1)
        layout.addWidget(self.button)
        self.line.textChanged.connect(self.changed)
        self.button.clicked.connect(self._look)

    @property
    def path(self) -> Path | None:
        """The path named, None where the line is empty."""
        text = self.line.text().strip()
        with suppress(RuntimeError):  # "~x", where nobody is called x
            return Path(text).expanduser() if text else None
        return Path(text)

    @path.setter
    def path(self, path: Path | None) -> None:
        self.line.setText("" if path is None else str(path))

    def _look(self) -> None:
        start = self.line.text()
        if self._kind == "folder":
            found = QFileDialog.getExistingDirectory(self, self._title, start)
        elif self._kind == "save":
            found, _ = QFileDialog.getSaveFileName(self, self._title, start, self._pattern)
        else:
            found, _ = QFileDialog.getOpenFileName(self, self._title, start, self._pattern)
        if found:
            self.line.setText(found)
