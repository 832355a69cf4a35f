"""The head of a dock: which layer, and what part of it; its axes and level are further down."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget
from superqt import QElidingLabel, QLabeledRangeSlider
from superqt.utils import qdebounced, signals_blocked

from napari_dip.images.image import LETTERS, check_axes
from napari_dip.images.part import describe_part
from napari_dip.widgets.layers.region import BOX, HELP, PLANE, RECTANGLE, VIEW, WHOLE, region
from napari_dip.widgets.layers.source import (
    Source,
    default_level,
    is_raw,
    layer_axes,
    levels,
    make_source,
)
from napari_dip.widgets.parts.layouts import Rows, check_box, combo_box, row

DRAWN_AFTER = 150  # milliseconds after the last move of the camera
AXIS_NAMES = {"T": "Time points", "Z": "Z planes"}
# Five in a row: napari's own padding and arrow take 44 pixels, which leave no room for the letter.
TIGHT = "QComboBox { padding: 3px 1px 3px 4px; } QComboBox::drop-down { width: 12px; } "
TIGHT += "QComboBox::down-arrow { width: 9px; height: 9px; }"


class LayerCombo(QComboBox):
    """A combo box of the viewer's layers of one kind; follows the layer list.

    `kind` is the name of their class, such as "Image". Where there is another layer than that
    chosen in the combo box `beside`, this one chooses it. One that `follows` chooses the active
    layer whenever that is a raw image; no other is taken unasked.
    """

    chosen = Signal()

    def __init__(
        self, viewer: Any, kind: str, *, beside: LayerCombo | None = None, follows: bool = False
    ) -> None:
        super().__init__()
        import napari.layers

        self._viewer, self._kind, self._beside = viewer, getattr(napari.layers, kind), beside
        self._follows = follows
        self._layers: list[Any] = []
        self.setPlaceholderText("none yet")
        if beside is not None:
            beside.chosen.connect(self.refill)
        for event in self._events():
            event.connect(self.refill)
        if follows:
            viewer.layers.selection.events.active.connect(self._on_active)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit())
        self.refill()

    def refill(self, event: Any = None) -> None:
        """List the layers again; a new choice is made only where the old one is gone."""
        before = self.layer
        self._layers = [x for x in self._viewer.layers if isinstance(x, self._kind)]
        wanted = self._wanted(before)
        with signals_blocked(self):
            self.clear()
            self.addItems([layer.name for layer in self._layers])
            self.setCurrentIndex(self._layers.index(wanted[0]) if wanted else -1)
        if before != self.layer:
            self.chosen.emit()

    def _wanted(self, before: Any) -> list[Any]:
        """List the layers that may be chosen, the best one first."""
        active, newest = self._viewer.layers.selection.active, self._layers[::-1]
        wanted = [layer for layer in (before, active) if layer in self._layers]
        if self._follows:
            return wanted[: before in self._layers] + [
                layer for layer in (*wanted, *newest) if is_raw(layer)
            ]
        if self._beside is not None:  # the first: results come after what they were made from
            wanted = [layer for layer in (*wanted, *self._layers) if layer != self._beside.layer]
        return wanted or newest

    def _on_active(self, event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        if self.isEnabled() and active in self._layers and is_raw(active):
            self.setCurrentIndex(self._layers.index(active))

    @property
    def layer(self) -> Any:
        """The layer chosen, or None."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    @property
    def others_chosen(self) -> list[Any]:
        """The other raw layers of this kind that are selected in napari's layer list with it."""
        chosen = self._viewer.layers.selection
        if self.layer not in chosen:
            return []
        return [x for x in self._layers if x in chosen and x != self.layer and is_raw(x)]

    def disconnect_viewer(self) -> None:
        """Stop following the layer list."""
        for event in self._events():
            event.disconnect(self.refill)
        if self._follows:
            self._viewer.layers.selection.events.active.disconnect(self._on_active)

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed


class InputBox(QWidget):
    """Asks what to run on; `more` asks for what is rarely changed."""

    changed = Signal()
    region_chosen = Signal()  # before `changed`

    def __init__(self, viewer: Any, where_label: str = "Run on") -> None:
        super().__init__()
        self.viewer = viewer
        self.layers = LayerCombo(viewer, "Image", follows=True)
        self.layers.setToolTip("The image to work on: the layer that is chosen in the layer list.")
        self.shapes = LayerCombo(viewer, "Shapes")
        self.shapes.setToolTip("The Shapes layer whose rectangle says where.")
        self.level = QComboBox()
        self.level.setToolTip("Of an image with several resolutions: 0 is the finest.")
        self.region = combo_box((name, name, tip) for name, tip in HELP.items())
        self.region.setToolTip(
            "Try the settings on a part first; it is done much faster than the whole."
        )
        where = QWidget()
        where.setToolTip(self.region.toolTip())
        row(self.region, self.shapes, parent=where)
        for combo in (self.region, self.shapes):
            combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.axes: list[QComboBox] = []
        self.ranges: dict[str, QLabeledRangeSlider] = {}
        self._axes_box, self.more = QWidget(), QWidget()
        self._axes_box.setToolTip("What each axis is: time, depth, channel, height, width.")
        self._axes_row = row(parent=self._axes_box)
        self.readout, self._size = QElidingLabel(), ""
        self.readout.setElideMode(Qt.TextElideMode.ElideRight)
        tip = "Show the plane at work, until you move a slider yourself."
        self.follow = check_box("Show the plane at work", tip, checked=True)
        self.follow.hide()
        self.rows, self.more_rows = Rows(self), Rows(self.more)
        self.rows.add("Image", self.layers)
        self.rows.add(where_label, where)
        self.rows.addRow("", self.readout)
        self.more_rows.add("Level", self.level)
        self.more_rows.add("Axes", self._axes_box, shrink=False)
        self.more_rows.add("", self.follow, shrink=False)
        self.layers.chosen.connect(self._on_layer)
        self.shapes.chosen.connect(self._on_change)
        self.level.currentIndexChanged.connect(self._on_change)
        self.region.currentIndexChanged.connect(lambda _: self.region_chosen.emit())
        self.region.currentIndexChanged.connect(self._on_change)
        viewer.dims.events.point.connect(self._on_slider)
        viewer.layers.selection.events.changed.connect(self._on_selection)
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
                "There is no image layer to denoise: open an image, or take one from "
                "File > Open Sample."
            )
        layer_axes(layer)  # refuses too many axes
        axes = "".join(combo.currentText() for combo in self.axes)
        return self._source_of(layer, axes, level)

    def other_sources(self) -> list[Source]:
        """Return the same part of the other layers that are selected in the layer list."""
        return [
            self._source_of(layer, layer_axes(layer), default_level(layer))
            for layer in self.layers.others_chosen
        ]

    def _source_of(self, layer: Any, axes: str, level: int) -> Source:
        check_axes(axes + ("C" if layer.rgb else ""), tuple(levels(layer)[level].shape))
        kind = self.region.currentText()
        crop = list(region(kind, layer, axes, level, self.viewer, self.shapes.layer))
        for axis, letter in enumerate(axes):
            if letter in self.ranges and kind in (WHOLE, RECTANGLE):
                first, last = self.ranges[letter].value()
                start, stop, _ = crop[axis].indices(levels(layer)[level].shape[axis])
                crop[axis] = slice(min(max(start, first), stop - 1), min(stop, last + 1))
        return make_source(layer, axes, tuple(crop), level)

    @property
    def chosen_level(self) -> int:
        """The resolution level, 0 being the finest."""
        return max(self.level.currentIndex(), 0)

    def disconnect_viewer(self) -> None:
        """Stop following the viewer's layers, sliders and camera."""
        self.viewer.dims.events.point.disconnect(self._on_slider)
        self.viewer.layers.selection.events.changed.disconnect(self._on_selection)
        self._camera.events.disconnect(self._on_camera)
        self._on_drawn.cancel()

    def lock(self, locked: bool, name: str = "") -> None:
        """Let nothing be changed while a run is at work on the layer of that name, and say so."""
        for part in (self.layers, self.region, self.shapes, self.more):
            part.setEnabled(not locked)
        if locked:
            self.readout.setText(f"Running on {name}: {self._size}")
            self.readout.setToolTip(self.readout.text())

    def describe(self, source: Source) -> None:
        """Show how much will be run."""
        lengths = dict(zip(source.axes, source.shape, strict=True))
        planes = source.planes
        colour = " colour" if source.rgb else ""
        text = f"{planes}{colour} plane{'s' if planes > 1 else ''} of "
        text += f"{lengths['Y']} x {lengths['X']} pixels"
        more = len(self.layers.others_chosen)
        self._size = text
        text += f", and {more} more chosen layer{'s' if more > 1 else ''}" if more else ""
        part = describe_part(source.part)
        self.readout.setText(text + (f"; of its file: {part}" if part else ""))
        self.readout.setToolTip(self.readout.text())

    def _on_layer(self) -> None:
        layer = self.layers.layer
        for combo in self.axes:
            self._axes_row.removeWidget(combo)
            combo.deleteLater()
        for slider in self.ranges.values():
            self.more_rows.removeRow(slider)
        self.axes, self.ranges = [], {}
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
            if letter in AXIS_NAMES and n > 1:
                self._add_range(letter, n)

    def _add_range(self, letter: str, n: int) -> None:
        slider = self.ranges[letter] = QLabeledRangeSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, n - 1)
        slider.setValue((0, n - 1))
        slider.setToolTip("The first and the last that are worked on.")
        slider.valueChanged.connect(self._on_change)
        self.more_rows.add(AXIS_NAMES[letter], slider)

    def _on_change(self, _: Any = 0) -> None:
        kind = self.region.currentText()
        self.more_rows.set_visible(self.level, self.level.count() > 1)
        for slider in self.ranges.values():
            self.more_rows.set_visible(slider, kind in (WHOLE, RECTANGLE))
        self.shapes.setVisible(kind == RECTANGLE)
        self.changed.emit()

    def _on_selection(self, event: Any = None) -> None:
        if self.layers.isEnabled():
            self.changed.emit()

    def _on_slider(self, event: Any = None) -> None:
        if self.region.currentText() in (PLANE, VIEW, BOX):
            self.changed.emit()

    def _on_camera(self, event: Any = None) -> None:
        if self.region.currentText() == VIEW:
            self._on_drawn()
