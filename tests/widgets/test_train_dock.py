"""The dock "Train", and its model in the dock "Denoise"; with the real engine on small images."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_dip.api import iter_denoise
from napari_dip.files.read_write import write
from napari_dip.images.image import Image
from napari_dip.methods import registry
from napari_dip.models.model import load_model
from napari_dip.widgets.docks.train import FILES, LAYERS, TrainWidget
from napari_dip.widgets.napari_hooks.reader import get_reader
from napari_dip.widgets.runs.train_run import checkpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TRAINED = registry.settings_classes(registry.TRAINED)

pytestmark = pytest.mark.timeout(120)
WAIT = 40_000


def noisy(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.poisson(20 + 10 * rng.random(shape)).astype(np.uint16)


@pytest.fixture
def train(
    viewer: Any, errors: list[str], qtbot: Any, tmp_path: Path
) -> Iterator[Callable[..., TrainWidget]]:
    """Give a function that adds a stack and opens the dock on it."""
    docks: list[TrainWidget] = []

    def make(*shape: int, steps: int = 3, **look: Any) -> TrainWidget:
        viewer.add_image(noisy(*(shape or (4, 40, 48))), name="cells", **look)
        dock = TrainWidget(viewer)
        qtbot.addWidget(dock)
        for name, value in {"steps": steps, "channels": 4, "batch": 1, "crop": 16}.items():
            dock.method_box.form.box(name).value = value
        dock.extra.model.path = tmp_path / "model.safetensors"
        docks.append(dock)
        return dock

    yield make
    for dock in docks:
        run = dock.run
        dock.shut_down()
        if run is not None:
            qtbot.waitUntil(lambda run=run: not run.running, timeout=WAIT)


def test_a_training_shows_a_preview_and_leaves_a_model(
    train: Callable[..., TrainWidget], viewer: Any, finish: Any, tmp_path: Path
) -> None:
    dock = train(scale=(3, 0.2, 0.1))
    viewer.dims.set_point(0, 2 * 3)
    run = finish(dock.start())
    assert run.failure == ""
    source, preview = viewer.layers
    assert preview.name == "cells: preview" and preview.data.shape == (1, 40, 48)
    np.testing.assert_allclose(preview.data_to_world((0, 0, 0)), source.data_to_world((2, 0, 0)))
    assert preview.data.std() < source.data[2].std()
    model = load_model(tmp_path / "model.safetensors")
    assert model.training["steps"] == 3
    assert "press Use it" in dock.panel.message.text()
    assert not checkpoint_of(tmp_path / "model.safetensors").exists()
    assert len(dock.panel.training_plot.points["learning_rate"]) > 0


def test_stop_keeps_the_model_and_it_can_go_on(
    train: Callable[..., TrainWidget], finish: Any, qtbot: Any, tmp_path: Path
) -> None:
    dock = train(steps=100_000)
    run = dock.start()
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    dock.stop()
    finish(run)
    model = tmp_path / "model.safetensors"
    done = load_model(model).training["steps"]
    assert 0 < done < 100_000 and checkpoint_of(model).exists()
    assert "it can go on later" in dock.panel.message.text()
    assert dock.extra.resume.isVisibleTo(dock) and dock.extra.replace.isVisibleTo(dock)
    assert dock.start() is None and "go on from where it was stopped" in dock.panel.message.text()
    dock.extra.resume.setChecked(True)
    assert not dock.extra.replace.isVisibleTo(dock), "going on replaces nothing that is finished"
    run = dock.start()
    steps: list[int] = []
    run.progressed.connect(lambda progress: steps.append(progress.step))
    qtbot.waitUntil(lambda: bool(steps) and steps[-1] > 0, timeout=WAIT)
    dock.stop()
    finish(run)
    first = next(step for step in steps if step)
    assert first > done and load_model(model).training["steps"] >= first


@pytest.mark.parametrize(
    ("button", "end"), [("Stop", "Stopped before the first step"), ("Discard", "Discarded:")]
)
def test_an_order_while_it_is_prepared_is_heard_at_once_and_obeyed(
    button: str,
    end: str,
    train: Callable[..., TrainWidget],
    viewer: Any,
    finish: Any,
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preparing, prepared, stepped = threading.Event(), threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        def steps() -> Any:
            stepped.set()
            yield

        preparing.set()
        assert prepared.wait(40)
        return steps()

    monkeypatch.setattr("napari_dip.training.train.iter_train", slow)
    dock = train()
    older = checkpoint_of(tmp_path / "model.safetensors")
    older.write_bytes(b"of another training")
    dock.extra.replace.setChecked(True)
    run = dock.start()
    try:
        qtbot.waitUntil(preparing.is_set, timeout=WAIT)
        dock.panel.buttons[button].click()
        assert "before the first step" in dock.panel.message.text() and run.running
        assert not dock.panel.buttons["Stop"].isEnabled()
    finally:
        prepared.set()
    finish(run)
    assert (
        not stepped.is_set()
        and run.failure == ""
        and [layer.name for layer in viewer.layers] == ["cells"]
    )
    assert dock.panel.message.text().startswith(end) and dock.panel.buttons["Run"].isEnabled()
    assert not (tmp_path / "model.safetensors").exists() and older.exists() == (button == "Stop")


def test_the_method_is_read_as_a_whole_where_the_dock_is_narrow(
    train: Callable[..., TrainWidget],
) -> None:
    dock = train()
    dock.show()
    dock.resize(dock.minimumWidth(), 900)
    longest = max(
        dock.method_box.method.fontMetrics().horizontalAdvance(cls.title)
        for cls in TRAINED.values()
    )
    assert dock.method_box.method.width() > longest and dock.minimumWidth() < 450


def test_discard_leaves_nothing(
    train: Callable[..., TrainWidget], viewer: Any, finish: Any, qtbot: Any, tmp_path: Path
) -> None:
    dock = train(steps=100_000)
    run = dock.start()
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    dock.discard()
    finish(run)
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_said(train: Callable[..., TrainWidget], tmp_path: Path) -> None:
    dock = train()
    for path, sentence in (
        (None, "where the model is to be saved"),
        (tmp_path / "a.tif", "ending .safetensors"),
    ):
        dock.extra.model.path = path
        assert dock.start() is None and sentence in dock.panel.message.text()
    dock.extra.model.path = tmp_path / "nowhere" / "a.safetensors"
    assert dock.start() is None and "no folder" in dock.panel.message.text()
    dock.extra.model.path = tmp_path / "a.safetensors"
    dock.extra.where.setCurrentText(FILES)
    assert dock.start() is None and "Name the files" in dock.panel.message.text()
    dock.extra.where.setCurrentText(LAYERS)
    dock.method_box.method.setCurrentIndex(dock.method_box.method.findData("supervised"))
    assert dock.start() is None and "Pairs" in dock.panel.message.text()


def test_the_image_is_not_taken_for_its_own_clean_image(
    train: Callable[..., TrainWidget],
) -> None:
    """By ==: a viewer that napari hands to a plugin wraps each layer anew."""
    dock = train()
    dock.method_box.method.setCurrentIndex(dock.method_box.method.findData("supervised"))
    assert dock.extra.target_layer.layer == dock.input.layers.layer
    assert dock.start() is None and "holds the clean image" in dock.panel.message.text()


def test_the_axes_chosen_hold_where_all_layers_are_trained_on(
    train: Callable[..., TrainWidget], viewer: Any
) -> None:
    dock = train()
    viewer.add_image(noisy(3, 40, 48), name="other")
    viewer.layers.selection.active = viewer.layers["cells"]
    dock.extra.where.setCurrentText(LAYERS)
    dock.input.axes[0].setCurrentText("T")
    source = dock.input.source()
    data = dock.request(source, dock.method_box.settings()).begin.__self__.data  # type: ignore[union-attr]
    assert [image.axes for image in data] == ["TYX", "ZYX"]


@pytest.mark.parametrize(
    "text", ["", ".", "..", "/", "~", "~nobody/a", "a" * 3000, "\0", "FOLDER", "x.safetensors/"]
)
def test_a_path_that_is_being_typed_is_no_error(
    text: str, train: Callable[..., TrainWidget], tmp_path: Path, capture: Any
) -> None:
    (tmp_path / "x.safetensors").mkdir()
    dock = train()
    text = text.replace("FOLDER", str(tmp_path))
    if text.startswith("x"):
        text = str(tmp_path / text)
    for end in range(len(text) - 1 if len(text) > 1000 else 0, len(text) + 1):
        dock.extra.model.line.setText(text[:end])
    assert dock.start() is None and dock.panel.message.text() and not capture
    if text in (".", "..", "/") or text.startswith(str(tmp_path)):
        assert "is a folder" in dock.panel.message.text()


@pytest.fixture
def capture(qtbot: Any) -> Iterator[list[Any]]:
    """What was raised where Qt called."""
    with qtbot.captureExceptions() as raised:
        yield raised


def test_a_finished_model_is_replaced_only_where_it_is_ticked_anew(
    train: Callable[..., TrainWidget], finish: Any, tmp_path: Path
) -> None:
    dock, model = train(), tmp_path / "model.safetensors"
    replace = dock.extra.replace
    assert not replace.isVisibleTo(dock)
    finish(dock.start())
    assert "press Use it" in dock.panel.message.text(), "how it ended stays in view"
    before = model.read_bytes()
    for _ in range(2):
        assert (
            replace.isVisibleTo(dock)
            and not replace.isChecked()
            and not dock.extra.resume.isVisibleTo(dock)
        )
        assert dock.start() is None and "model.safetensors exists" in dock.panel.message.text()
        assert model.read_bytes() == before
        replace.setChecked(True)
        assert dock.panel.buttons["Run"].isEnabled() and dock.panel.message.text() == ""
        dock.method_box.form.box("seed").value += 1
        finish(dock.start())
        assert model.read_bytes() != before
        before = model.read_bytes()
    replace.setChecked(True)
    dock.extra.model.path = tmp_path / "other.safetensors"
    assert not replace.isVisibleTo(dock)
    dock.extra.model.path = model
    assert not replace.isChecked() and dock.start() is None


def test_what_is_left_of_a_stopped_training_is_not_replaced_unasked(
    train: Callable[..., TrainWidget], finish: Any, tmp_path: Path
) -> None:
    dock = train()
    left = checkpoint_of(tmp_path / "model.safetensors")
    left.write_bytes(b"hours of work")
    dock.extra.refresh()
    assert dock.start() is None
    assert "model.checkpoint.safetensors is left of a training" in dock.panel.message.text()
    assert left.read_bytes() == b"hours of work"
    assert dock.extra.replace.isVisibleTo(dock)
    dock.extra.replace.setChecked(True)
    finish(dock.start())
    assert "press Use it" in dock.panel.message.text()
    assert not left.exists()


def test_the_curves_of_a_second_training_start_empty(
    train: Callable[..., TrainWidget], finish: Any, qtbot: Any
) -> None:
    dock = train()
    finish(dock.start())
    lines = dock.panel.training_plot._lines
    assert len(lines["learning_rate"].getData()[0]) > 0
    dock.panel.start()
    assert all(
        not line.getData()[0].size for line in lines.values() if line.getData()[0] is not None
    )


def test_files_and_pairs_of_layers_are_trained_on(
    train: Callable[..., TrainWidget], viewer: Any, finish: Any, tmp_path: Path
) -> None:
    for number in range(2):
        write(tmp_path / f"{number}.tif", Image(noisy(30, 32), "YX"))
    dock = train(30, 32)
    dock.extra.where.setCurrentText(FILES)
    dock.extra.files.path = tmp_path / "*.tif"
    assert finish(dock.start()).failure == ""
    assert load_model(tmp_path / "model.safetensors").training["data"]["planes"] == 2


def test_a_model_is_applied_by_the_dock_denoise(
    train: Callable[..., TrainWidget],
    make_dock: Callable[..., Any],
    viewer: Any,
    finish: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finish(train().start())
    model = tmp_path / "model.safetensors"
    monkeypatch.setattr("napari_dip.api.iter_denoise", iter_denoise)  # the real one
    dock = make_dock(noisy(3, 33, 35))
    dock.extra.row.path = model
    assert "Implicit Deep Denoiser Prior" in dock.extra.about.text()
    assert not dock.method_box.form.isVisibleTo(dock)
    assert dock.extra.orientations.isVisibleTo(dock)
    dock.extra.orientations.setCurrentText("4")
    assert finish(dock.start()).failure == ""
    assert "3 planes, each the mean of 4 orientations" in dock.panel.message.text()
    assert not dock.panel.loss_plot.isVisibleTo(dock), "nothing is fitted, so there is no loss"
    answer = viewer.layers[-1]
    assert answer.data.shape == (3, 33, 35) and answer.data.std() < noisy(3, 33, 35).std()
    assert answer.metadata["napari_dip"]["model"]["network"]["name"] == "blurred-unet"
    dock.extra.row.path = tmp_path / "other.safetensors"
    assert dock.start() is None and "no file" in dock.panel.message.text()
    dock.extra.row.path = None
    assert not dock.method_box.is_own_model
    dock.advanced.expand(animate=False)
    assert dock.method_box.form.isVisibleTo(dock)


def test_only_models_of_ours_are_taken_by_the_reader(
    train: Callable[..., TrainWidget], finish: Any, tmp_path: Path
) -> None:
    finish(train().start())
    assert get_reader(str(tmp_path / "model.safetensors")) is not None
    (tmp_path / "other.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert get_reader(str(tmp_path / "other.safetensors")) is None
    assert get_reader([str(tmp_path / "model.safetensors")]) is None
