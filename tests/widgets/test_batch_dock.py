"""The dock Batch: a folder worked through in a thread, one bad file in it; stopped, resumed."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from conftest import WAIT, FakeEngine

from napari_dip.batch.config import read_config
from napari_dip.batch.jobs import Job
from napari_dip.files.read_write import read, write
from napari_dip.images.image import Image
from napari_dip.widgets.docks.batch import BatchWidget
from napari_dip.widgets.parts.file_table import FILE, MEAN, REMARK, STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, axes, shape in (
        ("a", "YX", (20, 21)),
        ("b", "ZYX", (3, 8, 9)),
        ("c/d", "YXC", (7, 8, 3)),
    ):
        (tmp_path / "in" / "c").mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 200, shape).astype(np.uint8)
        scale = (0.5,) * 2 if axes == "YX" else ()
        write(
            tmp_path / "in" / f"{name}.tif",
            Image(pixels, axes, scale, ("um", "um") if scale else ()),
        )
    (tmp_path / "in" / "bad.tif").write_text("no image")
    return tmp_path / "in"


@pytest.fixture
def dock(
    viewer: Any, folder: Path, engine: FakeEngine, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BatchWidget]:
    # Planes that are kept are worked on by a function that the engine does not stand in for.
    monkeypatch.setattr("napari_dip.batch.kept_planes.can_be_kept", lambda *_: False)
    made = BatchWidget(viewer)
    qtbot.addWidget(made)
    made.files.images.path, made.files.out.path = folder, folder.parent / "out"
    made.method_box.form.box("steps").value = 4
    yield made
    made.shut_down()
    qtbot.waitUntil(lambda: made.run is None or not made.run.running, timeout=WAIT)


@pytest.fixture
def ended(qtbot: Any) -> Callable[[BatchWidget], None]:
    def wait(dock: BatchWidget) -> None:
        assert dock.run is not None
        qtbot.waitUntil(lambda: dock.buttons["Run"].isEnabled(), timeout=WAIT)

    return wait


def column(dock: BatchWidget, at: int) -> dict[str, str]:
    cells = [
        (dock.table.item(row, FILE), dock.table.item(row, at))
        for row in range(dock.table.rowCount())
    ]
    return {name.text(): "" if cell is None else cell.text() for name, cell in cells}


def test_a_long_remark_beside_figures_is_read_as_a_whole(dock: BatchWidget, folder: Path) -> None:
    job = Job(folder / "a.tif", folder / "b.tif")
    dock.table.show_jobs([job, job])
    note = "The noise of neighbouring pixels is correlated, as after resampling or a filter. " * 2
    dock.table.show_record(1, {"status": "done", "residual": {"mean": 0.5}, "note": note})
    text = dock.table.item(1, REMARK).text()
    assert dock.table.columnWidth(REMARK) > dock.table.fontMetrics().horizontalAdvance(text) > 200
    assert dock.table.columnSpan(1, MEAN) == 1 and dock.table.item(1, MEAN).text() == "0.5"
    dock.table.show_jobs([job])  # type: ignore[list-item]
    assert dock.table.columnWidth(REMARK) < 300


def test_a_file_that_fails_does_not_stop_the_rest(
    dock: BatchWidget, ended: Any, folder: Path
) -> None:
    dock.start()
    ended(dock)
    assert column(dock, STATE) == {
        "a.tif": "done",
        "b.tif": "done",
        "bad.tif": "failed",
        "c/d.tif": "done",
    }
    assert "not a TIFF" in column(dock, REMARK)["bad.tif"]
    assert float(column(dock, MEAN)["a.tif"]) > 50, "the answer is 4 everywhere"
    table = dock.table
    assert (
        table.item(2, MEAN).text()
        == table.item(2, REMARK).text()
        == table.item(2, REMARK).toolTip()
    )
    shown = [table.columnSpan(row, MEAN) for row in range(4)]
    assert shown == [1, 1, REMARK - MEAN, 1] and table.rowHeight(2) > table.rowHeight(0), (
        "in several lines, in view"
    )
    assert dock.message.text().startswith("3 of 4 files done, 1 failed.")
    dock.table.cellClicked.emit(2, 0)
    assert "not a TIFF" in dock.message.text()
    answer = read(folder.parent / "out" / "a.tif")
    assert (np.asarray(answer.pixels) == 4).all() and answer.scale == (0.5, 0.5)
    with (folder.parent / "out" / "napari-dip-report.csv").open(newline="") as table:
        assert [row["status"] for row in csv.DictReader(table)] == [
            "done",
            "done",
            "failed",
            "done",
        ]


def test_what_would_be_done_writes_nothing(
    dock: BatchWidget, ended: Any, folder: Path, engine: FakeEngine
) -> None:
    dock.start(dry_run=True)
    ended(dock)
    assert list(column(dock, STATE).values()) == ["to do", "to do", "failed", "to do"]
    assert "YX (20, 21), 1,680 bytes" in column(dock, REMARK)["a.tif"]
    assert "To do: 3 files" in dock.message.text()
    assert "About 0:00 in one process on this machine" in dock.message.text()
    assert not (folder.parent / "out").exists() and [one.name for one in engine.images] == ["a"]


@pytest.mark.parametrize("images", ["a.tif", "a*.tif", "a.zarr"])
def test_a_new_folder_may_have_a_name_with_an_ending(
    images: str, dock: BatchWidget, ended: Any, folder: Path
) -> None:
    """Of one file only; a pattern and a Zarr image were refused."""
    if images == "a.zarr":
        pytest.importorskip("zarr")
        write(folder / images, read(folder / "a.tif"))
    dock.files.images.path, dock.files.out.path = folder / images, folder.parent / "results.v2"
    dock.start()
    ended(dock)
    assert "1 of 1 files done" in dock.message.text()
    assert (folder.parent / "results.v2" / f"a{Path(images).suffix}").exists()


def test_stop_keeps_what_is_done_and_run_goes_on(
    dock: BatchWidget, ended: Any, folder: Path, engine: FakeEngine, qtbot: Any
) -> None:
    engine.delay = 0.02
    run = dock.start()
    assert run is not None and dock.start() is None, "one run at a time"
    run.file_ended.connect(lambda number, _: dock.stop())
    ended(dock)
    assert "goes on where it stopped" in dock.message.text()
    assert column(dock, STATE)["a.tif"] == "done" and column(dock, STATE)["c/d.tif"] == "to do"
    engine.images.clear()
    dock.start()
    ended(dock)
    assert [image.name for image in engine.images] == ["b", "d"]
    assert column(dock, STATE) == {
        "a.tif": "done before",
        "b.tif": "done",
        "bad.tif": "failed",
        "c/d.tif": "done",
    }
    assert dock.table.columnWidth(STATE) > dock.table.fontMetrics().horizontalAdvance("done before")
    out = sorted(path.name for path in (folder.parent / "out").rglob("*.tif"))
    assert out == ["a.tif", "b.tif", "d.tif"]
    assert all(
        "interrupted" not in read(path).provenance
        for path in (folder.parent / "out").rglob("*.tif")
    )


def test_each_image_of_a_file_is_a_row(dock: BatchWidget, ended: Any, folder: Path) -> None:
    with tifffile.TiffWriter(folder / "positions.tif") as tif:
        for size in (9, 12):
            pixels = np.random.default_rng(0).poisson(9, (3, size, size)).astype("uint8")
            tif.write(pixels, photometric="minisblack")
    dock.files.images.line.setText(str(folder / "positions.tif"))
    dock.files.show_options({"series": "all", "plane": 1})
    assert dock.values()["plane"] == "1"
    dock.start()
    ended(dock)
    assert list(column(dock, STATE)) == ["positions.tif [0]", "positions.tif [1]"]
    answer = read(folder.parent / "out" / "positions_series1.tif")
    assert answer.shape == (12, 12) and dict(answer.provenance)["part_given"]["plane"] == "1"
    dock.table.job_opened.emit(dock.table.jobs[1], "")
    assert dock.viewer.layers[0].data.shape == (12, 12)


def test_what_exists_is_named_in_words_of_the_dock(
    dock: BatchWidget, ended: Any, folder: Path
) -> None:
    dock.files.images.line.setText(str(folder / "a.tif"))
    for steps in (4, 5):
        dock.method_box.form.box("steps").value = steps
        dock.start()
        ended(dock)
    assert "exists" in dock.message.text() and "tick Replace" in dock.message.text()
    dock.files.replace.setChecked(True)
    dock.start()
    ended(dock)
    assert dock.message.text() == "1 of 1 files done."


@pytest.mark.parametrize(
    ("images", "out", "word"),
    [("", "x", "folder of images"), ("x", "", "results"), ("nowhere", "x", "no file")],
)
def test_what_is_missing_is_asked_for(
    images: str, out: str, word: str, dock: BatchWidget, qtbot: Any
) -> None:
    dock.files.images.line.setText(images)
    dock.files.out.line.setText(out)
    dock.start()
    qtbot.waitUntil(lambda: word in dock.message.text(), timeout=WAIT)
    qtbot.waitUntil(lambda: dock.buttons["Run"].isEnabled(), timeout=WAIT)


def test_a_double_click_opens_input_and_result(dock: BatchWidget, ended: Any, viewer: Any) -> None:
    dock.start()
    ended(dock)
    for row in range(4):
        dock.table.cellDoubleClicked.emit(row, 0)
    assert [layer.name for layer in viewer.layers] == [
        "a",
        "a denoised",
        "b",
        "b denoised",
        "d",
        "d denoised",
    ]
    noisy, denoised = viewer.layers["a"], viewer.layers["a denoised"]
    assert (
        tuple(denoised.scale[-2:]) == (0.5, 0.5)
        and denoised.contrast_limits == noisy.contrast_limits
    )
    data = noisy.data
    assert tuple(noisy.contrast_limits) == (data.min(), data.max()) != (0, 255), (
        "the values' own range, of 8 bits too"
    )
    assert viewer.layers["d denoised"].rgb and viewer.layers["d denoised"].data.dtype == np.uint8
    assert denoised.metadata["napari_dip"]["source"]["name"] == "a.tif"


def test_a_double_click_on_a_failed_row_says_why(
    dock: BatchWidget, ended: Any, engine: FakeEngine
) -> None:
    engine.fail_at, engine.error = 2, ValueError("it is too odd")
    dock.start()
    ended(dock)
    dock.table.cellDoubleClicked.emit(0, 0)
    assert dock.message.text() == "a.tif failed: it is too odd"
    dock.table.cellDoubleClicked.emit(2, 0)
    assert "bad.tif" in dock.message.text() and "not a TIFF" in dock.message.text()


def test_files_of_one_name_in_several_folders_are_told_apart(
    dock: BatchWidget, ended: Any, folder: Path
) -> None:
    (folder / "e").mkdir()
    shutil.copy(folder / "c" / "d.tif", folder / "e")
    dock.start(dry_run=True)
    ended(dock)
    assert list(column(dock, STATE)) == ["a.tif", "b.tif", "bad.tif", "c/d.tif", "e/d.tif"]
    assert dock.table.item(4, FILE).toolTip() == str(folder / "e" / "d.tif")


def test_settings_go_to_a_file_and_back(
    dock: BatchWidget, viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    dock.method_box.method.setCurrentIndex(dock.method_box.method.findData("dip"))
    dock.method_box.preset.setCurrentText("paper")
    dock.method_box.form.box("seed").value = 7
    dock.files.pattern.setText("*_raw.tif")
    dock.files.recursive.setChecked(False)
    dock.files.axes.setText("zyx")
    dock.method_box.uncertainty.setChecked(True)
    dock.save(tmp_path / "s.toml")
    wanted = {
        "method": "dip",
        "preset": "paper",
        "seed": 7,
        "device": "auto",
        "std": True,
        "axes": "ZYX",
    }
    wanted |= {"dtype": "float32", "pattern": "*_raw.tif", "recursive": False}
    assert read_config(tmp_path / "s.toml") == wanted
    other = BatchWidget(viewer)
    qtbot.addWidget(other)
    (tmp_path / "s.toml").write_text(
        (tmp_path / "s.toml").read_text() + "learning_rate = 1.2345678e-05\n"
    )
    other.load(tmp_path / "s.toml")
    assert other.values() == wanted | {"learning_rate": 1.2345678e-05}
    assert other.method_box.settings().uncertainty == "iterates"  # type: ignore[attr-defined]
    (tmp_path / "s.toml").write_text("stepps = 3\n")
    other.load(tmp_path / "s.toml")
    assert "stepps" in other.message.text() and "s.toml" in other.message.text()


def test_a_file_of_settings_with_a_model_hides_the_method(
    dock: BatchWidget, tmp_path: Path
) -> None:
    dock.method_box.method.setCurrentIndex(dock.method_box.method.findData("patchdip"))
    (tmp_path / "s.toml").write_text('model = "a.safetensors"\n')
    dock.load(tmp_path / "s.toml")
    box = dock.method_box
    hidden = (box.method, box.form, box.uncertainty)
    dock.advanced.expand(animate=False)
    assert not any(widget.isVisibleTo(dock) for widget in hidden)
    dock.model.row.path = None
    assert all(widget.isVisibleTo(dock) for widget in hidden)


def test_a_dock_that_is_closed_ends_its_run(
    dock: BatchWidget, engine: FakeEngine, qtbot: Any
) -> None:
    engine.delay = 0.02
    run = dock.start()
    assert run is not None
    qtbot.waitUntil(lambda: bool(engine.images), timeout=WAIT)
    dock.close()
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
    assert len(engine.images) == 1
