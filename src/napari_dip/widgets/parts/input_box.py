"""The upper part of the dock: which layer, what its axes mean, which level and what part of it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from napari_dip.images.image import LETTERS, check_axes
from napari_dip.widgets.layers import region as regions
from napari_dip.widgets.layers.source import Source, axes_of, good_level, levels, source_of
from napari_dip.widgets.parts.layouts import Rows, narrow, show_row

SETTLED = 150  # milliseconds after the last move of the camera
# Five in a row: napari's own padding and arrow take 44 pixels, which leave no room for the letter.
TIGHT = "QComboBox { padding: 3px 1px 3px 4px; } QComboBox::drop-down { width: 12px; } "
TIGHT += "QComboBox::down-arrow { width: 9px; height: 9px; }"


class LayerCombo(QComboBox):
    """A combo box of the viewer's layers of one kind; follows the layer list and keeps its choice.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the layers are.
    kind : str
        Their class, such as "Image".
    beside : LayerCombo, optional
        Another one, whose choice is not to be this one's too, where there is another layer.
    """

    chosen = Signal()

    def __init__(
        self,
        viewer: Any,
        kind: str,
        parent: QWidget | None = None,
        *,
        beside: LayerCombo | None = None,
    ) -> None:
        super().__init__(parent)
        import napari.layers

        self._viewer, self._kind = viewer, getattr(napari.layers, kind)
        self._layers: list[Any] = []
        self._beside = beside
        if beside is not None:
            beside.chosen.connect(self.refill)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self.refill)
        self.currentIndexChanged.connect(self._on_index)
        self.refill()

    def refill(self, event: Any = None) -> None:
        """List the layers again; a new choice is made only where the old one is gone."""
        before = self.layer
        self._layers = [x for x in self._viewer.layers if isinstance(x, self._kind)]
        self.blockSignals(True)
        self.clear()
        self.addItems([layer.name for layer in self._layers])
        active = self._viewer.layers.selection.active
        wanted = [layer for layer in (before, active) if layer in self._layers]
        if self._beside is not None:  # the first: results come after what they were made from
            wanted = [layer for layer in (*wanted, *self._layers) if layer != self._beside.layer]
        self.setCurrentIndex(self._layers.index(wanted[0]) if wanted else len(self._layers) - 1)
        self.blockSignals(False)
        if before != self.layer:
            self.chosen.emit()

    @property
    def layer(self) -> Any:
        """The layer chosen, or None."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Any) -> None:
        """Choose a layer of the list."""
        self.setCurrentIndex(self._layers.index(layer))

    def _on_index(self, index: int) -> None:
        self.chosen.emit()

    def leave(self) -> None:
        """Stop following the layer list."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.disconnect(self.refill)


class InputBox(QWidget):
    """Asks what to run on; `source` gives it, or says in a sentence why not."""

    changed = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.layers = LayerCombo(viewer, "Image")
        self.shapes = LayerCombo(viewer, "Shapes")
        self.level, self.region = QComboBox(), QComboBox()
        self.axes: list[QComboBox] = []
        self._axes_row = QHBoxLayout()
        self.readout = QLabel()
        self.rows = Rows()
        self._lay_out()
        for i, (name, help_text) in enumerate(regions.HELP.items()):
            self.region.addItem(name)
            self.region.setItemData(i, help_text, Qt.ItemDataRole.ToolTipRole)
        self.layers.chosen.connect(self._on_layer)
        self.shapes.chosen.connect(self._on_change)
        self.level.currentIndexChanged.connect(self._on_change)
        self.region.currentIndexChanged.connect(self._on_change)
        viewer.dims.events.point.connect(self._on_move)
        self._camera = (
            viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        )  # scene: since 0.9
        self._drawn = QTimer(self)  # what is in view is known only after napari has drawn it
        self._drawn.setSingleShot(True)
        self._drawn.setInterval(SETTLED)
        self._drawn.timeout.connect(self._on_view)
        self._camera.events.connect(self._on_camera)
        self._on_layer()

    def source(self) -> Source:
        """Gather what is chosen.

        Raises
        ------
        ValueError
            If there is no layer, the axes cannot be, or the region is empty, in a sentence.
        """
        layer = self.layers.layer
        if layer is None:
            raise ValueError(
                "There is no image layer: open an image, or take one from File > Open Sample."
            )
        axes_of(layer)  # refuses too many axes
        axes = "".join(combo.currentText() for combo in self.axes)
        level = max(self.level.currentIndex(), 0)
        check_axes(axes + ("C" if layer.rgb else ""), tuple(levels(layer)[level].shape))
        index = regions.region(
            self.region.currentText(), layer, axes, level, self.viewer, self.shapes.layer
        )
        return source_of(layer, axes, index, level)

    def leave(self) -> None:
        """Stop following the viewer."""
        self.layers.leave()
        self.shapes.leave()
        self.viewer.dims.events.point.disconnect(self._on_move)
        self._camera.events.disconnect(self._on_camera)
        self._drawn.stop()

    def describe(self, source: Source) -> None:
        """Say how much the run will fit."""
        lengths = dict(zip(source.axes, source.shape, strict=True))
        planes = 1
        for letter, n in lengths.items():
            planes *= 1 if letter in "YX" or (letter == "C" and source.rgb) else n
        colour = " colour" if source.rgb else ""
        size = f"{lengths['Y']} x {lengths['X']} pixels"
        self.readout.setText(f"{planes}{colour} plane{'s' if planes > 1 else ''} of {size}")

    def _lay_out(self) -> None:
        self.setLayout(self.rows)
        narrow(self.layers, self.shapes, self.level, self.region)
        self._axes_row.setSpacing(4)
        axes_box = QWidget()
        axes_box.setLayout(self._axes_row)
        self._axes_row.setContentsMargins(0, 0, 0, 0)
        for label, field in (
            ("Image", self.layers),
            ("Level", self.level),
            ("Axes", axes_box),
            ("Run on", self.region),
            ("Shapes", self.shapes),
            ("", self.readout),
        ):
            self.rows.addRow(label, field)
        axes_box.setToolTip("What each axis of the layer is: time, depth, channel, height, width.")
        self.region.setToolTip(
            "Try the settings on a part first; it is fitted much faster than the whole."
        )

    def _on_layer(self) -> None:
        layer = self.layers.layer
        for combo in self.axes:
            self._axes_row.removeWidget(combo)
            combo.deleteLater()
        self.axes = []
        self.level.blockSignals(True)
        self.level.clear()
        if layer is not None:
            self._fill_axes(layer)
            for i, data in enumerate(levels(layer)):
                self.level.addItem(f"{i}: " + " x ".join(str(n) for n in data.shape[: layer.ndim]))
            self.level.setCurrentIndex(good_level(layer))
        self.level.blockSignals(False)
        self._on_change()

    def _fill_axes(self, layer: Any) -> None:
        try:
            letters = axes_of(layer)
        except ValueError:  # said by `source`
            return
        for letter, n in zip(letters, layer.data.shape, strict=False):
            combo = QComboBox()
            narrow(combo)
            combo.setStyleSheet(TIGHT)
            combo.addItems(list(LETTERS))
            combo.setCurrentText(letter)
            combo.setToolTip(f"This axis has {n} entries.")
            combo.currentIndexChanged.connect(self._on_change)
            self.axes.append(combo)
            self._axes_row.addWidget(combo)

    def _on_change(self, index: int = 0) -> None:
        show_row(self.rows, self.level, self.level.count() > 1)
        show_row(self.rows, self.shapes, self.region.currentText() == regions.RECTANGLE)
        self.changed.emit()

    def _on_move(self, event: Any = None) -> None:
        if self.region.currentText() in (regions.PLANE, regions.VIEW):
            self.changed.emit()

    def _on_camera(self, event: Any = None) -> None:
        if self.region.currentText() == regions.VIEW:
            self._drawn.start()

    def _on_view(self) -> None:
        self.changed.emit()
