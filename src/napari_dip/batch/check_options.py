"""Checks of a call before any work starts: the output folder, the device, the axes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def check_writable(folder: Path) -> None:
    """Refuse a folder where no file can be made, by its nearest parent that exists."""
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise UsageError(f"{folder} can't be made: {parent} is a file.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"No file can be written in {parent}", "other output")


def check_device(device: str) -> None:
    """Refuse what is no name of a device; whether it exists is known once torch is loaded."""
    if not DEVICES.fullmatch(device):
        raise UsageError(
            f"is {device!r}; it must be auto, cpu, mps, or cuda:0 (or another number).",
            option="device",
        )


def check_device_exists(device: str) -> None:
    """Refuse a device that this machine lacks, before a file is touched; this loads torch."""
    if device == "auto":  # there always is one
        return
    from napari_dip.engine.device import pick_device

    try:
        pick_device(device)
    except ValueError as error:
        raise UsageError(str(error)) from error


def check_axes(axes: str | None) -> None:
    """Refuse letters that are no axes of any image; whether they fit this one is checked later."""
    letters = list((axes or "YX").upper())
    unique = set(letters)
    if len(unique) < len(letters) or not {"Y", "X"} <= unique <= set("TZCYX"):
        raise UsageError(
            f"is {axes!r}; give each axis one letter of TZCYX, each letter once, Y and X among "
            "them.",
            option="axes",
        )
