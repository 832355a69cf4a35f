"""The upper part of a dock: which layer, what its axes mean, which level and what part of it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QWidget
from superqt.utils import qdebounced, signals_blocked

from napari_dip.images.image import LETTERS, check_axes
from napari_dip.images.part import describe_part
from napari_dip.widgets.layers.region import HELP, PLANE, RECTANGLE, VIEW, region
from napari_dip.widgets.layers.source import Source, default_level, layer_axes, levels, make_source
from napari_dip.widgets.parts.layouts import Rows, check_box, combo_box, row

DRAWN_AFTER = 150  # milliseconds after the last move of the camera
# Five in a row: napari's own padding and arrow take 44 pixels, which leave no room for the letter.
TIGHT = "QComboBox { padding: 3px 1px 3px 4px; } QComboBox::drop-down { width: 12px; } "
TIGHT += "QComboBox::down-arrow { width: 9px; height: 9px; }"


class LayerCombo(QComboBox):
    """A combo box of the viewer's layers of one kind; follows the layer list and keeps its choice.

    `kind` is the name of their class, such as "Image". Where there is another layer than that
    chosen in the combo box `beside`, this one chooses it.
    """

    chosen = Signal()

    def __init__(self, viewer: Any, kind: str, *, beside: LayerCombo | None = None) -> None:
        super().__init__()
        import napari.layers

        self._viewer, self._kind, self._beside = viewer, getattr(napari.layers, kind), beside
        self._layers: list[Any] = []
        if beside is not None:
            beside.chosen.connect(self.refill)
        for event in self._events():
            event.connect(self.refill)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit())
        self.refill()

    def refill(self, event: Any = None) -> None:
        """List the layers again; a new choice is made only where the old one is gone."""
        before = self.layer
        self._layers = [x for x in self._viewer.layers if isinstance(x, self._kind)]
        active = self._viewer.layers.selection.active
        wanted = [layer for layer in (before, active) if layer in self._layers]
        if self._beside is not None:  # the first: results come after what they were made from
            wanted = [layer for layer in (*wanted, *self._layers) if layer != self._beside.layer]
        with signals_blocked(self):
            self.clear()
            self.addItems([layer.name for layer in self._layers])
            self.setCurrentIndex(self._layers.index(wanted[0]) if wanted else len(self._layers) - 1)
        if before != self.layer:
            self.chosen.emit()

    @property
    def layer(self) -> Any:
        """The layer chosen, or None."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def disconnect_viewer(self) -> None:
        """Stop following the layer list."""
        for event in self._events():
            event.disconnect(self.refill)

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed


class InputBox(QWidget):
    """Asks what to run on."""

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        self.layers, self.shapes = LayerCombo(viewer, "Image"), LayerCombo(viewer, "Shapes")
        self.level = QComboBox()
        self.region = combo_box((name, name, tip) for name, tip in HELP.items())
        self.region.setToolTip(
            "Try the settings on a part first; it is fitted much faster than the whole."
        )
        self.axes: list[QComboBox] = []
        axes_box = QWidget()
        axes_box.setToolTip("What each axis of the layer is: time, depth, channel, height, width.")
        self._axes_row = row(parent=axes_box)
        self.readout = QLabel()
        tip = "Show the plane at work, until you move a slider yourself."
        self.follow = check_box("Follow the fit", tip, checked=True)
        self.follow.hide()
        self.rows = Rows(self)
        self.rows.add("Image", self.layers)
        self.rows.add("Level", self.level)
        self.rows.add("Axes", axes_box, shrink=False)
        self.rows.add("Run on", self.region)
        self.rows.add("Shapes", self.shapes)
        self.rows.add("", self.readout, shrink=False)
        self.rows.add("", self.follow, shrink=False)
        self.layers.chosen.connect(self._on_layer)
        self.shapes.chosen.connect(self._on_change)
        self.level.currentIndexChanged.connect(self._on_change)
        self.region.currentIndexChanged.connect(self._on_change)
        viewer.dims.events.point.connect(self._on_slider)
        # `scene` since napari 0.9
        self._camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        # What is in view is known only after napari has drawn it.
        self._on_drawn = qdebounced(self.changed.emit, timeout=DRAWN_AFTER, parent=self)
        self._camera.events.connect(self._on_camera)
        self._on_layer()

    def source(self) -> Source:
        """Return what is chosen.

        Raises
        ------
        ValueError
            If there is no layer, the axes cannot be, or the region is empty, in a sentence.
        """
        layer, level = self.layers.layer, self.chosen_level
        if layer is None:
            raise ValueError(
                "There is no image layer: open an image, or take one from File > Open Sample."
            )
        layer_axes(layer)  # refuses too many axes
        axes = "".join(combo.currentText() for combo in self.axes)
        check_axes(axes + ("C" if layer.rgb else ""), tuple(levels(layer)[level].shape))
        kind = self.region.currentText()
        crop = region(kind, layer, axes, level, self.viewer, self.shapes.layer)
        return make_source(layer, axes, crop, level)

    @property
    def chosen_level(self) -> int:
        """The resolution level, 0 being the finest."""
        return max(self.level.currentIndex(), 0)

    def disconnect_viewer(self) -> None:
        """Stop following the viewer's sliders and camera."""
        self.viewer.dims.events.point.disconnect(self._on_slider)
        self._camera.events.disconnect(self._on_camera)
        self._on_drawn.cancel()

    def describe(self, source: Source) -> None:
        """Show how much will be run."""
        lengths = dict(zip(source.axes, source.shape, strict=True))
        planes = source.planes
        colour = " colour" if source.rgb else ""
        size = f"{lengths['Y']} x {lengths['X']} pixels"
        part = describe_part(source.part)
        self.readout.setText(
            f"{planes}{colour} plane{'s' if planes > 1 else ''} of {size}"
            + (f"\nof its file: {part}" if part else "")
        )

    def _on_layer(self) -> None:
        layer = self.layers.layer
        for combo in self.axes:
            self._axes_row.removeWidget(combo)
            combo.deleteLater()
        self.axes = []
        with signals_blocked(self.level):
            self.level.clear()
            if layer is not None:
                self._fill_axes(layer)
                for i, data in enumerate(levels(layer)):
                    sizes = " x ".join(str(n) for n in data.shape[: layer.ndim])
                    self.level.addItem(f"{i}: {sizes}")
                self.level.setCurrentIndex(default_level(layer))
        self._on_change()

    def _fill_axes(self, layer: Any) -> None:
        try:
            letters = layer_axes(layer)
        except ValueError:  # `source` says it
            return
        for letter, n in zip(letters, layer.data.shape, strict=False):
            combo = combo_box((letter, letter, "") for letter in LETTERS)
            combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            combo.setStyleSheet(TIGHT)
            combo.setCurrentText(letter)
            combo.setToolTip(f"This axis has {n} entries.")
            combo.currentIndexChanged.connect(self._on_change)
            self.axes.append(combo)
            self._axes_row.addWidget(combo)

    def _on_change(self, _: int = 0) -> None:
        self.rows.set_visible(self.level, self.level.count() > 1)
        self.rows.set_visible(self.shapes, self.region.currentText() == RECTANGLE)
        self.changed.emit()

    def _on_slider(self, event: Any = None) -> None:
        if self.region.currentText() in (PLANE, VIEW):
            self.changed.emit()

    def _on_camera(self, event: Any = None) -> None:
        if self.region.currentText() == VIEW:
            self._on_drawn()
