"""The row that names a trained model; where it names one, nothing is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_dip.images.image import Image
from napari_dip.models.model import SUFFIX, load_model, peek
from napari_dip.settings import Trained
from napari_dip.snapshot import Snapshot
from napari_dip.widgets.parts.layouts import Rows, combo_box
from napari_dip.widgets.parts.path_row import PathRow

TIP = Qt.ItemDataRole.ToolTipRole

if TYPE_CHECKING:
    from napari_dip.planes.chunk import Chunk


class ModelBox(QWidget):
    """Asks for a model file, and says what is in it."""

    changed = Signal()

    def __init__(self, hint: str = "choose a model") -> None:
        super().__init__()
        self.row = PathRow("open", "Choose a trained model", f"Models (*{SUFFIX})", hint)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.hide()
        self.orientations = combo_box(
            (text, count, "Flips and quarter turns that are averaged; each takes as long.")
            for text, count in (("as the model names", None), *((str(n), n) for n in (1, 2, 4, 8)))
        )
        self.orientations.setToolTip(str(self.orientations.itemData(0, TIP)))
        self.rows = Rows(self)
        self.rows.add("Model", self.row)
        self.rows.add("Flips", self.orientations)
        self.rows.addRow(self.about)
        self.rows.set_visible(self.orientations, False)
        self.row.changed.connect(self._on_path)

    def _on_path(self) -> None:
        self.rows.set_visible(self.orientations, self.path is not None)
        self.changed.emit()

    @property
    def name(self) -> str:
        """The name of the model's file, without its ending."""
        return "" if self.path is None else self.path.stem

    @property
    def path(self) -> Path | None:
        """The file named, None where images are to be fitted."""
        return self.row.path

    def settings(self) -> Trained:
        """Return the settings of the model named; a ValueError says why it is none."""
        assert self.path is not None
        self.about.hide()
        try:
            record, settings = peek(self.path)
        except OSError as error:
            raise ValueError(f"{error} Or choose another method.") from error
        steps = record["training"].get("steps", 0)
        parts = (
            settings.title,
            f"{steps:,} steps" if isinstance(steps, int) else "",
            str(record["description"])[:200],
        )
        self.about.setText(", ".join(filter(None, parts)) + ".")
        self.about.show()
        return settings

    def begin(self) -> Any:
        """Return a function that applies the model, called as `iter_denoise`, or with a chunk."""
        assert self.path is not None
        return partial(_apply, self.path, self.orientations.currentData())


def _apply(
    path: Path,
    orientations: Literal[1, 2, 4, 8] | None,
    image: Image,
    how: Any,
    *,
    device: str,
    chunk: Chunk | None = None,
) -> Iterator[Snapshot]:
    """Load the model and apply it; in the worker, since this loads torch."""
    from napari_dip.api import iter_chunk

    model = load_model(path)
    model = model if orientations is None else model.with_orientations(orientations)
    return iter_chunk(image, model, device, chunk)
