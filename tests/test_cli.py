"""The verb ``denoise``, in process with a stand-in for the fit, and once as a real process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cli_help import FEW, Fit, fit_quickly, leftovers, quick, save

from napari_dip.cli import main
from napari_dip.cli.consume_with_progress import ENDINGS, consume_with_progress
from napari_dip.cli.output import Output
from napari_dip.errors import DenoiseError
from napari_dip.files.checksum import sha256
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.images.image import Image
from napari_dip.settings import BlindSpot, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_dip.snapshot import Snapshot


@pytest.fixture(autouse=True)
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fit_quickly(monkeypatch)


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    return save(tmp_path / "in" / "cells.tif")


def test_denoise_writes_the_answer_with_what_made_it(noisy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    assert (
        main(["denoise", str(noisy), "-o", str(out), "--seed", "5", "--device", "cpu", *FEW]) == 0
    )
    answer = read(out)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(np.asarray(answer.pixels), np.asarray(read(noisy).pixels) + 0.25)
    made_by = read_provenance(out)
    assert made_by["source"] == {"name": "cells.tif", "sha256": sha256(noisy)}
    assert made_by["settings"] == BlindSpot(seed=5, steps=3).to_json()
    assert made_by["device"] == "cpu"
    assert str(tmp_path) not in json.dumps(made_by), "a folder's name is nobody's business"


def test_a_stack_keeps_shape_axes_scale_and_units(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "scale": (0.3, 0.1, 0.1), "units": ("um", "um", "um")}
    source = save(tmp_path / "stack.tif", (3, 8, 9), **about)
    out = tmp_path / "out.tif"
    assert main(["denoise", str(source), "-o", str(out), *FEW]) == 0
    answer = read(out)
    assert (answer.shape, answer.axes) == ((3, 8, 9), "ZYX")
    assert answer.scale == pytest.approx((0.3, 0.1, 0.1))
    assert answer.units == ("um", "um", "um")


def test_axes_are_taken_from_the_flag(tmp_path: Path) -> None:
    source = save(tmp_path / "movie.tif", (3, 8, 9), axes="ZYX")
    assert main(["denoise", str(source), "-o", str(tmp_path / "out.tif"), "--axes", "TYX"]) == 0
    assert read(tmp_path / "out.tif").axes == "TYX"


def test_dtype_same_rounds_clips_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.tif"
    write(source, Image(np.array([[0, 100], [254, 255]], dtype=np.uint8)))
    monkeypatch.setattr("napari_dip.api.iter_denoise", shifted_by(0.6))
    assert (
        main(["denoise", str(source), "-o", str(tmp_path / "b.tif"), "--dtype", "same", "--json"])
        == 0
    )
    np.testing.assert_array_equal(
        np.asarray(read(tmp_path / "b.tif").pixels), [[1, 101], [255, 255]]
    )
    captured = capsys.readouterr()
    assert json.loads(captured.out)["files"][0]["clipped"] == 1
    assert "1 values clipped to uint8" in captured.err


def shifted_by(amount: float) -> Fit:
    def shifted(image: Image, how: Settings, *, device: str = "auto") -> Iterator[Snapshot]:
        for snapshot in quick(image, how, device=device):
            pixels = np.asarray(image.pixels, dtype=np.float32) + amount
            yield replace(snapshot, make_image=lambda pixels=pixels: image.with_pixels(pixels))

    return shifted


def test_a_folder_keeps_its_tree_and_a_bad_file_costs_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    save(raw / "a.tif")
    save(raw / "day 2" / "b.png", dtype="uint8")
    (raw / "broken.tif").write_bytes(b"no image at all")
    (raw / ".hidden.tif").write_bytes(b"no image either")
    (raw / "notes.txt").write_text("not an image")
    assert main(["denoise", str(raw), "-o", str(out), "--json", *FEW]) == 1
    assert leftovers(out) == ["a.tif", "day 2/b.tif"]
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert [Path(f["input"]).name for f in record["files"]] == ["a.tif", "broken.tif", "b.png"]
    assert [f["status"] for f in record["files"]] == ["done", "failed", "done"]
    assert record["files"][1]["error"] and record["files"][1]["error"] in captured.err
    assert "2 of 3 files done, 1 failed" in captured.err


def test_results_inside_the_input_folder_are_not_inputs_of_the_next_run(tmp_path: Path) -> None:
    save(tmp_path / "a.tif")
    for _ in range(2):
        assert (
            main(["denoise", str(tmp_path), "-o", str(tmp_path / "out"), "--overwrite", *FEW]) == 0
        )
    assert leftovers(tmp_path) == ["a.tif", "out/a.tif"]


def test_overwrite_replaces_the_input_itself(noisy: Path) -> None:
    before = np.asarray(read(noisy).pixels).copy()
    assert main(["denoise", str(noisy), "-o", str(noisy), "--overwrite", *FEW]) == 0
    np.testing.assert_allclose(np.asarray(read(noisy).pixels), before + 0.25)
    assert leftovers(noisy.parent) == ["cells.tif"]


@pytest.mark.parametrize(
    "error",
    [DenoiseError("out of memory: use a crop"), ValueError("NaN at (3, 4)"), RuntimeError("bug")],
)
def test_a_failing_fit_is_said_and_leaves_nothing(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails_on_the_first(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        yield next(quick(image, how))
        if image.shape == (5, 5):
            raise error

    fit_quickly(monkeypatch, fails_on_the_first)
    save(tmp_path / "in" / "a.tif", (5, 5))
    save(tmp_path / "in" / "b.tif")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    assert leftovers(tmp_path / "out") == ["b.tif"]
    assert str(error) in capsys.readouterr().err


def test_a_full_disk_leaves_no_half_file(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main(["denoise", str(noisy), "-o", str(tmp_path / "out.tif"), *FEW]) == 1
    assert leftovers(tmp_path) == ["in/cells.tif"]
    assert "bytes" in capsys.readouterr().err


def test_ctrl_c_writes_the_answer_so_far_and_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        steps = quick(image, how)
        yield next(steps)
        yield next(steps)
        raise KeyboardInterrupt

    fit_quickly(monkeypatch, interrupted)
    for name in "abc":
        save(tmp_path / "in" / f"{name}.tif")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"]) == 1
    assert leftovers(tmp_path / "out") == ["a.tif"]
    assert read_provenance(tmp_path / "out" / "a.tif")["interrupted"] is True
    captured = capsys.readouterr()
    assert "answer so far" in captured.err and "2 of 3 files were not begun" in captured.err
    record = json.loads(captured.out)
    assert record["not_begun"] == 2 and record["files"][0]["status"] == "interrupted"


def test_ctrl_c_in_a_stack_says_that_planes_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        yield replace(next(quick(image, how)), plane=1, planes=5)
        raise KeyboardInterrupt

    fit_quickly(monkeypatch, interrupted)
    source = save(tmp_path / "a.tif", (5, 8, 9))
    assert main(["denoise", str(source), "-o", str(tmp_path / "b.tif")]) == 1
    assert "in plane 2 of 5" in capsys.readouterr().out


def test_a_remark_made_early_is_said_and_recorded(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def remarking(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        for snapshot in quick(image, how):
            yield replace(snapshot, note="The noise is correlated." if snapshot.step < 3 else "")

    fit_quickly(monkeypatch, remarking)
    assert main(["denoise", str(noisy), "-o", str(tmp_path / "b.tif"), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.count("The noise is correlated.") == 1
    assert json.loads(said.out)["files"][0]["note"] == "The noise is correlated."


def test_ctrl_c_before_the_first_step_writes_nothing(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(*_: object, **__: object) -> Iterator[Snapshot]:
        raise KeyboardInterrupt
        yield

    fit_quickly(monkeypatch, at_once)
    assert main(["denoise", str(noisy), "-o", str(tmp_path / "out.tif")]) == 1
    assert leftovers(tmp_path) == ["in/cells.tif"]


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDINGS])
def test_the_first_signal_lets_the_step_at_hand_end(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[int] = []

    def signalled(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        for snapshot in quick(image, how):
            if snapshot.step == 2:
                signal.raise_signal(number)
            finished.append(snapshot.step)
            yield snapshot

    fit_quickly(monkeypatch, signalled)
    before = signal.getsignal(number)
    stream = signalled(Image(np.zeros((4, 4))), BlindSpot(), device="cpu")
    final, _, interrupted = consume_with_progress(stream, "a", Output(quiet=True))
    assert (final.step, interrupted, finished) == (2, True, [1, 2])
    assert signal.getsignal(number) is before


def test_the_last_line_of_stdout_is_the_only_one_with_json(
    noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["denoise", str(noisy), "-o", str(tmp_path / "o.tif"), "--json", "--quiet", *FEW]) == 0
    )
    record = json.loads(capsys.readouterr().out)
    assert record["settings"]["steps"] == 3
    assert record["files"][0]["chosen"] == 3
    assert main(["denoise", "nowhere.tif", "-o", "o.tif", "--json"]) == 2
    assert "nowhere.tif" in json.loads(capsys.readouterr().out)["error"]


def test_the_real_thing_in_a_process_of_its_own(tmp_path: Path) -> None:
    source = save(tmp_path / "a.tif", (2, 32, 33), axes="ZYX")
    words = [
        "denoise",
        str(source),
        "-o",
        str(tmp_path / "b.tif"),
        "--device",
        "cpu",
        "--json",
        *FEW,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "napari_dip", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["files"][0]["status"] == "done"
    assert read(tmp_path / "b.tif").shape == (2, 32, 33)
    made_by = read_provenance(tmp_path / "b.tif")
    assert made_by["source"]["name"] == "a.tif"


@pytest.mark.parametrize("words", [["info", "a.tif"], ["denoise", "--help"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    save(tmp_path / "a.tif")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "napari_dip", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as call:
        assert call.stdout and call.stderr
        call.stdout.close()  # as `| head` does
        assert (call.stderr.read(), call.wait()) == ("", 0)
