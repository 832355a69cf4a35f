"""The middle part of a dock: which method, preset and settings, and on which device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QWidget
from superqt.utils import signals_blocked

from napari_dip.methods.method import Method, TrainedMethod
from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings
from napari_dip.widgets.parts.layouts import Rows, align, check_box, column, combo_box
from napari_dip.widgets.parts.settings_form import SettingsForm


def find_devices() -> list[tuple[str, str]]:
    """List the accelerators torch can use, as (name, what it is); loads torch."""
    import torch

    found = [(f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(("mps", "Apple GPU"))
    return found


class DeviceCombo(QComboBox):
    """Offers "auto", "cpu" and `preferred`, and the accelerators after it was first opened."""

    found = Signal()

    def __init__(self, preferred: str = "auto") -> None:
        super().__init__()
        self.addItem("auto (GPU if any)", "auto")
        self.addItem("cpu", "cpu")
        self.choose(preferred)
        self.setToolTip("Where the fit runs. Open the list to look for GPUs.")
        self._worker: Any = None

    @property
    def device(self) -> str:
        """The device chosen."""
        return str(self.currentData())

    def choose(self, device: str) -> None:
        """Choose a device by name, whether or not it was looked for."""
        if self.findData(device) < 0:
            self.addItem(device, device)
        self.setCurrentIndex(self.findData(device))

    def showPopup(self) -> None:
        """Look for devices the first time the list is opened."""
        if self._worker is None:
            from napari.qt.threading import create_worker

            self._worker = create_worker(
                find_devices, _connect={"returned": self._add_devices}, _ignore_errors=True
            )
        super().showPopup()

    def _add_devices(self, devices: list[tuple[str, str]]) -> None:
        for name, what in devices:
            if self.findData(name) < 0:
                self.addItem(name, name)
            self.setItemText(self.findData(name), f"{name} ({what})")
        self.found.emit()


class MethodBox(QWidget):
    """Asks how to denoise; `uncertainty` and `iterates` offer a layer of each."""

    changed = Signal()

    def __init__(
        self,
        device: str,
        methods: Mapping[str, Method] | Mapping[str, TrainedMethod] = METHODS,
        label: str = "Method",
        *,
        uncertainty: bool = True,
        iterates: bool = True,
    ) -> None:
        super().__init__()
        self._methods = methods
        self._offers = {"uncertainty": uncertainty, "iterates": iterates}
        self._other_labels: list[QLabel] = []
        classes = [record.settings for record in methods.values()]
        self.method = combo_box((how.title, how.method, how.summary) for how in classes)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.preset, self.device = QComboBox(), DeviceCombo(device)
        tip = "A slider then shows how the fit went, and any iterate can be made the answer."
        self.keep = check_box("Keep iterates", tip)
        tip = "A second layer, hidden at first, says for every pixel how far off the answer may be."
        self.uncertainty = check_box("Uncertainty layer", tip)
        self._rows = Rows()
        self._rows.add("Device", self.device)
        self._rows.add(label, self.method, shrink=False)
        self._rows.addRow("", self.summary)
        self._rows.add("Preset", self.preset)
        self.form = self._make_form()
        self._layout = column(self.form, self.keep, self.uncertainty, parent=self)
        self._layout.insertLayout(0, self._rows)
        self.show_method(True)
        self.method.currentIndexChanged.connect(self._on_method)
        self.preset.currentTextChanged.connect(lambda name: self.form.show_preset(name))
        self.uncertainty.toggled.connect(self.changed)

    @property
    def settings_class(self) -> type[Settings]:
        """The method chosen."""
        return self._methods[self.method.currentData()].settings

    def settings(self) -> Settings:
        """Return the settings chosen; a ValueError says in a sentence what is wrong with them."""
        how = self.form.settings()
        return how.with_uncertainty() if self.uncertainty.isChecked() else how

    def align_with(self, labels: list[QLabel]) -> None:
        """Put labels elsewhere in the dock into the same column."""
        self._other_labels += labels
        self.align()

    def align(self) -> None:
        """Fit the column of labels to the longest, in the font that there is now."""
        align([*self._other_labels, *self._rows.labels, *self.form.labels])

    def show_method(self, visible: bool) -> None:
        """Show or hide all but the device: a trained model has its method in its file."""
        self._shows_method = visible
        for field in (self.method, self.preset):
            self._rows.set_visible(field, visible)
        self._rows.set_visible(self.summary, visible and bool(self.summary.text()))
        self.form.setVisible(visible)
        self.keep.setVisible(visible and self._offers["iterates"])
        self.uncertainty.setVisible(visible and self._offers["uncertainty"])

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show the values of a file of settings, as `napari_dip.batch.config.read_config` reads it.

        What it does not name is as at first, but for the device.
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
        """Put a box between the choice of method and its settings, aligned with them."""
        self._layout.insertWidget(1, box)
        self.align_with(labels)

    def _make_form(self) -> SettingsForm:
        with signals_blocked(self.preset):
            self.preset.clear()
            self.preset.addItems(list(self.settings_class.presets))
        self.summary.setText(self.settings_class.summary)
        form = SettingsForm(self.settings_class)
        form.changed.connect(self.changed)
        return form

    def _on_method(self) -> None:
        old, self.form = self.form, self._make_form()
        self._layout.replaceWidget(old, self.form)
        old.hide()  # it may live on until Qt has time
        old.deleteLater()
        self.show_method(self._shows_method)
        self.align()
        self.changed.emit()
