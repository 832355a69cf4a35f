"""The device drop-down. torch takes seconds to load, so it is asked only when the list is first opened."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget


def find_devices() -> list[tuple[str, str]]:
    """List the accelerators torch can use, as (name, what it is); loads torch."""
    import torch

    found = [(f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(("mps", "Apple GPU"))
    return found


class DeviceCombo(QComboBox):
    """Offers "auto" and "cpu" at once, and the accelerators after it was first opened.

    Parameters
    ----------
    preferred : str
        The device chosen at first.
    """

    found = Signal()

    def __init__(self, preferred: str = "auto", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        for name, text in (("auto", "auto (GPU if any)"), ("cpu", "cpu")):
            self.addItem(text, name)
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
                find_devices, _connect={"returned": self._add}, _ignore_errors=True
            )
        super().showPopup()

    def _add(self, devices: list[tuple[str, str]]) -> None:
        for name, what in devices:
            at = self.findData(name)
            if at < 0:
                self.addItem(f"{name} ({what})", name)
            else:
                self.setItemText(at, f"{name} ({what})")
        self.found.emit()
