"""The dock, from a press of Run to its end, whatever comes between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import dask.array as da
import numpy as np
import pytest
import zarr
from qtpy.QtCore import Qt

from napari_dip.api import iter_denoise
from napari_dip.methods.registry import METHODS, Method
from napari_dip.planes import canvas
from napari_dip.settings import BlindSpot, Settings, knob
from napari_dip.widgets.layers.region import PLANE, RECTANGLE
from napari_dip.widgets.napari_hooks.preferences import Preferences
from napari_dip.widgets.parts import plots
from napari_dip.widgets.parts.method_box import OWN_MODEL
from napari_dip.widgets.parts.noise_window import NoiseWindow

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(120)
WAIT = 40_000
UM = ("um", "um", "um")


def begun(dock: Any, qtbot: Any) -> Any:
    """Start a long run and wait for its first picture."""
    run = dock.start()
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    return run


def test_a_run_ends_with_one_layer_that_looks_like_its_source(
    make_dock: Callable[..., Any], viewer: Any, finish: Callable[[Any], Any]
) -> None:
    look = {
        "colormap": "magma",
        "contrast_limits": (2, 90),
        "scale": (0.2, 0.1),
        "translate": (3, 4),
        "rotate": 20,
    }
    dock = make_dock(axis_labels=("y", "x"), units=UM[:2], **look)
    finish(dock.start())
    assert [layer.name for layer in viewer.layers] == ["cells", "cells: Blind spot"]
    noisy, clean = viewer.layers
    assert clean.data.shape == noisy.data.shape and (clean.data == 30).all()
    for name in ("scale", "translate", "rotate", "shear", "contrast_limits"):
        np.testing.assert_allclose(getattr(clean, name), getattr(noisy, name))
    assert (clean.units, clean.axis_labels) == (noisy.units, noisy.axis_labels)
    assert clean.colormap.name == "magma"
    assert clean.metadata["napari_dip"]["step_chosen"] == 30
    assert "step 30 of 30" in dock.panel.message.text()
    assert dock.panel.buttons["Run"].isEnabled() and not dock.panel.buttons["Stop"].isEnabled()
    assert dock.panel.bar.value() == 30


def test_the_button_noise_shows_what_was_measured(
    make_dock: Callable[..., Any], qtbot: Any, viewer: Any
) -> None:
    dock = make_dock(np.random.default_rng(0).poisson(50, (96, 96)))
    dock.noise_button.click()
    (window,) = dock.findChildren(NoiseWindow)
    qtbot.waitUntil(lambda: "as good as independent" in window.message.text(), timeout=WAIT)
    assert not window.picture.pixmap().isNull()
    noisy = np.ones((96, 96), np.float32)
    noisy[3, 3] = np.nan
    viewer.layers[0].data = noisy
    broken = dock.show_noise()
    qtbot.waitUntil(lambda: "1 non-finite pixel" in broken.message.text(), timeout=WAIT)
    viewer.layers.clear()
    assert dock.show_noise() is None and "no image layer" in dock.panel.message.text()


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr", "rgb", "multiscale", "stack"])
def test_every_kind_of_layer_runs(
    kind: str, make_dock: Callable[..., Any], viewer: Any, engine: Any, finish: Callable[[Any], Any]
) -> None:
    plain = np.random.default_rng(0).integers(0, 200, (20, 24), np.uint8)
    colour, look = np.stack([plain] * 3, axis=-1), {"scale": (0.3, 0.1, 0.1), "units": UM}
    data, look = {
        "numpy": (plain, {}),
        "dask": (da.from_array(plain, chunks=8), {}),
        "zarr": (zarr.array(plain), {}),
        "rgb": (colour, {"rgb": True}),
        "multiscale": ([plain, plain[::2, ::2]], {"multiscale": True}),
        "stack": (np.stack([plain] * 4), look),
    }[kind]
    dock = make_dock(data, **look)
    finish(dock.start())
    noisy, clean = viewer.layers
    axes = {"rgb": "YXC", "stack": "ZYX"}.get(kind, "YX")
    assert engine.images[0].axes == axes and engine.images[0].dtype == np.uint8
    assert clean.rgb == noisy.rgb and not clean.multiscale
    assert np.asarray(clean.data).dtype == (np.uint8 if kind == "rgb" else np.float32)
    np.testing.assert_allclose(clean.extent.world, noisy.extent.world)
    if kind == "stack":
        assert tuple(clean.scale) == (0.3, 0.1, 0.1) and clean.units == noisy.units


def test_pictures_come_during_the_run(make_dock: Callable[..., Any], qtbot: Any) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    first = float(run.layer.data[0, 0])
    qtbot.waitUntil(lambda: float(run.layer.data[0, 0]) > first, timeout=WAIT)
    steps = [point[0] for point in dock.panel.loss_plot.points]
    assert len(steps) > 1 and steps == sorted(steps)
    assert run.layer.contrast_limits == [0, 599]


def test_impossible_axes_are_refused_with_a_reason(make_dock: Callable[..., Any]) -> None:
    dock = make_dock(np.zeros((3, 20, 24)))
    assert [combo.currentText() for combo in dock.input.axes] == ["Z", "Y", "X"]
    assert dock.input.readout.text() == "3 planes of 20 x 24 pixels"
    dock.input.axes[0].setCurrentText("Y")
    assert not dock.panel.buttons["Run"].isEnabled()
    assert "use a letter twice" in dock.panel.message.text()
    assert dock.start() is None
    dock.input.axes[0].setCurrentText("T")
    assert dock.panel.buttons["Run"].isEnabled() and dock.panel.message.text() == ""


def test_six_axes_are_refused_with_a_reason(make_dock: Callable[..., Any]) -> None:
    dock = make_dock(np.zeros((2,) * 4 + (20, 24)))
    assert not dock.panel.buttons["Run"].isEnabled()
    assert "2 to 5 axes" in dock.panel.message.text()


def test_a_rectangle_lands_in_place(
    make_dock: Callable[..., Any], viewer: Any, engine: Any, finish: Any
) -> None:
    dock = make_dock(np.zeros((3, 40, 50)), scale=(0.3, 0.1, 0.1), translate=(1, 2, 3), units=UM)
    noisy = viewer.layers["cells"]
    corners = [
        noisy.data_to_world((1, y, x))
        for y, x in ((9.5, 4.5), (9.5, 24.5), (29.5, 24.5), (29.5, 4.5))
    ]
    viewer.add_shapes([np.array(corners)], units=UM)
    dock.input.region.setCurrentText(RECTANGLE)
    assert dock.input.readout.text() == "3 planes of 20 x 20 pixels"
    finish(dock.start())
    assert engine.images[0].shape == (3, 20, 20)
    np.testing.assert_allclose(
        viewer.layers["cells: Blind spot, part"].data_to_world((1, 0, 0)),
        noisy.data_to_world((1, 10, 5)),
    )


def test_this_plane_follows_the_slider(
    make_dock: Callable[..., Any], viewer: Any, engine: Any, finish: Any
) -> None:
    dock = make_dock(np.arange(3.0)[:, None, None] * np.ones((3, 20, 24)))
    dock.input.region.setCurrentText(PLANE)
    dock.method_box.form.box("neighbours").value = 0
    viewer.dims.set_point(0, 1)
    finish(dock.start())
    assert (np.asarray(engine.images[0]) == 1).all()
    assert tuple(viewer.layers["cells: Blind spot, plane 1"].translate) == (1, 0, 0)


def test_another_step_is_put_into_its_own_plane_only(
    make_dock: Callable[..., Any], viewer: Any, finish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real engine on three planes: the others stay as they are, to the bit."""
    monkeypatch.setattr("napari_dip.api.iter_denoise", iter_denoise)
    stack = np.random.default_rng(0).poisson(20, (3, 48, 48)).astype(np.uint16)
    dock = make_dock(stack, steps=60)
    monkeypatch.setattr(
        "napari_dip.widgets.docks.base.preferences", lambda: Preferences(pictures_per_second=50)
    )
    dock.method_box.keep.setChecked(True)
    run = finish(dock.start())
    layer, box = viewer.layers["cells: Blind spot"], dock.results.box
    before, kept = np.array(layer.data), run.answer.iterates.planes
    plane = next(number for number, one in kept.items() if len(one.items) > 1)
    viewer.dims.set_point(0, plane)
    assert box.slider.isVisibleTo(box) and box.slider.maximum() == len(kept[plane].items) - 1
    assert box.slider.value() == [i.step for i in kept[plane].items].index(
        run.answer.iterates.answers[plane]
    )
    box.slider.setValue(0 if box.slider.value() else 1)
    after = np.array(layer.data)
    changed = [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
    assert changed == [number == plane for number in range(3)]
    step = kept[plane].items[box.slider.value()].step
    record = layer.metadata["napari_dip"]
    assert record["iterates_used"] == {str(plane): step} and record["chosen_by"] == "user"
    assert "verdict" not in record, "that was on another answer"
    box.slider.setValue(len(kept[plane].items) - 1 if box.slider.value() else 0)
    dock.results.use_step(
        [i.step for i in kept[plane].items].index(run.answer.iterates.answers[plane])
    )
    np.testing.assert_array_equal(np.asarray(layer.data), before)
    assert "iterates_used" not in layer.metadata["napari_dip"]


def test_an_edited_knob_reaches_the_engine_and_defaults_stay_exact(
    make_dock: Callable[..., Any], finish: Any
) -> None:
    dock = make_dock(steps=7)
    run = finish(dock.start())
    assert run.request.how == type(run.request.how).preset(
        dock.method_box.preset.currentText(), steps=7
    )


def test_the_layer_list_is_followed(make_dock: Callable[..., Any], viewer: Any) -> None:
    dock = make_dock()
    viewer.add_image(np.zeros((4, 5, 6)), name="other")
    assert dock.input.layers.layer.name == "other", "the active layer is the image"
    viewer.layers.selection.active = viewer.layers["cells"]
    assert dock.input.layers.layer.name == "cells"
    made = {"napari_dip": {"settings": {}}}
    viewer.add_image(np.zeros((4, 5)), name="result", metadata=made)
    viewer.add_image(np.zeros((4, 5)), name="truth", metadata={"napari_dip": {"role": "clean"}})
    viewer.add_labels(np.zeros((4, 5), int))
    assert dock.input.layers.layer.name == "cells", "nothing else is taken unasked"
    viewer.layers["cells"].name = "renamed"
    assert dock.input.layers.currentText() == "renamed"
    viewer.layers.remove("renamed")
    assert dock.input.layers.layer.name == "other" and len(dock.input.axes) == 3
    viewer.layers.clear()
    assert (
        not dock.panel.buttons["Run"].isEnabled() and "no image layer" in dock.panel.message.text()
    )


def test_devices_are_looked_for_when_the_list_is_opened(
    make_dock: Callable[..., Any], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_dip.widgets.parts import method_box

    monkeypatch.setattr(method_box, "find_devices", lambda: [("cuda:0", "A GPU")])
    combo = make_dock().method_box.device
    assert [combo.itemData(i) for i in range(combo.count())] == ["auto", "cpu"]
    with qtbot.waitSignal(combo.found, timeout=WAIT):
        combo.showPopup()
    combo.hidePopup()
    assert combo.itemText(2) == "cuda:0 (A GPU)" and combo.device == "auto"


def test_the_answer_of_a_large_stack_stays_on_disk(
    make_dock: Callable[..., Any], viewer: Any, finish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer reads it by the plane; nothing is copied into memory."""
    monkeypatch.setattr(canvas, "IN_FILE_FROM", 0)
    monkeypatch.setattr("napari_dip.api.iter_denoise", iter_denoise)  # the real one
    stack = np.random.default_rng(0).poisson(20, (3, 24, 24)).astype(np.uint16)
    dock = make_dock(stack)
    dock.method_box.form.box("steps").value = 2
    finish(dock.start())
    layer = viewer.layers[-1]
    assert isinstance(layer.data, canvas.Picture)
    assert np.asarray(layer.data).shape == stack.shape
    assert layer.data[1].std() < stack[1].std()


def test_the_letters_of_five_axes_are_read(make_dock: Callable[..., Any], qtbot: Any) -> None:
    from napari.qt import get_stylesheet
    from qtpy.QtWidgets import QStyle, QStyleOptionComboBox

    dock = make_dock(np.zeros((2, 2, 2, 8, 8)))
    dock.setStyleSheet(get_stylesheet("dark"))
    dock.show()
    dock.resize(dock.minimumWidth(), 900)
    qtbot.waitExposed(dock)
    for combo in dock.input.axes:
        option = QStyleOptionComboBox()
        combo.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = combo.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, combo)
        assert room.width() >= combo.fontMetrics().horizontalAdvance(combo.currentText()) + 1


def test_the_default_is_blind_spot_and_each_method_says_in_a_line_what_it_is_for(
    make_dock: Callable[..., Any],
) -> None:
    box = make_dock().method_box
    names = [box.method.itemText(i) for i in range(box.method.count())]
    assert names[0] == "Blind spot: quick, recommended" and names[-1] == OWN_MODEL
    assert isinstance(box.settings(), BlindSpot)
    for i, record in enumerate(METHODS.values()):
        assert names[i].startswith(f"{record.settings.title}: ") and len(names[i]) < 50
        tip = box.method.itemData(i, Qt.ItemDataRole.ToolTipRole)
        assert tip == record.settings.summary != ""


def test_a_method_registered_elsewhere_is_offered_and_run(
    make_dock: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, finish: Any
) -> None:
    class Toy(Settings):
        method: ClassVar[str] = "toy"
        title: ClassVar[str] = "Toy"
        steps: int = knob(3, "Steps.", ge=1, basic=True)

    monkeypatch.setitem(METHODS, "toy", Method(Toy, "nowhere:fit"))
    dock = make_dock()
    dock.method_box.method.setCurrentText("Toy")
    assert dock.method_box.form.box("steps").value == 3
    assert finish(dock.start()).request.how == Toy()


def test_without_pyqtgraph_a_run_has_no_curve(
    make_dock: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, finish: Any
) -> None:
    monkeypatch.setattr(plots, "pyqtgraph", None)
    dock = make_dock()
    dock.show()
    run = finish(dock.start())
    assert run.failure == "" and (run.layer.data == 30).all()
    assert not dock.panel.loss_plot.isVisible() and not dock.panel.training_plot.isVisible()
