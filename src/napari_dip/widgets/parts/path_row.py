"""A line for the name of a file or folder, with a button that opens a dialog."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton, QWidget

from napari_dip.widgets.parts.layouts import row


def is_file(path: Path) -> bool:
    """Return whether there is such a file; `Path.is_file` raises for some half-typed names."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Return whether there is such a folder."""
    return os.path.isdir(path)  # noqa: PTH112


class PathRow(QWidget):
    """Asks for a path.

    `kind` is "open", "save" or "folder"; `pattern` is which files the dialog shows, such as
    ``"Models (*.safetensors)"``; `hint` stands in the empty line.
    """

    changed = Signal()

    def __init__(self, kind: str, title: str, pattern: str = "", hint: str = "") -> None:
        super().__init__()
        self._kind, self._title, self._pattern = kind, title, pattern
        self.line, self.button = QLineEdit(), QPushButton("...")
        self.line.setPlaceholderText(hint)
        self.line.setClearButtonEnabled(True)
        self.button.setFixedWidth(28)
        self.button.setToolTip(title)
        self.line.setToolTip(title)
        row(self.line, self.button, parent=self).setStretchFactor(self.line, 1)
        self.line.textChanged.connect(self.changed)
        self.button.clicked.connect(self._browse)

    @property
    def path(self) -> Path | None:
        """The path named, None where the line is empty."""
        text = self.line.text().strip()
        return _expanded(text) if text else None

    @path.setter
    def path(self, path: Path | None) -> None:
        self.line.setText("" if path is None else str(path))

    @property
    def paths(self) -> list[Path]:
        """The paths named, separated by ";"."""
        parts = (part.strip() for part in self.line.text().split(";"))
        return [_expanded(part) for part in parts if part]

    def _browse(self) -> None:
        start = self.line.text()
        if self._kind == "folder":
            found = QFileDialog.getExistingDirectory(self, self._title, start)
        elif self._kind == "save":
            found, _ = QFileDialog.getSaveFileName(self, self._title, start, self._pattern)
        else:
            found, _ = QFileDialog.getOpenFileName(self, self._title, start, self._pattern)
        if found:
            self.line.setText(found)


def _expanded(text: str) -> Path:
    with suppress(RuntimeError):  # "~x", where nobody is called x
        return Path(text).expanduser()
    return Path(text)
