"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault(
        "QT_QPA_PLATFORM", "offscreen"
    )  # else Qt aborts; tests of a real window then skip
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the files of tests share the cores among them


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real images, which is not part of this repository."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("NAPARI_DIP_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"No real images at {folder}; set NAPARI_DIP_DATA to where they are.")
    return folder


@pytest.fixture(autouse=True)
def signals_are_heard() -> Iterator[None]:
    """Hear what a run in the background or under nohup ignores, for the tests that raise it."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
    ignored = [one for one in numbers if signal.getsignal(one) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
