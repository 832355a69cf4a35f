"""The middle part of the dock: which method, preset and settings, and on which device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QVBoxLayout, QWidget

from napari_dip.methods.registry import METHODS, Method, TrainedMethod
from napari_dip.settings import Settings
from napari_dip.widgets.parts.device_combo import DeviceCombo
from napari_dip.widgets.parts.layouts import Rows, align, narrow, show_row
from napari_dip.widgets.parts.settings_form import Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtWidgets import QLabel


class Choices(QWidget):
    """Asks how to denoise; `settings` gives the answer.

    Parameters
    ----------
    device : str
        The device offered first.
    neighbours : list of QLabel
        Labels elsewhere in the dock that stand in the same column.
    methods : mapping
        What there is to choose from.
    label : str
        What it is called.
    """

    changed = Signal()

    def __init__(
        self,
        device: str,
        neighbours: list[QLabel],
        methods: Mapping[str, Method] | Mapping[str, TrainedMethod] = METHODS,
        label: str = "Method",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._methods = methods
        self.maps = self.keeps = (
            True  # whether there is a layer of uncertainty, and one of iterates
        )
        self._neighbours = neighbours
        self.method, self.preset, self.device = QComboBox(), QComboBox(), DeviceCombo(device)
        narrow(self.preset, self.device)
        self.keep = QCheckBox("Keep iterates")
        self.keep.setToolTip(
            "A slider then shows how the fit went, and any iterate can be made the answer."
        )
        self.uncertainty = QCheckBox("Uncertainty layer")
        self.uncertainty.setToolTip(
            "A second layer, hidden at first, says for every pixel how far off the answer may be."
        )
        for key, record in methods.items():
            self.method.addItem(record.settings.title, key)
            self.method.setItemData(
                self.method.count() - 1, record.settings.summary, Qt.ItemDataRole.ToolTipRole
            )
        self._rows = Rows()
        for name, field in (("Device", self.device), (label, self.method), ("Preset", self.preset)):
            self._rows.addRow(name, field)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self._layout.addLayout(self._rows)
        self.form = self._new_form()
        self._layout.addWidget(self.form)
        self._layout.addWidget(self.keep)
        self._layout.addWidget(self.uncertainty)
        self.method.currentIndexChanged.connect(self._on_method)
        self.preset.currentIndexChanged.connect(self._on_preset)
        self.uncertainty.toggled.connect(self.changed)

    @property
    def settings_class(self) -> type[Settings]:
        """The method chosen."""
        return self._methods[self.method.currentData()].settings

    def settings(self) -> Settings:
        """Return the settings chosen; a ValueError says in a sentence what is wrong with them."""
        how = self.form.settings()
        return how.with_uncertainty() if self.uncertainty.isChecked() else how

    def stand_with(self, labels: list[QLabel]) -> None:
        """Put more labels elsewhere in the dock into the same column."""
        self._neighbours = [*self._neighbours, *labels]
        self.align()

    def align(self) -> None:
        """Make the column of labels as wide as the longest asks for; to be called again once fonts are known."""
        align([*self._neighbours, *self._rows.labels, *self.form.labels])

    def show_method(self, show: bool) -> None:
        """Show or hide all but the device: a trained model has its method and settings in its file."""
        for field in (self.method, self.preset):
            show_row(self._rows, field, show)
        self.form.setVisible(show)
        self.keep.setVisible(show and self.keeps)
        self.uncertainty.setVisible(show and self.maps)

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show what a file of settings says; what it does not name is as at first, but for the device.

        Parameters
        ----------
        values : mapping
            As `napari_dip.batch.config.read_config` returns it.
        """
        self.method.setCurrentIndex(max(self.method.findData(values.get("method")), 0))
        self.preset.setCurrentIndex(max(self.preset.findText(values.get("preset", "")), 0))
        own = {
            key: value for key, value in values.items() if key in self.settings_class.model_fields
        }
        self.form.show_preset(self.preset.currentText(), own)
        self.uncertainty.setChecked(bool(values.get("std", False)))
        if "device" in values:
            self.device.choose(values["device"])

    def insert(self, box: QWidget, labels: list[QLabel]) -> None:
        """Put a box between the choice of method and its settings, its labels in the same column."""
        self._layout.insertWidget(1, box)
        self.stand_with(labels)

    def _new_form(self) -> Form:
        self.preset.blockSignals(True)
        self.preset.clear()
        self.preset.addItems(list(self.settings_class.presets))
        self.preset.blockSignals(False)
        form = Form(self.settings_class)
        form.changed.connect(self.changed)
        align([*self._neighbours, *self._rows.labels, *form.labels])
        return form

    def _on_method(self, index: int) -> None:
        old, self.form = self.form, self._new_form()
        self._layout.replaceWidget(old, self.form)
        old.hide()  # it may live on until Qt has time
        old.deleteLater()
        self.changed.emit()

    def _on_preset(self, index: int) -> None:
        self.form.show_preset(self.preset.currentText())
