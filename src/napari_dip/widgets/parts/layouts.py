"""Rows, columns, combo boxes and messages, so that all parts of a dock look alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

SPACING = 4
LABEL_WIDTH = 58  # pixels, so that boxes one below another have their fields in one column
WARNING = "#f5cd50", "#7a4100"  # on a dark and on a light theme, each legible on its background
Layout = TypeVar("Layout", QVBoxLayout, QHBoxLayout)


class Rows(QFormLayout):
    """Rows of a label and a field, in two columns."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(SPACING)
        self.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def add(self, label: str | QLabel, field: QWidget, *, shrink: bool = True) -> None:
        """Add a row; a field that shrinks does not make the dock wide, however long its entries."""
        if shrink:
            field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.addRow(label, field)
        if (shown := self.labelForField(field)) is not None:
            shown.setToolTip(field.toolTip())
            shown.setMinimumWidth(LABEL_WIDTH)

    def set_visible(self, field: QWidget, visible: bool) -> None:
        """Show or hide a field and its label."""
        for widget in (field, self.labelForField(field)):
            if widget is not None:
                widget.setVisible(visible)

    @property
    def labels(self) -> list[QLabel]:
        """The labels, from top to bottom."""
        cells = (self.itemAt(i, QFormLayout.ItemRole.LabelRole) for i in range(self.rowCount()))
        widgets = (cell.widget() for cell in cells if cell is not None)
        return [widget for widget in widgets if isinstance(widget, QLabel)]


class Message(QLabel):
    """A sentence for the user, which can be selected and copied.

    `light` is whether napari's theme is a light one; docks keep it up to date.
    """

    light: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._error = False
        self.hide()

    def say(self, sentence: str, *, error: bool = False) -> None:
        """Show a sentence; one about an error in the colour of warnings."""
        self._error = error
        self.setText(sentence)
        self.repaint_text()
        self.setVisible(bool(sentence))

    def repaint_text(self) -> None:
        """Take the colour that is legible in the theme there is now."""
        self.setStyleSheet(f"color: {WARNING[self.light]};" if self._error else "")


def is_dark(colour: str) -> bool:
    """Return whether a colour, such as ``"#262930"``, is a dark one."""
    return QColor(colour).lightness() < 128


def fold(title: str, *widgets: QWidget) -> QCollapsible:
    """Return widgets under a title that opens and hides them; hidden at first."""
    content = QWidget()
    column(*widgets, parent=content, spacing=6)
    made = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    made.setDuration(0)
    made.setContent(content)
    made.collapse(animate=False)
    layout = made.layout()
    if layout is not None:
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(SPACING)
    return made


def combo_box(entries: Iterable[tuple[str, object, str]]) -> QComboBox:
    """Return a combo box of entries, each a text, its data and its tooltip."""
    combo = QComboBox()
    for i, (text, data, tip) in enumerate(entries):
        combo.addItem(text, data)
        combo.setItemData(i, tip, Qt.ItemDataRole.ToolTipRole)
    view = combo.view()
    if view is not None:  # long entries are read as a whole in the list, also of a narrow dock
        view.setMinimumWidth(view.sizeHintForColumn(0) + 16)
    return combo


def check_box(text: str, tooltip: str = "", checked: bool = False) -> QCheckBox:
    """Return a check box."""
    box = QCheckBox(text)
    box.setToolTip(tooltip)
    box.setChecked(checked)
    return box


def line_edit(hint: str, tooltip: str = "") -> QLineEdit:
    """Return a line of text; the hint stands in it while it is empty."""
    line = QLineEdit()
    line.setPlaceholderText(hint)
    line.setToolTip(tooltip)
    return line


def column(*widgets: QWidget, parent: QWidget | None = None, spacing: int = 4) -> QVBoxLayout:
    """Return a layout of widgets one below another, without margins."""
    return _fill(QVBoxLayout(parent), widgets, spacing)


def row(*widgets: QWidget, parent: QWidget | None = None, spacing: int = 4) -> QHBoxLayout:
    """Return a layout of widgets side by side, without margins."""
    return _fill(QHBoxLayout(parent), widgets, spacing)


def _fill(layout: Layout, widgets: Iterable[QWidget], spacing: int) -> Layout:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def button(text: str, tooltip: str) -> QPushButton:
    """Return a button that shares the width of its row with the others."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made


def scroll_area(*widgets: QWidget) -> QScrollArea:
    """Return widgets one below another, to be scrolled up and down where the dock is low."""
    content = QWidget()
    layout = column(*widgets, parent=content, spacing=8)
    layout.setContentsMargins(0, 0, 6, 0)
    layout.addStretch(1)
    scroll = QScrollArea()
    scroll.setWidget(content)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setMinimumHeight(60)
    return scroll
