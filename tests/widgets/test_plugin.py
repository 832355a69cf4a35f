"""What napari is told of the plugin, and the plugin in a real window where there is one."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name
from qtpy.QtCore import QTimer
from qtpy.QtGui import QOpenGLContext

from napari_dip.files.read_write import read
from napari_dip.files.tiff import OME_TIFF, TIFF
from napari_dip.models.model import SUFFIX
from napari_dip.widgets.layers.region import VIEW
from napari_dip.widgets.napari_hooks import preferences as preferences_module
from napari_dip.widgets.napari_hooks.moving_cells import moving_cells
from napari_dip.widgets.napari_hooks.preferences import Preferences, preferences
from napari_dip.widgets.napari_hooks.samples import (
    MOVIE_SCALE,
    STACK_SCALE,
    fish_pair,
    moving_cells_pair,
    noisy_stack,
    synthetic_stack,
)
from napari_dip.widgets.napari_hooks.writer import OWN_SUFFIX, write_layer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)
WAIT = 40_000


@pytest.fixture
def window(qapp: Any, request: pytest.FixtureRequest) -> Any:
    """A viewer with a window; needs OpenGL, which the offscreen platform lacks."""
    if not QOpenGLContext().create():
        pytest.skip("No OpenGL here: run under a screen, such as xvfb-run.")
    return request.getfixturevalue("make_napari_viewer_proxy")()


def test_the_manifest_is_valid_and_its_names_exist() -> None:
    manifest = PluginManifest.from_distribution("napari-dip")
    manifest.validate_imports()
    contributions = manifest.contributions
    assert [w.display_name for w in contributions.widgets] == [
        "Denoise",
        "Restore",
        "Train",
        "Batch",
    ]
    assert [m.command for m in contributions.menus["napari/layers/filter"]] == [
        "napari-dip.denoise",
        "napari-dip.restore",
        "napari-dip.train",
        "napari-dip.batch",
    ]
    assert len(contributions.sample_data) == 3 and len(contributions.writers) == 1
    verbs = {command.title.split()[0] for command in contributions.commands}
    assert verbs == {"Denoise", "Make", "Open", "Restore", "Save", "Train"}


def test_the_writer_and_the_reader_take_what_the_formats_are_named() -> None:
    contributions = PluginManifest.from_distribution("napari-dip").contributions
    assert contributions.writers[0].filename_extensions == [*TIFF.suffixes, *OME_TIFF.suffixes]
    assert contributions.readers[0].filename_patterns == [f"*{SUFFIX}", f"*{OWN_SUFFIX}"]


def test_napari_hands_each_dock_its_viewer() -> None:
    """napari looks for a parameter of this name; a test with a window would need OpenGL."""
    contributions = PluginManifest.from_distribution("napari-dip").contributions
    commands = {command.id: command.python_name for command in contributions.commands}
    for widget in contributions.widgets:
        dock = import_python_name(commands[widget.command])
        assert list(inspect.signature(dock).parameters) == ["napari_viewer"]


def test_the_preferences_are_those_of_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = PluginManifest.from_distribution("napari-dip").contributions.configurations
    defaults = {
        f"{g}.{p}": prop.default
        for g, group in groups.items()
        for p, prop in group.properties.items()
    }
    assert defaults == {"run.device": "auto", "run.pictures_per_second": 3.0, "output.folder": ""}
    assert Preferences() == Preferences(*defaults.values())


def test_without_stored_preferences_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences_module, "PLUGIN", "no such plugin")
    assert preferences() == Preferences()


def test_the_sample_pair_is_a_noisy_capture_and_its_average() -> None:
    (average, _, _), (noisy, look, kind) = fish_pair()
    assert (
        average.shape == noisy.shape == (512, 512) and noisy.dtype == np.uint8 and kind == "image"
    )
    error = np.mean((average.astype(float) - noisy) ** 2)
    assert 10 * np.log10(255**2 / error) == pytest.approx(22.22, abs=0.01)
    assert "arXiv:1812.10366" in look["metadata"]["source"]


def test_the_synthetic_stack_is_seeded_noisy_and_scaled() -> None:
    ((stack, look, _),) = noisy_stack()
    np.testing.assert_array_equal(stack, synthetic_stack(0))
    assert (stack != synthetic_stack(1)).any()
    layer = ImageLayer(stack, **look)
    assert tuple(layer.scale) == STACK_SCALE == (0.3, 0.1, 0.1)
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3 and layer.axis_labels == (
        "z",
        "y",
        "x",
    )
    assert stack.std() > 3


def test_the_moving_cells_are_noise_around_their_truth_and_move() -> None:
    truth, noisy = (ImageLayer(data, **look) for data, look, _ in moving_cells_pair())
    assert noisy.visible and not truth.visible and noisy.dtype == np.uint16
    for layer in (truth, noisy):
        assert layer.data.shape == (20, 128, 128) and tuple(layer.scale) == MOVIE_SCALE
        assert [str(unit) for unit in layer.units] == ["second", "micrometer", "micrometer"]
    np.testing.assert_array_equal(noisy.data, moving_cells(0)[0])
    assert (noisy.data != moving_cells(1)[0]).any()
    error = noisy.data - truth.data
    assert abs(error.mean()) < 0.02  # 4 counts of noise, 330 000 pixels
    # a photon is a count: variance is photons, read noise of 2 counts squared, and rounding
    np.testing.assert_allclose((error**2).mean(), (truth.data - 100).mean() + 4 + 1 / 12, rtol=0.02)
    apart = [np.abs(truth.data[k:] - truth.data[:-k]).mean() for k in (1, 2, 4, 8)]
    assert apart == sorted(apart) and apart[0] < 0.25 * truth.data.std()  # smoothly, and lastingly


def test_what_the_writer_writes_can_be_read_back(tmp_path: Path) -> None:
    ((stack, look, _),) = noisy_stack()
    look["metadata"] = {"napari_dip": {"method": "dip", "seed": 3}}
    data, meta, _ = ImageLayer(stack, **look).as_layer_data_tuple()
    path = str(tmp_path / "stack.tif")
    assert write_layer(path, data, meta) == [path]
    image = read(path)
    np.testing.assert_array_equal(np.asarray(image), stack)
    assert image.axes == "ZYX" and image.scale == pytest.approx((0.3, 0.1, 0.1))
    assert image.provenance["method"] == "dip" and image.provenance["seed"] == 3
    assert write_layer(path, data, meta) == [path]  # napari's dialog has asked already


@pytest.mark.parametrize("kind", ["rgb", "multiscale"])
def test_the_writer_takes_colour_and_levels(kind: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(
        0, 255, (20, 24, 3) if kind == "rgb" else (20, 24), np.uint8
    )
    layer = ImageLayer(
        pixels if kind == "rgb" else [pixels, pixels[::2, ::2]], multiscale=kind == "multiscale"
    )
    data, meta, _ = layer.as_layer_data_tuple()
    write_layer(str(tmp_path / "x.tif"), data, meta)
    np.testing.assert_array_equal(np.asarray(read(tmp_path / "x.tif")), pixels)


def opened(window: Any, steps: int) -> Any:
    _, dock = window.window.add_plugin_dock_widget("napari-dip", "Denoise")
    dock = getattr(dock, "__wrapped__", dock).page
    dock.method_box.form.box("steps").value = steps
    return dock


def test_the_plugin_runs_in_a_window(window: Any, engine: Any, qtbot: Any) -> None:
    window.open_sample("napari-dip", "stack")
    dock = opened(window, 400)
    run = dock.start()
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
    noisy, clean = window.layers
    assert (
        tuple(clean.scale) == (0.3, 0.1, 0.1)
        and clean.units == noisy.units
        and (clean.data == 400).all()
    )
    assert [point[0] for point in dock.panel.loss_plot.points] == list(range(1, 401))  # in order
    assert dock.panel.loss_plot.chosen == 400


def test_what_is_in_view_is_smaller_after_zooming_in(window: Any, engine: Any, qtbot: Any) -> None:
    window.window.resize(800, 600)
    noisy = window.add_image(np.zeros((400, 400)), scale=(0.5, 0.5))
    dock = opened(window, 5)
    dock.input.region.setCurrentText(VIEW)
    window.scene.camera.zoom *= 8
    window.screenshot(canvas_only=True, flash=False)  # draws
    qtbot.waitUntil(
        lambda: dock.input.readout.text() not in ("", "1 plane of 400 x 400 pixels"), timeout=WAIT
    )
    run = dock.start()
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
    clean = window.layers[-1]
    assert 10 < max(clean.data.shape) < 300
    start = [s.start for s in run.request.source.index]
    assert min(start) > 50  # of an image whose middle is at 200
    np.testing.assert_allclose(clean.data_to_world((0, 0)), noisy.data_to_world(start))


def test_closing_the_dock_in_a_window_ends_the_run(window: Any, engine: Any, qtbot: Any) -> None:
    window.add_image(np.zeros((20, 24)))
    dock = opened(window, 100_000)
    run = dock.start()
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    window.window.remove_dock_widget("all")
    at = engine.step
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
    assert engine.step <= at + 1 and engine.closed == 1
    assert (window.layers[-1].data == engine.step).all(), "a whole answer"
    assert "settings" in window.layers[-1].metadata["napari_dip"], "and recorded"


def test_a_second_entry_of_the_menu_opens_its_tab_in_the_one_dock(
    window: Any, engine: Any, qtbot: Any
) -> None:
    window.add_image(np.zeros((20, 24)))
    page = opened(window, 100_000)
    run = page.start()
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    _, dock = window.window.add_plugin_dock_widget("napari-dip", "Train")
    dock = getattr(dock, "__wrapped__", dock)
    assert len(window.window.dock_widgets) == 1 and run.running, "the run goes on"
    assert dock.pages["Denoise"] is page and dock.page is dock.pages["Train"]
    page.discard()
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)


def test_closing_napari_during_a_run_ends_it(
    window: Any, engine: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.add_image(np.zeros((20, 24)))
    run = opened(window, 100_000).start()
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    window.close()
    qtbot.waitUntil(lambda: engine.closed == 1, timeout=WAIT)


def test_closing_napari_in_the_middle_of_a_picture_ends_the_run(
    window: Any, engine: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.add_image(np.zeros((20, 24)))
    dock = opened(window, 100_000)
    # The activity dock's bar lets Qt work during a slot, and then the window may close.
    window.layers.events.inserted.connect(lambda event: QTimer.singleShot(0, window.close))
    run = dock.start()
    qtbot.waitUntil(lambda: engine.closed == 1 and not run.running, timeout=WAIT)
    assert run.answer is None and run.layer is None


def test_a_layer_is_saved_with_its_scale(window: Any, tmp_path: Path) -> None:
    window.open_sample("napari-dip", "stack")
    path = tmp_path / "saved.tif"
    assert window.layers.save(str(path), plugin="napari-dip") == [str(path)]
    assert read(path).scale == pytest.approx((0.3, 0.1, 0.1))
