"""Checks of a call that can be made before any work starts: the place, the device, the axes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def check_writable(folder: Path) -> None:
    """Refuse a place where no file can be made, by its nearest folder that exists.

    Raises
    ------
    UsageError
        When that is no folder, or must not be written.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"{folder} can't be made: {there} is a file.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"No file can be written in {there}: choose another OUT.")


def check_device(device: str) -> None:
    """Refuse a device that is no device's name; whether it is there is known once torch is loaded.

    Raises
    ------
    UsageError
        With the names that are known.
    """
    if not DEVICES.fullmatch(device):
        raise UsageError(
            f"--device is {device!r}; it must be auto, cpu, mps, or cuda:0 (or another number)."
        )


def check_found(device: str) -> None:
    """Refuse a device that this machine lacks, before a file is touched; this loads torch.

    Raises
    ------
    UsageError
        With the reason.
    """
    if device == "auto":  # there always is one
        return
    from napari_dip.engine.device import pick_device

    try:
        pick_device(device)
    except ValueError as error:
        raise UsageError(str(error)) from error


def check_axes(axes: str | None) -> None:
    """Refuse letters that are no axes of any image; whether they fit one is known once it is read.

    Raises
    ------
    UsageError
        With the letters that there are.
    """
    letters = (axes or "YX").upper()
    if (
        set(letters) - set("TZCYX")
        or len(set(letters)) < len(letters)
        or not {"Y", "X"} <= set(letters)
    ):
        raise UsageError(
            f"--axes is {axes!r}; give each axis one letter of TZCYX, each letter once, Y and X among them."
        )
