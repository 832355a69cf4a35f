"""Make docs/images/dock.png: napari with a dock, the noisy and the denoised image, and the curve.

With ``--dock Restore`` docs/images/restore.png: a bar painted over on a Labels layer, and filled.
With ``--dock Train`` docs/images/train.png: a model trained on the one image. With ``--dock Batch
--data FOLDER`` docs/images/batch.png: the images of a folder, the sample and one that is cut short.

Run it under a screen, or without one:
``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshot.py``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtWidgets import QApplication

SIZE = (1500, 900)
ZOOM = 2.25  # of the grid's narrow cells: shows the middle of both images, and their noise


def wait(seconds: float, until: object = None) -> None:
    """Let Qt work for a while, or until a call says True."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (callable(until) and until()):
        QApplication.processEvents()
        time.sleep(0.01)


def paint(viewer: napari.Viewer, dock: object) -> None:
    """Mark two bars of the image as missing, on a Labels layer, and tell the dock."""
    cells = viewer.layers[0]
    marks = np.zeros(cells.data.shape, np.uint8)
    height, width = marks.shape
    marks[height // 2 : height // 2 + 8, width // 4 : 3 * width // 4] = 1
    marks[height // 4 : 3 * height // 4, width // 2 : width // 2 + 8] = 1
    viewer.add_labels(marks, name="dust", scale=cells.scale, units=cells.units)
    viewer.layers.selection.active = cells
    dock.page.where.setCurrentText("Labels layer")


def batch(out: Path, steps: int, data: Path) -> None:
    """Run a folder of images and a broken one in the dock Batch, open a pair, save the window."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    _, dock = viewer.window.add_plugin_dock_widget("napari-dip", "Batch")
    out, data = out.absolute(), data.absolute()
    os.chdir(tempfile.mkdtemp())
    folder = Path("raw")
    folder.mkdir()
    with as_file(files("napari_dip") / "data" / "fish_raw.tif") as sample:
        shutil.copy(sample, folder)
        (folder / "cut_short.tif").write_bytes(sample.read_bytes()[:4000])
    for path in sorted(path for path in data.iterdir() if path.is_file()):
        shutil.copy(path, folder)
    dock.files.images.path, dock.files.out.path = folder, Path("denoised")
    if steps:
        dock.method_box.form.box("steps").value = steps
    dock.start()
    wait(1800, lambda: dock.run is not None and not dock.run.running)
    names = [job.source.name for job in dock.table.jobs]
    dock.table.cellDoubleClicked.emit(names.index("fish_raw.tif"), 0)
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.stride = 1
    viewer.reset_view()
    wait(1.5)
    save(viewer, out)


def save(viewer: napari.Viewer, out: Path) -> None:
    """Write the window as a picture, and close it."""
    pixels = viewer.window.screenshot(size=None, canvas_only=False, flash=False)
    viewer.close()
    out.parent.mkdir(parents=True, exist_ok=True)
    # 256 colours are enough for a grey image in a grey window, and make a third of the file.
    Image.fromarray(pixels[..., :3]).quantize(256, dither=Image.Dither.NONE).save(
        out, optimize=True
    )


def main(out: Path, steps: int, stop_after: float, name: str) -> None:
    """Denoise the sample pair in the dock, or restore it, and save the window."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    viewer.open_sample("napari-dip", "fish")
    viewer.layers.remove(viewer.layers[0])  # the clean one
    _, dock = viewer.window.add_plugin_dock_widget("napari-dip", name)
    if name == "Restore":
        paint(viewer, dock)
    if name == "Train":
        out = out.absolute()
        os.chdir(tempfile.mkdtemp())  # the window shows no folder of this machine
        dock.extra.model.path = Path("zebrafish.safetensors")
    if steps:
        dock.method_box.form.box("steps").value = steps
    run = dock.start()
    wait(stop_after, lambda: not run.running)
    if run.running:
        dock.stop()
        wait(30, lambda: not run.running)
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.stride = 1
    viewer.reset_view()
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera  # scene: since 0.9
    camera.zoom *= ZOOM
    wait(1.5)
    save(viewer, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, help="docs/images/dock.png, restore.png or train.png by default"
    )
    parser.add_argument(
        "--dock", choices=("Denoise", "Restore", "Train", "Batch"), default="Denoise"
    )
    parser.add_argument(
        "--steps", type=int, default=0, help="steps at most; the preset's by default"
    )
    parser.add_argument(
        "--stop-after", type=float, default=600, help="seconds after which Stop is pressed"
    )
    parser.add_argument("--data", type=Path, help="for Batch: a folder with images")
    options = parser.parse_args()
    picture = {"Denoise": "dock.png"}.get(options.dock, f"{options.dock.lower()}.png")
    out = options.out or Path(__file__).parent / "images" / picture
    if options.dock == "Batch":
        batch(out, options.steps, options.data)
    else:
        main(out, options.steps, options.stop_after, options.dock)
