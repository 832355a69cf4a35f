"""How to denoise: which method, preset and settings, and on which device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget
from superqt.utils import signals_blocked

from napari_dip.methods.method import Method, TrainedMethod
from napari_dip.methods.registry import METHODS
from napari_dip.settings import Settings
from napari_dip.widgets.parts.layouts import Rows, check_box, column, combo_box
from napari_dip.widgets.parts.settings_form import SettingsForm

OWN_MODEL = "My model: trained before, quickest"


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
        self.addItem("GPU if there is one", "auto")
        self.addItem("CPU", "cpu")
        self.choose(preferred)
        self.setToolTip("Where it is computed. Open the list to look for GPUs.")
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
    """Asks how to denoise: the method in `head`, all else in the box itself.

    `uncertainty` and `iterates` offer a layer and a slider of each; with `own_model` the last
    method is a trained model, whose settings are in its file.
    """

    changed = Signal()

    def __init__(
        self,
        device: str,
        methods: Mapping[str, Method] | Mapping[str, TrainedMethod] = METHODS,
        label: str = "Method",
        *,
        uncertainty: bool = True,
        iterates: bool = True,
        own_model: bool = False,
    ) -> None:
        super().__init__()
        self._methods = methods
        self._offers = {"uncertainty": uncertainty, "iterates": iterates}
        self._shows_method, self._hidden_knobs = True, set[str]()
        classes = [record.settings for record in methods.values()]
        entries = [(in_a_line(how), how.method, how.summary) for how in classes]
        if own_model:
            entries.append((OWN_MODEL, "", "A model that was trained, in the tab Train or before."))
        self.method = combo_box(entries)
        self.method.setToolTip(f"{label}: each is explained where the mouse rests on it.")
        self.preset, self.device = QComboBox(), DeviceCombo(device)
        self.preset.setToolTip("Several settings at once.")
        tip = "A slider then goes through earlier and later answers, plane by plane."
        self.keep = check_box("Keep answers of other steps", tip)
        tip = "A second layer, hidden at first, says for every pixel how far off the answer may be."
        self.uncertainty = check_box("Uncertainty layer", tip)
        self.head = QWidget()
        self.head_rows, self._rows = Rows(self.head), Rows()
        self.head_rows.add(label, self.method)
        self._rows.add("Device", self.device)
        self._rows.add("Preset", self.preset)
        self.form = self._make_form()
        self._layout = column(self.keep, self.uncertainty, self.form, parent=self)
        self._layout.insertLayout(0, self._rows)
        self.show_method(True)
        self.method.currentIndexChanged.connect(self._on_method)
        self.preset.currentTextChanged.connect(lambda name: self.form.show_preset(name))
        self.uncertainty.toggled.connect(self.changed)

    @property
    def settings_class(self) -> type[Settings]:
        """The method chosen; the first where it is a trained model."""
        chosen = self.method.currentData()
        return self._methods[chosen or next(iter(self._methods))].settings

    @property
    def is_own_model(self) -> bool:
        """Whether the method chosen is a trained model."""
        return self.method.currentText() == OWN_MODEL

    def choose_model(self, wanted: bool) -> None:
        """Choose the trained model, or the first method where it is chosen."""
        if wanted != self.is_own_model:
            self.method.setCurrentIndex(self.method.count() - 1 if wanted else 0)

    def settings(self) -> Settings:
        """Return the settings chosen; a ValueError says in a sentence what is wrong with them."""
        how = self.form.settings()
        asked = self.uncertainty.isChecked() and not self.uncertainty.isHidden()
        return how.with_uncertainty() if asked else how

    def show_method(self, visible: bool) -> None:
        """Show or hide all but the device: a trained model has its method in its file."""
        self._shows_method = visible
        self.head_rows.set_visible(self.method, visible or self.is_own_model)
        self._rows.set_visible(self.preset, visible and self.preset.count() > 1)
        self.form.setVisible(visible)
        self.keep.setVisible(visible and self._offers["iterates"])
        has_map = "uncertainty" in self.settings_class.model_fields
        self.uncertainty.setVisible(visible and self._offers["uncertainty"] and has_map)

    def hide_knobs(self, names: set[str]) -> None:
        """Show all settings of the method but these, which do nothing for what is chosen."""
        if names != self._hidden_knobs:
            self._hidden_knobs = names
            self.form.hide_knobs(names)

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

    def _make_form(self) -> SettingsForm:
        with signals_blocked(self.preset):
            self.preset.clear()
            self.preset.addItems(list(self.settings_class.presets))
        form = SettingsForm(self.settings_class)
        form.hide_knobs(self._hidden_knobs)
        form.changed.connect(self.changed)
        return form

    def _on_method(self) -> None:
        old, self.form = self.form, self._make_form()
        self._layout.replaceWidget(old, self.form)
        old.hide()  # it may live on until Qt has time
        old.deleteLater()
        self.show_method(self._shows_method)
        self.changed.emit()


def in_a_line(how: type[Settings]) -> str:
    """Return a method's name and the first words of its summary: ``Blind spot: quick, ...``."""
    if not how.summary:
        return how.title
    words = how.summary.partition(":")[0].rstrip(".")
    return f"{how.title}: {words[0].lower()}{words[1:]}"
