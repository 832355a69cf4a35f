"""The upper part of the dock Batch: which files, and where the results go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_dip.images.part import Part
from napari_dip.widgets.parts.layouts import Rows, check_box, combo_box, line_edit
from napari_dip.widgets.parts.path_row import PathRow

VALUES = {"float32": "float32", "same": "as in the file (rounded, clipped)"}
COMPRESSIONS = {"": "as usual", "none": "none", "deflate": "deflate", "zstd": "zstd", "lzw": "lzw"}


class FilesBox(QWidget):
    """Asks for images and for a folder."""

    def __init__(self) -> None:
        super().__init__()
        hint = 'choose a folder, or files separated by ";"'
        self.images = PathRow("folder", "Folder of images", hint=hint)
        self.images.setToolTip("The folder whose images are denoised, and those in it.")
        tip = "Which images of a folder, such as *_raw.tif; day1/*.tif asks for the folder too."
        self.pattern = line_edit("all, or such as *_raw.tif", tip)
        self.axes = line_edit("as in the files", "A letter of TZCYX for each axis, such as ZYX.")
        tip = "Of files that hold several images: a number from 0 on, a name, a range, or all."
        self.parts = {"series": line_edit("the only one", tip)}
        for what, of in {
            "channel": "channels (or names)",
            "time": "time points",
            "plane": "planes",
        }.items():
            tip = f"Which {of}, counted from 0: 3, or 0,3, or 2:10 (without 10)."
            self.parts[what] = line_edit(
                "all", f"{tip} A name will do." if what == "channel" else tip
            )
        self.recursive = check_box("Folders in the folder too", "And in these.", checked=True)
        self.out = PathRow("folder", "Folder for the results", hint="choose a folder")
        self.out.setToolTip("Another folder: results get the names of their images.")
        self.values = combo_box((text, key, "") for key, text in VALUES.items())
        self.values.setToolTip("The kind of numbers in the results; float32 keeps all of them.")
        tip = "How TIFFs are compressed, without loss. Fiji opens zstd with Bio-Formats."
        self.compression = combo_box((text, key, tip) for key, text in COMPRESSIONS.items())
        self.compression.setToolTip(tip)
        tip = "Without it what an earlier run has done with the same settings is left as done."
        self.replace = check_box("Replace files that exist", tip)
        self.ome_zarr: str | None = None  # of a file of settings; 0.4 by default
        self.more = QWidget()  # what is rarely changed
        self.rows, more = Rows(self), Rows(self.more)
        self.rows.add("Images", self.images)
        self.rows.add("Results", self.out)
        self.rows.add("", self.replace, shrink=False)
        more.add("Pattern", self.pattern)
        more.add("", self.recursive, shrink=False)
        more.add("Axes", self.axes)
        names = {"series": "Image", "channel": "Channel", "time": "Time", "plane": "Plane"}
        for what, line in self.parts.items():
            more.add(names[what], line)
        more.add("Values", self.values)
        more.add("Compression", self.compression)

    def inputs(self) -> list[Path]:
        """Return the files and folders named; a ValueError asks for them."""
        if not self.images.paths:
            raise ValueError("Choose the folder of images.")
        return self.images.paths

    def folder(self) -> Path:
        """Return the folder for the results; a ValueError asks for it."""
        if self.out.path is None:
            raise ValueError("Choose the folder for the results.")
        if self.out.path.exists() and not self.out.path.is_dir():
            raise ValueError(f"Results go into a folder, and {self.out.path} is a file.")
        return self.out.path

    def options(self) -> dict[str, Any]:
        """Return what else is chosen, as a file of settings names it."""
        stored = {"compression": self.compression.currentData(), "ome_zarr": self.ome_zarr}
        return {
            **{key: value for key, value in stored.items() if value},
            "axes": self.axes.text().strip().upper() or None,
            "dtype": self.values.currentData(),
            "pattern": self.pattern.text().strip() or "*",
            "recursive": self.recursive.isChecked(),
            **self.part().given(),
        }

    def task_options(self) -> dict[str, Any]:
        """Return the same as fields of `napari_dip.batch.task.Task`."""
        part = self.part()
        named = {key: value for key, value in self.options().items() if key not in part.given()}
        return {**named, "part": part}

    def part(self) -> Part:
        """Return which part of each file is wanted."""
        return Part(**{what: line.text().strip() or None for what, line in self.parts.items()})

    def show_options(self, values: Mapping[str, Any]) -> None:
        """Show the options of a file of settings."""
        self.axes.setText(values.get("axes", ""))
        self.values.setCurrentIndex(self.values.findData(values.get("dtype", "float32")))
        found = self.compression.findData(values.get("compression", ""))
        self.compression.setCurrentIndex(max(found, 0))
        self.ome_zarr = values.get("ome_zarr") or None
        self.pattern.setText(values.get("pattern", ""))
        self.recursive.setChecked(values.get("recursive", True))
        for what, line in self.parts.items():
            line.setText(str(values.get(what, "")))
