"""The verbs score, info, demo and doctor, and what is said on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cli_help import FEW, fit_quickly, leftovers, quick, save

from napari_dip.batch.estimate import estimate_seconds, format_duration
from napari_dip.cli import main
from napari_dip.cli.demo_picture import axis_labels, draw, figure_of
from napari_dip.cli.progress import Progress
from napari_dip.errors import DenoiseError
from napari_dip.files.read_write import read, write
from napari_dip.images.image import Image
from napari_dip.methods.registry import METHODS
from napari_dip.settings import DIP, BlindSpot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fit_quickly(monkeypatch)


def test_score_says_the_range_and_where_it_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = save(tmp_path / "clean.tif", dtype="uint8")
    restored = tmp_path / "restored.tif"
    write(restored, Image(np.asarray(read(clean).pixels).astype("float32") + 2))
    assert main(["score", str(clean), str(restored)]) == 0
    line = capsys.readouterr().out
    assert "PSNR 42.11 dB" in line and "range 255" in line and "uint8" in line
    assert main(["score", str(clean), str(restored), "--data-range", "100", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["psnr"] == pytest.approx(20 * np.log10(100 / 2))
    assert (record["data_range"], record["data_range_from"]) == (100, "as given")
    assert main(["score", str(clean), str(restored), "--affine", "--json"]) == 0
    matched = json.loads(capsys.readouterr().out)["psnr"]
    assert matched is None or matched > 100, "an offset is undone by --affine; infinite is null"


def test_score_refuses_what_it_can_not_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = save(tmp_path / "clean.tif", dtype="float32")
    other = save(tmp_path / "other.tif", (9, 9))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0")
    assert main(["score", str(clean), str(clean)]) == 2, "a flag is missing"
    assert "--data-range" in capsys.readouterr().err
    assert main(["score", str(clean), str(other), "--data-range", "1"]) == 1
    assert "shape" in capsys.readouterr().err
    assert main(["score", str(clean), str(broken), "--data-range", "1"]) == 1
    assert main(["score", str(clean), str(clean), "--data-range", "0"]) == 2


def test_info_shows_what_the_file_holds_and_what_made_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"axes": "ZYX", "scale": (0.3, 0.1, 0.1), "units": ("um", "um", "um")}
    path = tmp_path / "a.tif"
    made_by = {"settings": {"seed": 3}, "note": "a\x1b[31mb"}
    write(path, Image(np.zeros((2, 3, 4), np.float32), provenance=made_by, **about))
    assert main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert "ZYX" in text and "2 x 3 x 4" in text and "Z 0.3 um" in text and "seed: 3" in text
    blank = tmp_path / "b.tif"
    write(
        blank,
        Image(
            np.zeros((2, 3, 4), np.float32),
            axes="TYX",
            scale=(1, 0.1, 0.1),
            units=("pixel", "um", "um"),
        ),
    )
    assert main(["info", str(blank)]) == 0
    assert "T not given, Y 0.1 um" in capsys.readouterr().out
    assert "\x1b" not in text, "control codes out of a file must not reach the terminal"
    assert main(["info", str(path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["axes"] == "ZYX" and record["scale"] == pytest.approx([0.3, 0.1, 0.1])
    assert record["provenance"] == made_by
    assert main(["info", str(tmp_path / "nowhere.tif")]) == 1


def test_an_image_too_large_to_be_read_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_large(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("napari_dip.files.read_write.read", too_large)
    assert main(["info", "a.tif"]) == 1
    assert capsys.readouterr().err.startswith("napari-dip: The computer ran out of memory;")


@pytest.mark.parametrize(
    ("intercept", "words"),
    [
        (-3.25, "variance = 2.5 * intensity - 3.25, as fitted\n"),
        (9.0, "intensity + 9, as fitted, a read noise of 3\n"),
    ],
)
def test_info_says_the_noise_as_the_line_that_it_is(
    intercept: float, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    noise = {"gain": 2.5, "variance": intercept}
    for record in (noise, [noise, None, noise], "nonsense"):
        write(
            path, Image(np.zeros((3, 4), np.float32), provenance={"noise": record}), overwrite=True
        )
        assert main(["info", str(path)]) == 0
        text = capsys.readouterr().out
        assert (words.strip() in text) == (record != "nonsense") and "variance: -" not in text


def test_info_says_what_neighbours_share_without_the_whole_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = np.zeros((17, 17))
    table[8, 8:11], table[9:11, 8] = (1, 0.6, 0.2), (0.4, 0.1)
    noise = {"hole": [2, 2], "correlation": table.tolist()}
    for record in (noise, [noise, noise], {"correlation": "nonsense"}):
        image = Image(np.zeros((3, 4), np.float32), provenance={"measured_noise": record})
        write(tmp_path / "a.tif", image, overwrite=True)
        assert main(["info", str(tmp_path / "a.tif")]) == 0
        text = capsys.readouterr().out
        short = "0.40, 0.10 with the pixels 1 and 2 away in y; 0.60, 0.20 in x"
        known = record[:] if isinstance(record, list) else [record]
        assert text.count(short) == sum(one is noise for one in known)
        assert "0.0, 0.0, 0.0" not in text


def test_demo_writes_the_image_and_the_picture_and_says_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path / "demo"), "--json", *FEW]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {
        "psnr_noisy",
        "psnr_denoised",
        "ssim_noisy",
        "ssim_denoised",
        "seconds",
    } <= record.keys()
    assert 15 < record["psnr_noisy"] < 30 and 0 < record["ssim_noisy"] < 1
    assert leftovers(tmp_path / "demo") == ["fish_denoised.png", "fish_denoised.tif"]
    assert read(tmp_path / "demo" / "fish_denoised.tif").shape == (512, 512)
    picture = np.asarray(read(tmp_path / "demo" / "fish_denoised.png").pixels)
    assert picture.shape[1] > 1000 and picture.std() > 10
    (tmp_path / "file").write_text("x")
    assert main(["demo", "--out", str(tmp_path / "file")]) == 2


def test_doctor_says_why_cuda_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()  # the speed test is a real fit
    for name, value in (("SIZE", 32), ("PROBE", 0.01)):
        monkeypatch.setattr(f"napari_dip.cli.doctor.{name}", value)
    assert main(["doctor", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["versions"]["torch"] and record["threads"] >= 1
    cpu = next(device for device in record["devices"] if device["name"] == "cpu")
    assert set(cpu["seconds"]) == set(METHODS)
    assert 0 < cpu["seconds"]["blind-spot"] < cpu["seconds"]["dip"]
    has_cuda = any(device["name"].startswith("cuda") for device in record["devices"])
    assert has_cuda == (record["cuda"] == "used")


def test_doctor_names_a_broken_device_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise DenoiseError("The GPU is not well.")

    fit_quickly(monkeypatch, broken)
    assert main(["doctor"]) == 0
    assert "The GPU is not well." in capsys.readouterr().out


def test_the_time_of_work_is_told_from_its_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 6.0, 7.0, 8.0])  # the first step takes 5 s, each other one 1 s
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    steps = (SimpleNamespace(step=n, total=100) for n in range(1, 101))
    assert estimate_seconds(steps, probe=3.0) == 5 + 99


@pytest.mark.parametrize("preset", DIP.presets)
def test_the_picture_takes_losses_of_any_sign_and_gaps(preset: str, tmp_path: Path) -> None:
    plane = Image(np.random.default_rng(0).random((8, 8)))
    images = dict.fromkeys(("noisy", "denoised", "clean"), plane)
    curve = [(step, -1.5 + step / 20, 0.013 if step % 10 == 1 else None) for step in range(1, 60)]
    figure = figure_of(
        images, dict.fromkeys(images, ""), curve, 41, 1.0, axis_labels(DIP.preset(preset))
    )
    *_, below, right = figure.axes
    assert len(below.lines[0].get_ydata()) == 59 and min(below.lines[0].get_ydata()) < 0
    assert list(right.lines[0].get_xdata()) == [1, 11, 21, 31, 41, 51]
    assert "loss" in below.get_ylabel() and right.get_ylabel() not in ("", below.get_ylabel())
    assert any("41" in text.get_text() for text in below.texts)
    draw(tmp_path / "a.png", images, dict.fromkeys(images, ""), curve, 41, 1.0)
    assert leftovers(tmp_path) == ["a.png"]


def test_the_curve_is_labelled_by_the_method_that_made_it() -> None:
    for how in (BlindSpot(), DIP()):
        loss, criterion = axis_labels(how)
        assert how.title in loss and criterion == "squared error on\nhidden pixels, with noise"


def test_progress_has_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("napari_dip.cli.progress.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("napari_dip.cli.progress.LINE_EVERY", 0.0)
    steps = [replace(s, total=600) for s in quick(Image(np.zeros((4, 4))), BlindSpot())]
    with Progress("cells.tif") as lines:
        for snapshot in steps:
            lines.update(snapshot.step, snapshot.total)
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "cells.tif: 1 of 600 steps, starting"
    monkeypatch.setattr("napari_dip.cli.progress.LINE_EVERY", 2.5)
    with Progress("cells.tif") as lines:
        for snapshot in steps:
            lines.update(snapshot.step, snapshot.total)
    (line,) = capsys.readouterr().err.splitlines()
    assert "steps/s" in line, "the clock runs from the first step, not from the first line"
    assert shown[-1].startswith("cells.tif: 3 of 600 steps, ")
    assert "steps/s, at most " in shown[-1] and shown[-1].endswith(" left")


def test_the_bar_shows_and_goes_on_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with pytest.raises(ValueError, match="stop"), Progress("cells.tif") as progress:
        for snapshot in quick(Image(np.zeros((4, 4))), BlindSpot()):
            progress.update(snapshot.step, snapshot.total)
        raise ValueError("stop")
    assert progress.bar.tasks[0].completed == 3 and not progress.bar.live.is_started


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05"), (-3, "0:00")],
)
def test_durations_read_as_on_a_clock(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
