"""Rows of a label and a field, so that all parts of the dock stand in the same two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QFrame, QLabel, QScrollArea, QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterable

SPACING = 4


class Rows(QFormLayout):
    """A form layout with the dock's spacing that remembers its labels."""

    def __init__(self) -> None:
        super().__init__()
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(SPACING)
        self.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    @property
    def labels(self) -> list[QLabel]:
        """The labels, from top to bottom."""
        cells = (self.itemAt(i, QFormLayout.ItemRole.LabelRole) for i in range(self.rowCount()))
        return [
            label
            for cell in cells
            if cell is not None and isinstance(label := cell.widget(), QLabel)
        ]


def narrow(*fields: QWidget) -> None:
    """Let fields take the width there is, so that long entries and large bounds do not make the dock wide."""
    for field in fields:
        field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)


def align(labels: Iterable[QLabel]) -> None:
    """Give the label columns of several rows one width."""
    labels = list(labels)
    for label in labels:
        label.ensurePolished()  # the font is that of the window it stands in
    width = max(label.sizeHint().width() for label in labels)
    for label in labels:
        label.setMinimumWidth(width)


def scrolled(part: QWidget) -> QScrollArea:
    """Return a part of a dock so that it can be scrolled up and down where the dock is low."""
    scroll = QScrollArea()
    scroll.setWidget(part)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return scroll


def show_row(rows: Rows, field: QWidget, show: bool) -> None:
    """Show or hide a field and its label."""
    for widget in (field, rows.labelForField(field)):
        if widget is not None:
            widget.setVisible(show)
