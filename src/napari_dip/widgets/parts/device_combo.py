"""The device drop-down: torch takes seconds to load, so it is asked when the list is opened."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox


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
