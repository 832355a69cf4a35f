"""Folders: what is done already, what fails, who does which share, and the table of it all."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_help import FEW, fit_quickly, leftovers, quick, save
from scipy.ndimage import gaussian_filter

from napari_dip import Image, Snapshot, read, write
from napari_dip.batch.jobs import BEGUN_BEFORE, HOLDS_STD, Job, std_beside
from napari_dip.batch.report import REPORT, earlier_state, write_report
from napari_dip.cli import main
from napari_dip.noise.measure import measure_noise

GOOD = ("a.tif", "b/c.tif", "b/d.tif")


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the fit, and remember what was begun."""
    names: list[str] = []

    def remembered(image: Image, how: object, *, device: str = "auto") -> object:
        names.append(image.name)
        return quick(image, how, device=device)

    fit_quickly(monkeypatch, remembered)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(GOOD):
        save(tmp_path / "in" / name, shape=(16, 17 + number))
    return tmp_path / "in"


def denoise(folder: Path, *words: str) -> int:
    return main(["denoise", str(folder), "-o", str(folder.parent / "out"), *FEW, *words])


def rows(folder: Path, name: str = REPORT) -> dict[str, dict[str, str]]:
    with (folder.parent / "out" / name).open(newline="", encoding="utf-8") as file:
        return {Path(row["input"]).name: row for row in csv.DictReader(file)}


def test_what_is_done_is_not_done_again(
    folder: Path, begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert denoise(folder) == 0
    (folder.parent / "out" / "b" / "c.tif").unlink()
    begun.clear()
    assert denoise(folder) == 0
    assert begun == ["c"]
    assert "1 of 3 files done, 2 done before, 0 failed." in capsys.readouterr().out


@pytest.mark.parametrize("change", ["settings", "content", "dtype"])
def test_other_settings_or_content_are_not_taken_for_done(
    change: str, folder: Path, begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert denoise(folder) == 0
    before = {name: (folder.parent / "out" / name).read_bytes() for name in GOOD}
    words = {"settings": ["--seed", "4"], "content": [], "dtype": ["--dtype", "same"]}[change]
    if change == "content":
        (folder / "a.tif").unlink()
        save(folder / "a.tif", shape=(5, 6))
    begun.clear()
    assert denoise(folder, *words) == 2
    assert "exists" in capsys.readouterr().err and begun == []
    assert {name: (folder.parent / "out" / name).read_bytes() for name in GOOD} == before
    assert denoise(folder, *words, "--overwrite") == 0
    assert len(begun) == 3


def test_an_interrupted_answer_is_made_anew(folder: Path, begun: list[str]) -> None:
    assert denoise(folder) == 0
    made = folder.parent / "out" / "a.tif"
    image = read(made)
    write(
        made,
        image.with_pixels(
            np.asarray(image.pixels), provenance={**image.provenance, "interrupted": True}
        ),
        overwrite=True,
    )
    begun.clear()
    assert denoise(folder) == 0
    assert begun == ["a"] and "interrupted" not in read(made).provenance


def test_a_deviation_left_without_its_answer_is_made_anew(folder: Path, begun: list[str]) -> None:
    assert denoise(folder) == 0
    out = folder.parent / "out"
    (out / "a.tif").rename(out / "a_std.tif")  # as a run that was killed between the two leaves it
    begun.clear()
    assert recognised_states(folder) == {
        "a.tif": BEGUN_BEFORE,
        "c.tif": BEGUN_BEFORE,
        "d.tif": BEGUN_BEFORE,
    }


def recognised_states(folder: Path) -> dict[str, str]:
    out = folder.parent / "out"
    made = {"settings": read(out / "b" / "c.tif").provenance["settings"]}
    targets = {out / name: folder / name for name in GOOD}
    jobs = [Job(source, target, std_beside(target)) for target, source in targets.items()]
    return {job.source.name: earlier_state(made)(job) for job in jobs}


def test_a_table_that_cannot_be_written_costs_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "out" / REPORT).mkdir(parents=True)
    assert denoise(folder) == 0
    said = capsys.readouterr()
    assert "3 of 3 files done" in said.out and "could not be written" in said.err


def test_a_name_that_is_no_text_costs_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        (folder / "a.tif").rename(folder / "a\udcff.tif")
    except (OSError, UnicodeError):
        pytest.skip("names are text here")
    assert denoise(folder) == 0
    assert "3 of 3 files done" in capsys.readouterr().out


def test_a_log_that_lacks_the_letters_of_a_name_costs_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.tif").rename(folder / "细胞.tif")
    log = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")  # stdout into a file, on Windows
    monkeypatch.setattr("sys.stdout", log)
    assert denoise(folder) == 0
    assert rows(folder)["细胞.tif"]["status"] == "done"


def test_no_file_is_put_into_a_zarr_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder.parent / "there.zarr")
    before = sorted((folder.parent / "there.zarr").rglob("*"))
    for out in (folder.parent / "there.zarr", folder.parent / "there.zarr" / "more"):
        assert main(["denoise", str(folder), "-o", str(out), *FEW]) == 2
        assert "Zarr" in capsys.readouterr().err
    assert sorted((folder.parent / "there.zarr").rglob("*")) == before


def test_bad_files_are_named_and_the_rest_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cut.tif").write_bytes((folder / "a.tif").read_bytes()[:300])
    (folder / "text.tif").write_text("no image")
    (folder / "empty.tif").touch()
    save(folder / "locked.tif").chmod(0)
    write(folder / "colour.png", Image(np.zeros((9, 8, 3), np.uint8), "YXC"))
    assert denoise(folder) == 1
    said = capsys.readouterr().err
    bad = {"cut.tif": "cut short", "text.tif": "not a TIFF", "empty.tif": "0 bytes"}
    if os.access(folder / "locked.tif", os.R_OK):  # root reads all
        assert rows(folder)["locked.tif"]["status"] == "done"
    else:
        bad["locked.tif"] = "Permission denied"
    for name, reason in bad.items():
        assert rows(folder)[name]["status"] == "failed" and reason in rows(folder)[name]["error"]
        assert reason in said
    assert all(rows(folder)[Path(name).name]["status"] == "done" for name in (*GOOD, "colour.png"))
    assert not [name for name in leftovers(folder.parent / "out") if name.endswith(".part")]


def test_the_table_holds_hints_on_the_residual(folder: Path) -> None:
    assert denoise(folder) == 0
    row = rows(folder)["a.tif"]
    assert float(row["residual_mean"]) == pytest.approx(-0.25)
    assert row["output"].endswith("a.tif") and float(row["seconds"]) >= 0
    assert denoise(folder) == 0, "nothing left to do"
    assert rows(folder)["a.tif"] == row, "what was done before keeps its row"


def test_the_verdict_is_said_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 96, 96)).astype(np.float32)
    (tmp_path / "in").mkdir()
    for name, part in zip("ab", noise, strict=True):
        write(tmp_path / "in" / f"{name}.tif", Image(100 + 9 * part, "YX"))

    def fit(image: Image, how: object, *, device: str = "auto") -> object:
        y = np.asarray(image.pixels)
        a = gaussian_filter(y, 6) if image.name.startswith("a") else 0.5 * y + 50
        made = {"settings": how.to_json(), "measured_noise": measure_noise([y]).to_json()}
        answer = image.with_pixels(a, provenance=made)
        yield Snapshot(1, 1, 1.0, None, 1, 0, 1, "", made, lambda: answer)

    fit_quickly(monkeypatch, fit)
    assert denoise(tmp_path / "in") == 0
    said = capsys.readouterr().out
    assert said.count("Noise is left in the answer") == said.count("No fault found") == 1
    table = rows(tmp_path / "in")
    assert [table[n]["verdict"] for n in ("a.tif", "b.tif")] == ["no fault found", "noise_left"]
    assert read(tmp_path / "out" / "a.tif").provenance["verdict"]["flagged"] == []
    record = read(tmp_path / "out" / "b.tif").provenance["verdict"]
    assert record["flagged"] == ["noise_left"]
    assert record["noise_left"] == pytest.approx(0.5, abs=0.1)


def test_deviations_of_an_earlier_run_are_no_images(folder: Path, begun: list[str]) -> None:
    std = Image(np.ones((16, 17), np.float32), provenance={"holds": HOLDS_STD})
    write(folder / "a_std.tif", std)
    save(folder / "cell_std.tif", shape=(16, 17))  # an image that is called so
    assert denoise(folder) == 0
    assert sorted(begun) == ["a", "c", "cell_std", "d"]


def test_shards_do_every_file_once(folder: Path, begun: list[str]) -> None:
    for number in (1, 2):
        assert denoise(folder, "--shard", f"{number}/2") == 0
    assert sorted(begun) == ["a", "c", "d"]
    assert set(rows(folder, "napari-dip-report-1-of-2.csv")) == {"a.tif", "d.tif"}
    assert set(rows(folder, "napari-dip-report-2-of-2.csv")) == {"c.tif"}


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_wrong_shard_is_refused(
    shard: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert denoise(folder, f"--shard={shard}") == 2
    assert "--shard" in capsys.readouterr().err


def test_a_dry_run_says_everything_and_writes_nothing(
    folder: Path, begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "text.tif").write_text("no image")
    before = leftovers(folder.parent)
    assert denoise(folder, "--dry-run", "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in record["files"]] == ["to do", "to do", "to do", "failed"]
    assert record["bytes"] == 16 * 4 * (17 + 18 + 19)
    assert record["seconds"] >= 0 and begun == ["a"]  # of which the first seconds are timed
    assert leftovers(folder.parent) == before


def test_zarr_folders_are_images_among_others(folder: Path, begun: list[str]) -> None:
    write(folder / "z.zarr", Image(np.ones((2, 5, 6), np.uint16), "ZYX"))
    assert denoise(folder) == 0
    assert sorted(begun) == ["a", "c", "d", "z"]
    answer = read(folder.parent / "out" / "z.zarr")
    assert (answer.axes, answer.dtype) == ("ZYX", np.float32) and (
        np.asarray(answer.pixels) == 1.25
    ).all()
    begun.clear()
    assert denoise(folder) == 0 and begun == []


def test_a_disk_without_room_is_said_before_the_fit(
    folder: Path, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    assert denoise(folder) == 1
    assert begun == [] and "make room" in rows(folder)["a.tif"]["error"]


def test_other_axes_are_not_taken_for_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert denoise(folder) == 0
    assert denoise(folder, "--axes", "YX") == 2
    assert "exists" in capsys.readouterr().err


def test_a_file_has_one_row_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.tif", str(tmp_path / "in" / "a.tif")):
        write_report(tmp_path, [{"input": name, "output": "out/a.tif", "status": "done"}])
    with (tmp_path / REPORT).open(newline="") as file:
        assert [row["input"] for row in csv.DictReader(file)] == [str(tmp_path / "in" / "a.tif")]
