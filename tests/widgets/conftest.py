"""A dock on a viewer without a window, and an engine that answers at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")

from napari_dip import api
from napari_dip.snapshot import Snapshot
from napari_dip.widgets.napari_hooks.preferences import Preferences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dip.images.image import Image

WAIT = 40_000  # milliseconds


@dataclass
class FakeEngine:
    """Stands in for `iter_denoise`: every pixel of its answer holds the step."""

    delay: float = 0.002
    fail_at: int = 0
    error: Exception | None = None
    images: list[Image] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    realised: list[int] = field(default_factory=list)
    step: int = 0
    closed: int = 0

    def __call__(self, image: Image, how: Any, *, device: str = "auto") -> Iterator[Snapshot]:
        self.images.append(image)
        self.devices.append(device)
        try:
            yield from self._steps(image, how)
        finally:
            self.closed += 1

    def _steps(self, image: Image, how: Any) -> Iterator[Snapshot]:
        for step in range(1, how.steps + 1):
            time.sleep(self.delay)
            if step == self.fail_at and self.error is not None:
                raise self.error
            self.step = step

            def make(step: int = step) -> Image:
                self.realised.append(step)
                return image.with_pixels(np.full(image.shape, step, np.float32))

            record = {**how.to_json(), "settings": how.to_json(), "step_chosen": step}
            yield Snapshot(step, how.steps, 1 / step, 2 / step, step, 0, 1, "", record, make)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(api, "iter_denoise", fake)
    return fake


@pytest.fixture(autouse=True)
def usual_preferences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep out what a person prefers on this machine."""
    monkeypatch.setattr("napari_dip.widgets.docks.base.preferences", Preferences)
    # Short trials of the real engine, which take seconds.
    said = "napari_dip.widgets.parts.time_line._expect"
    monkeypatch.setattr(said, lambda asked: (asked, 40.0, "about 40 s"))


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A viewer as a plugin gets it: private access warns, writing in another thread raises."""
    from napari.components import ViewerModel
    from napari.utils._proxies import PublicOnlyProxy

    monkeypatch.setenv("NAPARI_ENSURE_PLUGIN_MAIN_THREAD", "1")
    return PublicOnlyProxy(ViewerModel())


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The notifications shown."""
    shown: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_error", shown.append)
    return shown


@pytest.fixture
def make_dock(
    viewer: Any, engine: FakeEngine, errors: list[str], qtbot: Any
) -> Iterator[Callable[..., Any]]:
    """Give a function that adds an image and opens the dock on it."""
    from napari_dip.widgets.docks.denoise import DenoiseWidget

    docks = []

    def make(data: Any = None, steps: int = 30, **look: Any) -> Any:
        if data is None:
            data = np.arange(20.0 * 30).reshape(20, 30)
        viewer.add_image(data, **{"name": "cells", **look})
        dock = DenoiseWidget(viewer)
        qtbot.addWidget(dock)
        dock.method_box.form.box("steps").value = steps
        docks.append((dock, dock))
        return dock

    yield make
    for dock, _ in docks:
        run = dock.run
        dock.shut_down()
        if run is not None:
            qtbot.waitUntil(lambda run=run: not run.running, timeout=WAIT)


@pytest.fixture
def finish(qtbot: Any) -> Callable[[Any], Any]:
    """Give a function that waits for a run to end and returns it."""

    def wait(run: Any) -> Any:
        assert run is not None
        qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
        return run

    return wait
