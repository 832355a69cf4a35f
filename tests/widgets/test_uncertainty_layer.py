"""The dock's second layer: how far off the answer may be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_dip import api
from napari_dip.widgets.docks.restore import RestoreWidget
from napari_dip.widgets.layers.result_layers import std_limits

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(120)
WAIT = 40_000


@pytest.fixture
def with_map(engine: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let the engine give a map where the settings ask for one; the settings it was given."""
    given: list[Any] = []

    def begin(image: Any, how: Any, *, device: str = "auto") -> Any:
        given.append(how)
        for snapshot in engine(image, how, device=device):
            std = image.with_pixels(np.full(image.shape, snapshot.step / 10, np.float32))
            yield replace(
                snapshot, make_std=(lambda std=std: std) if how.uncertainty != "none" else None
            )

    monkeypatch.setattr(api, "iter_denoise", begin)
    return given


@pytest.mark.parametrize("rgb", [False, True])
def test_a_second_layer_lies_on_the_first_in_its_own_contrast(
    rgb: bool,
    make_dock: Callable[..., Any],
    viewer: Any,
    finish: Callable[[Any], Any],
    with_map: list[Any],
) -> None:
    data = np.zeros((20, 30, 3), np.uint8) if rgb else np.arange(600.0).reshape(20, 30)
    dock = make_dock(data, scale=(0.2, 0.1), translate=(3, 4), rgb=rgb)
    dock.method_box.uncertainty.setChecked(True)
    run = finish(dock.start())
    assert with_map[0].uncertainty == "predicted"
    assert [layer.name for layer in viewer.layers] == [
        "cells",
        "cells: Blind spot",
        "cells: uncertainty",
    ]
    std = viewer.layers["cells: uncertainty"]
    assert std.data.shape == (20, 30)
    assert np.asarray(std.data) == pytest.approx(3.0)
    np.testing.assert_allclose(std.extent.world, viewer.layers["cells"].extent.world)
    assert std.contrast_limits == pytest.approx([0, 3])
    assert std.colormap.name == "magma"
    assert run.layers.std_layer == std


def test_without_the_box_there_is_none(
    make_dock: Callable[..., Any], viewer: Any, finish: Callable[[Any], Any], with_map: list[Any]
) -> None:
    dock = make_dock()
    finish(dock.start())
    assert with_map[0].uncertainty == "none"
    assert len(viewer.layers) == 2


def test_a_map_that_is_removed_stays_away_and_the_run_goes_on(
    make_dock: Callable[..., Any],
    viewer: Any,
    qtbot: Any,
    finish: Callable[[Any], Any],
    with_map: list[Any],
) -> None:
    dock = make_dock(steps=300)
    dock.method_box.uncertainty.setChecked(True)
    run = dock.start()
    qtbot.waitUntil(lambda: run.layers.std_layer is not None, timeout=WAIT)
    viewer.layers.remove("cells: uncertainty")
    finish(run)
    assert not run.failure
    assert [layer.name for layer in viewer.layers] == ["cells", "cells: Blind spot"]


def test_discard_takes_both_layers_away(
    make_dock: Callable[..., Any],
    viewer: Any,
    qtbot: Any,
    finish: Callable[[Any], Any],
    with_map: list[Any],
) -> None:
    dock = make_dock(steps=100_000)
    dock.method_box.uncertainty.setChecked(True)
    run = dock.start()
    qtbot.waitUntil(lambda: run.layers.std_layer is not None, timeout=WAIT)
    dock.discard()
    finish(run)
    assert [layer.name for layer in viewer.layers] == ["cells"]


def test_restorations_offer_no_map(viewer: Any, qtbot: Any) -> None:
    dock = RestoreWidget(viewer)
    qtbot.addWidget(dock)
    assert dock.method_box.uncertainty.isHidden()
    dock.shut_down()


def test_limits_leave_out_what_is_not_known() -> None:
    std = np.full((2, 10, 10), np.nan)
    assert std_limits(std) == (0, 1)
    std[0] = np.linspace(0, 1, 100).reshape(10, 10)
    assert std_limits(std)[1] == pytest.approx(0.995, abs=0.01)
