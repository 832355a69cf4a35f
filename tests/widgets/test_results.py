"""What is done with an answer in the dock: compared, judged, saved, copied; tried on a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import WAIT
from qtpy.QtGui import QGuiApplication

from napari_dip.api import iter_denoise
from napari_dip.files.read_write import read
from napari_dip.widgets.docks.images import OpenBatch, OpenTrain
from napari_dip.widgets.layers.region import BOX, WHOLE, box_layer
from napari_dip.widgets.napari_hooks.reader import get_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


def visible(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.visible]


def test_what_is_seen_of_two_additive_channels_is_their_answers(
    make_dock: Callable[..., Any],
    viewer: Any,
    engine: Any,
    finish: Callable[[Any], Any],
    qtbot: Any,
) -> None:
    viewer.add_image(np.ones((20, 30)), name="red", blending="additive", colormap="red")
    dock = make_dock(blending="additive", colormap="green")
    viewer.layers.selection = {viewer.layers["red"], viewer.layers["cells"]}
    assert "1 more chosen layer" in dock.input.readout.text()
    first = dock.start()
    qtbot.waitUntil(lambda: dock.run is not first and not dock.run.running, timeout=WAIT)
    assert [image.shape for image in engine.images] == [(20, 30)] * 2
    assert visible(viewer) == ["cells: Blind spot", "red: Blind spot"]
    dock.results.box.views["Noisy"].click()
    assert visible(viewer) == ["red", "cells"]
    dock.results.box.views["Residual"].click()
    assert visible(viewer) == ["cells: residual", "red: residual"]
    residual = viewer.layers["cells: residual"]
    np.testing.assert_allclose(residual.data, viewer.layers["cells"].data - 30)
    low, high = residual.contrast_limits
    assert low == -high and residual.colormap.name == "PiYG", "its colours show the sign"
    back = dock.results.hold_noisy()
    assert visible(viewer) == ["red", "cells"]
    back()
    assert visible(viewer) == ["cells: residual", "red: residual"]
    dock.results.show_next()
    assert dock.results.compare.view == "Noisy"


def test_a_discarded_answer_gives_its_source_back(
    make_dock: Callable[..., Any], viewer: Any, qtbot: Any, finish: Callable[[Any], Any]
) -> None:
    dock = make_dock(steps=100_000, blending="additive")
    run = dock.start()
    assert dock.input.readout.text() == "Running on cells: 1 plane of 20 x 30 pixels"
    assert not dock.input.layers.isEnabled() and not dock.advanced.isEnabled(), (
        "nor can it be changed"
    )
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    assert visible(viewer) == ["cells: Blind spot"]
    dock.discard()
    finish(run)
    assert visible(viewer) == ["cells"] and dock.results.box.isHidden()
    assert dock.input.layers.isEnabled()
    assert dock.input.readout.text() == "1 plane of 20 x 30 pixels"


def test_an_answer_is_judged_saved_and_read_back(
    make_dock: Callable[..., Any],
    viewer: Any,
    finish: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("napari_dip.api.iter_denoise", iter_denoise)
    noisy = np.random.default_rng(0).poisson(30, (64, 64)).astype(np.uint16)
    dock = make_dock(noisy, steps=5, scale=(0.2, 0.1), units=("um", "um"))
    finish(dock.start())
    verdict = dock.results.box.verdict.text().splitlines()
    assert len(verdict) == 2 and "Noise removed: " in verdict[1] and "brightness" in verdict[1]
    dock.results.write(tmp_path / "answer")
    path = tmp_path / "answer.denoised.tif"
    assert read(path).scale == pytest.approx((0.2, 0.1))
    ((pixels, look, kind),) = get_reader(str(path))(str(path))
    layer = viewer.layers["cells: Blind spot"]
    np.testing.assert_array_equal(np.asarray(pixels), layer.data)
    assert kind == "image" and look["scale"] == pytest.approx((0.2, 0.1))
    assert look["metadata"]["napari_dip"]["settings"]["steps"] == 5
    assert [str(unit) for unit in look["units"]] == ["um", "um"]
    buttons = dock.results.box.buttons
    buttons["Copy settings"].click()
    copied = QGuiApplication.clipboard().text()
    assert "--method blind-spot" in copied and "\nsteps = 5\n" in copied
    buttons["Copy methods text"].click()
    paragraph = QGuiApplication.clipboard().text()
    assert "Blind spot" in paragraph and "napari-dip" in paragraph and "Laine" in paragraph
    assert "at most 5 steps, seed 0" in paragraph


def test_a_box_is_tried_wherever_it_is_moved_and_then_all(
    make_dock: Callable[..., Any],
    viewer: Any,
    engine: Any,
    finish: Callable[[Any], Any],
    qtbot: Any,
) -> None:
    dock = make_dock(np.zeros((3, 400, 500)), steps=5)
    viewer.dims.set_point(0, 2)
    dock.method_box.form.box("neighbours").value = 0
    finish(dock.try_here())
    assert engine.images[-1].shape[0] == 1 and 128 <= min(engine.images[-1].shape[1:]) <= 256
    box = box_layer(viewer)
    assert viewer.layers.selection.active == box and box.mode == "select", "it can be dragged"
    assert not dock.all_button.isHidden()
    at = viewer.layers["cells: Blind spot, plane 2, box"].translate
    box.data = [corner + np.array([0, -100, -120]) for corner in box.data]
    qtbot.waitUntil(lambda: len(engine.images) == 2 and not dock.run.running, timeout=WAIT)
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells", BOX, "cells: Blind spot, plane 2, box"], "one answer, where it lies"
    moved = viewer.layers["cells: Blind spot, plane 2, box"].translate
    np.testing.assert_allclose(moved - at, [0, -100, -120])
    box.data = [corner + np.array([0, 3, 3]) for corner in box.data]
    finish(dock.run_on_all())
    assert [layer.name for layer in viewer.layers] == ["cells", "cells: Blind spot"]
    assert dock.input.region.currentText() == WHOLE and engine.images[-1].shape == (3, 400, 500)
    dock.input.region.setCurrentText(BOX)
    assert box_layer(viewer) is not None
    viewer.layers.clear()
    assert len(viewer.layers) == 0 and dock.input.region.currentText() == WHOLE


def test_a_range_of_planes_is_run_and_named(
    make_dock: Callable[..., Any], viewer: Any, engine: Any, finish: Callable[[Any], Any]
) -> None:
    dock = make_dock(np.zeros((5, 20, 30)), steps=5)
    dock.input.ranges["Z"].setValue((1, 3))
    assert dock.input.readout.text() == "3 planes of 20 x 30 pixels"
    finish(dock.start())
    layer = viewer.layers["cells: Blind spot, plane 1 to 3"]
    assert engine.images[-1].shape == (3, 20, 30) and tuple(layer.translate) == (1, 0, 0)


def test_there_is_one_dock_with_four_tabs(viewer: Any, qtbot: Any) -> None:
    viewer.add_image(np.zeros((20, 30)))
    dock = OpenTrain(viewer)
    qtbot.addWidget(dock)
    assert list(dock.pages) == ["Train"], "the others are made when they are opened"
    for name in ("Denoise", "Train", "Restore", "Batch"):
        dock.show_tab(name)
        assert dock.page is dock.pages[name]
        assert dock.minimumSizeHint().height() < 480 and dock.minimumSizeHint().width() < 400
    dock.pages["Train"].model_wanted.emit("some.safetensors")
    assert dock.page is dock.pages["Denoise"] and dock.page.method_box.is_own_model
    dock.shut_down()
    assert OpenBatch.tab == "Batch"
