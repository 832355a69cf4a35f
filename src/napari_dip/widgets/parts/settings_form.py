"""The form of a method, read off its Settings; no name of a knob is written here.

Only the fields a person edited are handed on, on top of the preset: a float box rounds what it
shows (1/30 becomes 0.0333), and a default must reach the engine as it is.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from magicgui.widgets import create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_dip.settings import Knob, Settings, knobs
from napari_dip.widgets.parts.layouts import Rows

BIGGEST = 2**53  # superqt's large spin box holds it


class SettingsForm(QWidget):
    """Shows one method's knobs, the basic ones first."""

    changed = Signal()

    def __init__(self, settings: type[Settings]) -> None:
        super().__init__()
        self._settings = settings
        self._edited: dict[str, Any] = {}
        self._boxes: dict[str, Any] = {}
        self.rows = Rows(self)
        for knob in sorted(knobs(settings), key=lambda knob: not knob.basic):
            self._add(knob)
        self.show_preset(next(iter(settings.presets)))

    def show_preset(self, name: str, changes: Mapping[str, Any] | None = None) -> None:
        """Show a preset with `changes`, as if a person had made them, and no other edit."""
        self._preset = name
        self._edited = dict(changes or {})
        values = self._settings.preset(name, **self._edited)
        for key, box in self._boxes.items():
            with box.changed.blocked():
                _widen(box, getattr(values, key))
                box.value = _to_box(box, getattr(values, key))
        self.changed.emit()

    def settings(self) -> Settings:
        """Return the preset with the edits on top.

        Raises
        ------
        ValueError
            If an edit is out of bounds or cannot be read, in a sentence.
        """
        edits = {name: _from_box(value) for name, value in self._edited.items()}
        return self._settings.preset(self._preset, **edits)

    def hide_knobs(self, names: set[str]) -> None:
        """Show all knobs but these."""
        for name, box in self._boxes.items():
            self.rows.set_visible(box.native, name not in names)

    def box(self, name: str) -> Any:
        """Return the magicgui widget of a knob."""
        return self._boxes[name]

    def _add(self, knob: Knob) -> None:
        presets = (self._settings.preset(name) for name in self._settings.presets)
        box = _box(knob, [getattr(preset, knob.name) for preset in presets])
        box.changed.connect(lambda value, name=knob.name: self._edit(name, value))
        box.tooltip = knob.help
        self._boxes[knob.name] = box
        title = knob.name.replace("_", " ").capitalize()
        label = QLabel(f"{title} ({knob.unit})" if knob.unit and knob.unit != knob.name else title)
        self.rows.add(label, box.native, shrink=box.widget_type != "CheckBox")

    def _edit(self, name: str, value: Any) -> None:
        self._edited[name] = value
        self.changed.emit()


def _box(knob: Knob, values: list[Any]) -> Any:
    """Return a widget for a knob's type; what Qt has no box for becomes a line of text.

    `values` are those of the presets: a float box gets decimals enough for the smallest.
    """
    kind = knob.annotation
    if get_origin(kind) is Literal:
        return create_widget(widget_type="ComboBox", options={"choices": list(get_args(kind))})
    if kind is bool:
        return create_widget(widget_type="CheckBox", options={"text": ""})
    if kind is int:
        return create_widget(widget_type="SpinBox", options=_bounds(knob, BIGGEST, 1))
    if kind is float:
        digits = (math.floor(math.log10(abs(value))) for value in values if value)
        digit = min(digits, default=0)  # of the first digit
        decimals = max(2 - digit, 4)
        options = {**_bounds(knob, 1e9, 10.0**-decimals), "step": 10.0 ** min(digit - 1, -1)}
        box = create_widget(widget_type="FloatSpinBox", options=options)
        box.native.setDecimals(decimals)
        return box
    box = create_widget(widget_type="LineEdit")
    box.native.setPlaceholderText("automatic" if NoneType in get_args(kind) else "")
    return box


def _bounds(knob: Knob, largest: float, step: float) -> dict[str, float]:
    """Return the bounds of a box; `step` leads from an open bound to the nearest value in it."""
    low = knob.bounds.get("ge", knob.bounds.get("gt", -largest - step) + step)
    high = knob.bounds.get("le", knob.bounds.get("lt", largest + step) - step)
    return {"min": max(low, -largest), "max": min(high, largest)}


def _widen(box: Any, value: Any) -> None:
    """Let a float box show a value, from a file of settings, that is finer than its decimals."""
    if box.widget_type == "FloatSpinBox" and 0 < value < box.min:
        box.native.setDecimals(2 - math.floor(math.log10(value)))
        box.min = value


def _to_box(box: Any, value: Any) -> Any:
    if box.widget_type != "LineEdit":
        return value
    return "" if value is None else str(value)


def _from_box(value: Any) -> Any:
    """Read a line of text as the value it spells; pydantic judges whether it fits."""
    if not isinstance(value, str):
        return value
    if not value.strip() or value.strip().lower() in ("none", "automatic"):
        return None
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
