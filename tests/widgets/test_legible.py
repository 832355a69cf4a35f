"""Each text of the dock can be read in both themes, and each field says what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QRect
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QMainWindow,
    QScrollBar,
    QTabBar,
    QWidget,
)

from napari_dip.widgets.docks.images import TABS, DenoiseImages
from napari_dip.widgets.parts.layouts import Message
from napari_dip.widgets.parts.plots import CRITERION, LOSS, MEASURES

pytestmark = pytest.mark.timeout(120)
LEAST = 4.5  # of WCAG 2.1, level AA
FIELDS = QComboBox, QLineEdit, QAbstractSpinBox, QAbstractButton, QAbstractSlider


def luminance(colours: np.ndarray) -> np.ndarray:
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one: Any, two: Any) -> Any:
    light, dark = np.maximum(one, two), np.minimum(one, two)
    return (light + 0.05) / (dark + 0.05)


def drawn_contrast(widget: QWidget) -> float:
    """Return how far the text stands out from the colour that most of the widget has."""
    window = widget.window()
    place = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
    image = window.grab(place).toImage()
    image = image.convertToFormat(image.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : 3 * image.width()].reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    known = luminance(colours / 255)
    return float(contrast(known, known[counts.argmax()]).max())


@pytest.fixture(params=["dark", "light"])
def dock(request: pytest.FixtureRequest, viewer: Any, qtbot: Any) -> Any:
    from napari.qt import get_stylesheet

    viewer.theme = request.param
    viewer.add_image(np.zeros((3, 20, 30)))
    window, made = QMainWindow(), DenoiseImages(viewer)
    qtbot.addWidget(window)
    window.setStyleSheet(get_stylesheet(request.param))
    window.setCentralWidget(made)
    window.resize(360, 1500)
    window.show()
    qtbot.waitExposed(window)
    yield made
    made.shut_down()


def test_every_text_stands_out_from_its_background(dock: Any, qtbot: Any) -> None:
    poor = []
    for name in TABS:
        page = dock.show_tab(name)
        page.advanced.expand(animate=False)
        for message in page.findChildren(Message):
            message.say("Something is wrong with what was chosen.", error=True)
        qtbot.wait(50)
        kinds = QLabel, QAbstractButton, QComboBox, QTabBar
        for widget in (found for kind in kinds for found in page.findChildren(kind)):
            text = getattr(widget, "text", lambda: "shown")()
            if widget.isVisible() and widget.isEnabled() and text and widget.width() > 20:
                found = drawn_contrast(widget)
                if found < LEAST:
                    poor.append((name, type(widget).__name__, text, round(found, 2)))
    assert not poor


@pytest.mark.parametrize("light", [False, True])
def test_the_curves_stand_out_from_the_theme(light: bool) -> None:
    from napari.utils.theme import get_theme
    from qtpy.QtGui import QColor

    colours = [LOSS, CRITERION, *(tint for _, tint in MEASURES.values())]
    tones = [QColor(pair[light]).getRgbF()[:3] for pair in colours]
    back = QColor(get_theme("light" if light else "dark").background.as_hex()).getRgbF()[:3]
    assert (contrast(luminance(np.array(tones)), luminance(np.array([back]))) >= LEAST).all()


def test_every_field_has_a_word_of_help(dock: Any) -> None:
    bare = []
    for name in TABS:
        page = dock.show_tab(name)
        for kind in FIELDS:
            for field in page.findChildren(kind):
                if isinstance(field, QScrollBar):
                    continue
                within = field
                while within is not None and not within.toolTip() and within is not page:
                    within = within.parentWidget()
                if within is page:
                    bare.append((name, type(field).__name__, getattr(field, "currentText", str)()))
    assert not bare


def test_no_word_of_the_command_line_is_in_the_dock(dock: Any) -> None:
    for name in TABS:
        page = dock.show_tab(name)
        shown = [w.toolTip() for w in page.findChildren(QWidget)]
        shown += [label.text() for label in page.findChildren(QLabel)]
        assert not [text for text in shown if "napari-dip " in text or "--" in text]
