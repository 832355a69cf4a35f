"""A microscopist's day in a real window of napari, by clicks and keys, with its pictures.

Sample, Run, compare, save, open again; another step of a plane of a stack; the box to try, dragged;
Train, Use it, Batch. What each step must have done is asserted on the way.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshot.py

With ``--size 1600x1000``, ``--theme light`` and ``--out FOLDER`` the same elsewhere and otherwise.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

from napari_dip.widgets.layers.region import BOX, box_layer

LEFT = Qt.MouseButton.LeftButton
LONG = 600  # seconds, at most, for anything


def wait(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let Qt work for a while, or until a call says True."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


class Person:
    """Has a mouse, a keyboard and a camera, and counts what is done."""

    def __init__(self, viewer: napari.Viewer, out: Path) -> None:
        self.viewer, self.out, self.actions = viewer, out, 0
        self.window = viewer.window._qt_window
        self.canvas = viewer.window._qt_viewer.canvas.native

    def menu(self, *titles: str) -> None:
        """Choose an entry of the menus by the titles on the way to it."""
        found: Any = self.window.menuBar()
        for title in titles:
            plain = {a.text().replace("&", ""): a for a in found.actions()}
            action = plain[next(text for text in plain if text.startswith(title))]
            menu = action.menu()
            if menu is None:
                action.trigger()
            else:
                menu.aboutToShow.emit()
                found = menu
        self._done()

    def click(self, widget: Any, where: QPoint | None = None) -> None:
        """Press and let go of the mouse on a widget, which must be in view."""
        assert widget.isVisible() and widget.isEnabled(), f"{widget} cannot be clicked"
        QTest.mouseClick(widget, LEFT, pos=where or widget.rect().center())
        self._done()

    def choose(self, combo: Any, start: str) -> None:
        """Choose the entry of a combo box that begins so, by its keys."""
        at = next(i for i in range(combo.count()) if combo.itemText(i).startswith(start))
        combo.setFocus()
        while combo.currentIndex() != at:
            down = combo.currentIndex() < at
            QTest.keyClick(combo, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
        self._done()

    def type(self, widget: Any, text: str) -> None:
        """Type into a field, in place of what is there."""
        line = widget if isinstance(widget, QLineEdit) else widget.findChild(QLineEdit)
        line.selectAll()
        QTest.keyClicks(line, text)
        QTest.keyClick(line, Qt.Key.Key_Tab)
        self._done()

    def answer_dialog(self, path: Path) -> None:
        """Type a path into the file dialog that the next click opens."""

        def typed() -> None:
            dialog: Any = QApplication.activeModalWidget()
            if not isinstance(dialog, QFileDialog):
                QTimer.singleShot(200, typed)
                return
            QTest.keyClicks(dialog.findChild(QLineEdit), str(path))
            QTest.keyClick(dialog.findChild(QLineEdit), Qt.Key.Key_Return)

        QTimer.singleShot(500, typed)

    def drag(self, start: Any, end: Any) -> None:
        """Drag on the canvas between two points of the world."""
        places = [self._on_canvas(point) for point in (start, end)]
        QTest.mousePress(self.canvas, LEFT, pos=places[0])
        for share in np.linspace(0, 1, 8):
            step = places[0] + (places[1] - places[0]) * float(share)
            QTest.mouseMove(self.canvas, step)
            wait(0.05)
        QTest.mouseRelease(self.canvas, LEFT, pos=places[1])
        self._done()

    def look(self, name: str) -> None:
        """Save the window as a picture."""
        wait(0.6)
        assert self.window.size().width() <= self.window.screen().size().width()
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"{name}.png"
        self.window.grab().save(str(path))
        # 256 colours are enough for gray images in a gray window, and make a third of the file.
        picture = Image.open(path).convert("RGB")
        picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)

    def _on_canvas(self, world: Any) -> QPoint:
        """Return where a point of the world, (y, x), lies on the canvas, which shows its middle."""
        camera = self.viewer.scene.camera
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = middle + (np.asarray(world) - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPoint(round(x), round(y))

    def _done(self) -> None:
        self.actions += 1
        wait(0.15)


def ends(page: Any) -> None:
    """Wait until the run of a tab is over, and well."""
    wait(LONG, lambda: page.run is not None and not page.run.running)
    assert page.run.failure == "" and page.run.answer is not None, page.panel.message.text()


def steps(person: Person, page: Any, count: int) -> None:
    """Set the number of steps under Advanced, and fold that again."""
    page.advanced.expand(animate=False)
    wait(0.2)
    box = page.method_box.form.box("steps").native
    person.type(box, str(count))
    page.advanced.collapse(animate=False)


def first_image(person: Person, folder: Path) -> Any:
    """From the sample to a saved, judged result, opened again; in under ten actions."""
    viewer = person.viewer
    person.menu("File", "Open Sample", "napari-dip", "Confocal zebrafish")
    person.menu("Plugins", "napari-dip", "Denoise")
    dock = next(iter(viewer.window.dock_widgets.values()))
    page = dock.page
    wait(6, lambda: bool(page.time_line.label.text()))
    person.look("start")
    person.click(page.panel.buttons["Run"])
    wait(LONG, lambda: page.panel.bar.maximum() > 1 and page.panel.bar.value() > 100)
    person.look("running")
    ends(page)
    person.look("dock")
    noisy, answer = viewer.layers["fish, noisy"], viewer.layers["fish, noisy: Blind spot"]
    assert answer.visible and not noisy.visible and page.results.box.verdict.text()
    person.click(page.results.box.views["Residual"])
    person.look("residual")
    person.canvas.setFocus()
    QTest.keyPress(person.canvas, Qt.Key.Key_N)
    wait(0.3)
    assert noisy.visible and not answer.visible
    QTest.keyRelease(person.canvas, Qt.Key.Key_N)
    wait(0.3)
    assert not noisy.visible
    person.click(page.results.box.views["Denoised"])
    person.answer_dialog(folder / "fish.denoised.tif")
    person.click(page.results.box.buttons["Save result ..."])
    assert (folder / "fish.denoised.tif").exists() and person.actions < 10, person.actions
    saved = np.array(answer.data)
    viewer.layers.clear()
    wait(0.5)
    viewer.open(str(folder / "fish.denoised.tif"), plugin="napari-dip")
    (again,) = viewer.layers
    np.testing.assert_array_equal(np.asarray(again.data), saved)
    assert "settings" in again.metadata["napari_dip"]
    return dock


def stack(person: Person, dock: Any) -> None:
    """A stack: another step of one plane, then the box to try, dragged."""
    viewer, page = person.viewer, dock.page
    viewer.layers.clear()
    wait(0.5)
    person.menu("File", "Open Sample", "napari-dip", "Noisy stack")
    page.advanced.expand(animate=False)
    wait(0.2)
    person.click(page.method_box.keep, QPoint(8, 8))
    page.advanced.collapse(animate=False)
    steps(person, page, 80)
    person.choose(page.input.region, "Whole")
    person.click(page.panel.buttons["Run"])
    ends(page)
    layer, before = viewer.layers[-1], np.array(viewer.layers[-1].data)
    viewer.dims.set_current_step(0, 0)
    wait(0.3)
    person.look("steps")
    slider = page.results.box.slider
    slider.setFocus()
    QTest.keyClick(slider._slider, Qt.Key.Key_Home)
    changed = [bool((a != b).any()) for a, b in zip(before, np.asarray(layer.data), strict=True)]
    assert changed == [True] + [False] * (len(before) - 1), changed
    viewer.dims.set_current_step(0, 5)
    person.click(page.try_button)
    ends(page)
    person.look("try")
    box = box_layer(viewer)
    middle = np.asarray(box.data[0]).mean(axis=0)
    start = np.asarray(box.data_to_world(middle))[-2:]
    person.drag(start, start + 12 * np.asarray(box.scale)[-2:])
    moved = np.asarray(box.data[0]).mean(axis=0) - middle
    assert np.abs(moved[-2:]).min() > 6, f"the box was dragged by {moved}"
    wait(LONG, lambda: page.run is not None and page.run.running)
    ends(page)
    assert page._tried == page._corners() and box.name == BOX


def train(person: Person, dock: Any, folder: Path) -> None:
    """A model of one image, and its use."""
    viewer = person.viewer
    viewer.layers.clear()
    wait(0.5)
    person.menu("File", "Open Sample", "napari-dip", "Confocal zebrafish")
    person.click(dock.tabs.tabBar(), dock.tabs.tabBar().tabRect(1).center())
    page = dock.page
    os.chdir(folder)  # the window shows no folder of this machine
    person.type(page.extra.model, "zebrafish.safetensors")
    steps(person, page, 300)
    person.click(page.panel.buttons["Run"])
    ends(page)
    page.panel.curve.expand(animate=False)
    person.look("train")
    page.panel.curve.collapse(animate=False)
    person.click(page.use_button)
    page = dock.page
    assert page.method_box.is_own_model and page.extra.path == Path("zebrafish.safetensors")
    person.choose(page.input.region, "Whole")
    person.click(page.panel.buttons["Run"])
    ends(page)
    person.look("model")


def restore(person: Person, dock: Any) -> None:
    """Two bars painted over on a Labels layer, and filled."""
    viewer = person.viewer
    person.click(dock.tabs.tabBar(), dock.tabs.tabBar().tabRect(2).center())
    page, fish = dock.page, viewer.layers["fish, noisy"]
    page.pages["inpaint"].where.setCurrentText("Labels layer")
    marks = np.zeros(fish.data.shape, np.uint8)
    marks[252:260, 128:384] = marks[128:384, 252:260] = 1
    viewer.add_labels(marks, name="dust", scale=fish.scale, units=fish.units)
    viewer.layers.selection.active = fish
    steps(person, page, 60)
    person.click(page.panel.buttons["Run"])
    ends(page)
    viewer.layers["dust"].visible = False
    person.look("restore")


def batch(person: Person, dock: Any, folder: Path) -> None:
    """A folder with an image that is cut short, and a pair opened by a double-click."""
    viewer = person.viewer
    viewer.layers.clear()
    wait(0.5)
    person.click(dock.tabs.tabBar(), dock.tabs.tabBar().tabRect(3).center())
    page, raw = dock.page, folder / "raw"
    raw.mkdir(exist_ok=True)
    with as_file(files("napari_dip") / "data" / "fish_raw.tif") as sample:
        shutil.copy(sample, raw)
        (raw / "cut_short.tif").write_bytes(sample.read_bytes()[:4000])
    person.type(page.files.images, "raw")
    person.type(page.files.out, "denoised")
    steps(person, page, 60)
    person.click(page.buttons["Run"])
    wait(LONG, lambda: page.run is not None and not page.run.running)
    names = [job.source.name for job in page.table.jobs]
    page.table.cellDoubleClicked.emit(names.index("fish_raw.tif"), 0)
    assert len(viewer.layers) == 2, page.message.text()
    person.look("batch")


def main() -> None:
    """Spend the day."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1280x720", help="of the window, in pixels")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    out, folder = options.out.absolute(), Path(tempfile.mkdtemp())
    viewer = napari.Viewer(show=True)
    viewer.theme = options.theme
    width, height = map(int, options.size.split("x"))
    viewer.window.resize(width, height)
    wait(1)
    person = Person(viewer, out)
    dock = first_image(person, folder)
    stack(person, dock)
    train(person, dock, folder)
    restore(person, dock)
    batch(person, dock, folder)
    size = person.window.size()
    assert (size.width(), size.height()) == (width, height), "nothing has pushed the window out"
    print(f"{person.actions} actions at {options.size}, {options.theme}: all as it should be")
    viewer.close()


if __name__ == "__main__":
    main()
