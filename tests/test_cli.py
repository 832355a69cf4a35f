"""The command line, mostly in process with a stand-in for the fit, and a few real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_dip.cli import main
from napari_dip.cli.commands import build, settings_of
from napari_dip.cli.denoise import fit
from napari_dip.cli.talk import Talk
from napari_dip.errors import DenoiseError
from napari_dip.images.files import read, read_provenance, sha256, write
from napari_dip.images.image import Image
from napari_dip.settings import DIP, METHODS, Knob, Settings, knobs
from napari_dip.snapshot import Snapshot

Fit = Callable[..., Iterator[Snapshot]]
FEW = ["--steps", "3"]


def quick(image: Image, how: Settings, *, device: str = "auto") -> Iterator[Snapshot]:
    """A fit with no network: its answer is the input and 0.25, so that types and clipping can be seen."""
    for step in range(1, 4):

        def make(step: int = step) -> Image:
            return image.with_pixels(np.asarray(image.pixels, dtype=np.float32) + 0.25 * (step == 3))

        record = {"method": "dip", "settings": how.described(), "device": device}
        yield Snapshot(step, 3, 1 / step, 1 / step, step, 0, 1, "", record, make)


@pytest.fixture(autouse=True)
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_dip.api.iter_denoise", quick)


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    return save(tmp_path / "in" / "cells.tif")


def save(path: Path, shape: tuple[int, ...] = (16, 17), dtype: str = "uint16", **about: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    write(path, Image(pixels, **about))
    return path


def leftovers(folder: Path) -> list[str]:
    """Every file under a folder, hidden ones too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_denoise_writes_the_answer_with_what_made_it(noisy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    assert main(["denoise", str(noisy), "-o", str(out), "--seed", "5", "--device", "cpu", *FEW]) == 0
    answer = read(out)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(np.asarray(answer.pixels), np.asarray(read(noisy).pixels) + 0.25)
    made_by = read_provenance(out)
    assert made_by["source"] == {"name": "cells.tif", "sha256": sha256(noisy)}
    assert made_by["settings"] == DIP(seed=5, steps=3).described()
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
    assert main(["denoise", str(source), "-o", str(tmp_path / "b.tif"), "--dtype", "same", "--json"]) == 0
    np.testing.assert_array_equal(np.asarray(read(tmp_path / "b.tif").pixels), [[1, 101], [255, 255]])
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
        assert main(["denoise", str(tmp_path), "-o", str(tmp_path / "out"), "--overwrite", *FEW]) == 0
    assert leftovers(tmp_path) == ["a.tif", "out/a.tif"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nowhere.tif", "-o", "o.tif"], "no file or folder nowhere.tif"),
        (["a.tif"], "--out"),
        (["-o", "o.tif"], "INPUTS"),
        (["a.tif", "-o", "folder"], "is a folder"),
        (["a.tif", "b.tif", "-o", "c.tif"], "is a file"),
        (["a.tif", "-o", "b.tif"], "exists"),
        (["a.tif", "-o", "a.tif"], "the input itself"),
        (["a.tif", "-o", "o.jpg"], "images are written as"),
        (["a.tif", "-o", "o.png"], "holds no float32"),
        (["a.tif", "-o", "a.tif/o.tif"], "is a file"),
        (["notes.txt", "-o", "o.tif"], "not an image that can be read"),
        (["empty", "-o", "o"], "no image in the folder"),
        (["a.tif", "other/a.tif", "-o", "o"], "both be written"),
        (["other", "deep", "-o", ".", "--overwrite"], "is another input"),
        (["a.tif", "-o", "o.tif", "--device", "cude:0"], "--device is 'cude:0'"),
        (["a.tif", "-o", "o.tif", "--dtype", "int3"], "int3"),
        (["a.tif", "-o", "o.tif", "--steps", "0"], "steps"),
        (["a.tif", "-o", "o.tif", "--steps", "many"], "steps"),
        (["a.tif", "-o", "o.tif", "--method", "nomethod"], "nomethod"),
        (["a.tif", "-o", "o.tif", "--preset", "nopreset"], "nopreset"),
        (["a.tif", "-o", "o.tif", "--nonsense"], "--nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_2_with_one_sentence_before_any_work(
    words: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif", "c.tif", "other/a.tif", "deep/other/a.tif"):
        save(Path(name))
    for name in ("folder", "empty"):
        Path(name).mkdir()
    Path("notes.txt").write_text("x")
    monkeypatch.setattr("napari_dip.api.iter_denoise", lambda *_, **__: pytest.fail("work was started"))
    before = leftovers(tmp_path)
    assert main(["denoise", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("napari-dip: ") and captured.err.count("\n") == 1
    assert reason in captured.err
    assert leftovers(tmp_path) == before


def test_a_place_that_must_not_be_written_is_refused(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("napari_dip.cli.plan.os.access", lambda *_: False)  # root may write everywhere
    assert main(["denoise", str(noisy), "-o", str(tmp_path / "deep" / "er" / "o.tif")]) == 2
    assert "No file can be written in" in capsys.readouterr().err


def test_overwrite_replaces_the_input_itself(noisy: Path) -> None:
    before = np.asarray(read(noisy).pixels).copy()
    assert main(["denoise", str(noisy), "-o", str(noisy), "--overwrite", *FEW]) == 0
    np.testing.assert_allclose(np.asarray(read(noisy).pixels), before + 0.25)
    assert leftovers(noisy.parent) == ["cells.tif"]


@pytest.mark.parametrize(
    "error", [DenoiseError("out of memory: use a crop"), ValueError("NaN at (3, 4)"), RuntimeError("bug")]
)
def test_a_failing_fit_is_said_and_leaves_nothing(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails_on_the_first(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        yield next(quick(image, how))
        if image.shape == (5, 5):
            raise error

    monkeypatch.setattr("napari_dip.api.iter_denoise", fails_on_the_first)
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

    monkeypatch.setattr("napari_dip.api.iter_denoise", interrupted)
    for name in "abc":
        save(tmp_path / "in" / f"{name}.tif")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"]) == 1
    assert leftovers(tmp_path / "out") == ["a.tif"]
    assert read_provenance(tmp_path / "out" / "a.tif")["interrupted"] is True
    captured = capsys.readouterr()
    assert "answer so far" in captured.err and "2 of 3 files were not begun" in captured.err
    record = json.loads(captured.out)
    assert record["not_begun"] == 2 and record["files"][0]["status"] == "interrupted"


def test_ctrl_c_before_the_first_step_writes_nothing(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(*_: object, **__: object) -> Iterator[Snapshot]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("napari_dip.api.iter_denoise", at_once)
    assert main(["denoise", str(noisy), "-o", str(tmp_path / "out.tif")]) == 1
    assert leftovers(tmp_path) == ["in/cells.tif"]


def test_the_first_ctrl_c_lets_the_step_at_hand_end(monkeypatch: pytest.MonkeyPatch) -> None:
    finished: list[int] = []

    def signalled(image: Image, how: Settings, *, device: str) -> Iterator[Snapshot]:
        for snapshot in quick(image, how):
            if snapshot.step == 2:
                os.kill(os.getpid(), signal.SIGINT)
            finished.append(snapshot.step)
            yield snapshot

    monkeypatch.setattr("napari_dip.api.iter_denoise", signalled)
    before = signal.getsignal(signal.SIGINT)
    final, interrupted = fit(Image(np.zeros((4, 4))), DIP(), "cpu", "a", Talk(quiet=True))
    assert (final.step, interrupted, finished) == (2, True, [1, 2])
    assert signal.getsignal(signal.SIGINT) is before


def test_the_last_line_of_stdout_is_the_only_one_with_json(
    noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["denoise", str(noisy), "-o", str(tmp_path / "o.tif"), "--json", "--quiet", *FEW]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["settings"]["steps"] == 3
    assert record["files"][0]["chosen"] == 3
    assert main(["denoise", "nowhere.tif", "-o", "o.tif", "--json"]) == 2
    assert "nowhere.tif" in json.loads(capsys.readouterr().out)["error"]


def flags_of(method: type[Settings], monkeypatch: pytest.MonkeyPatch, words: list[str]) -> Settings:
    """The settings that a command line leads to."""
    seen: list[Settings] = []
    monkeypatch.setattr(
        "napari_dip.cli.denoise.run", lambda inputs, out, task, talk: seen.append(task.settings) or 0
    )
    assert main(["denoise", "x.tif", "-o", "y.tif", "--method", method.method, *words]) == 0
    return seen[0]


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_an_empty_command_line_gives_the_defaults(
    method: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flags_of(method, monkeypatch, []) == method()


@pytest.mark.parametrize(
    ("method", "knob"),
    [(method, knob) for method in METHODS.values() for knob in knobs(method)],
    ids=lambda value: value.name if isinstance(value, Knob) else value.method,
)
def test_every_knob_is_a_flag_with_its_default_and_help(method: type[Settings], knob: Knob) -> None:
    verb = build(["denoise", "--method", method.method])["denoise"]
    flags = {name: argument for argument in verb.assemble_argument_collection() for name in argument.names}
    flag = flags["--" + knob.name.replace("_", "-")]
    assert flag.parameter.help == knob.help
    assert flag.field_info.default == knob.default


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_a_preset_is_the_base_and_a_flag_wins(
    method: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in method.presets:
        assert flags_of(method, monkeypatch, ["--preset", name]) == method.preset(name)
        given = flags_of(method, monkeypatch, ["--preset", name, "--seed", "7"])
        assert given == method.preset(name, seed=7)


def test_a_flag_that_equals_the_class_default_still_beats_the_preset() -> None:
    changed = next(iter(DIP.presets["paper"]))
    given = DIP(**{changed: DIP.model_fields[changed].default})
    assert getattr(settings_of(DIP, "paper", given), changed) == DIP.model_fields[changed].default


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


def test_score_refuses_what_it_can_not_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = save(tmp_path / "clean.tif", dtype="float32")
    other = save(tmp_path / "other.tif", (9, 9))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0")
    assert main(["score", str(clean), str(clean)]) == 1
    assert "range" in capsys.readouterr().err
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
    assert "\x1b" not in text, "control codes out of a file must not reach the terminal"
    assert main(["info", str(path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["axes"] == "ZYX" and record["scale"] == pytest.approx([0.3, 0.1, 0.1])
    assert record["provenance"] == made_by
    assert main(["info", str(tmp_path / "nowhere.tif")]) == 1


def test_demo_writes_the_image_and_the_picture_and_says_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path / "demo"), "--json", *FEW]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {"psnr_noisy", "psnr_denoised", "ssim_noisy", "ssim_denoised", "seconds"} <= record.keys()
    assert 15 < record["psnr_noisy"] < 30 and 0 < record["ssim_noisy"] < 1
    assert leftovers(tmp_path / "demo") == ["fish_denoised.png", "fish_denoised.tif"]
    assert read(tmp_path / "demo" / "fish_denoised.tif").shape == (512, 512)
    picture = np.asarray(read(tmp_path / "demo" / "fish_denoised.png").pixels)
    assert picture.shape[1] > 1000 and picture.std() > 10
    (tmp_path / "file").write_text("x")
    assert main(["demo", "--out", str(tmp_path / "file")]) == 2


def test_doctor_says_why_cuda_is_not_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["versions"]["torch"] and record["threads"] >= 1
    cpu = next(device for device in record["devices"] if device["name"] == "cpu")
    assert 0 < cpu["seconds_per_step"] < 60
    has_cuda = any(device["name"].startswith("cuda") for device in record["devices"])
    assert has_cuda == (record["cuda"] == "used")


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


HEAVY = "[m for m in ('torch', 'napari', 'qtpy', 'PyQt6', 'PySide6', 'magicgui') if m in sys.modules]"


@pytest.mark.parametrize("words", [["--help"], ["denoise", "--help"], ["denoise", "no.tif", "-o", "x.tif"]])
def test_help_and_wrong_calls_are_quick_and_load_no_torch(words: list[str]) -> None:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        done = fresh(f"import sys; from napari_dip.cli import main; main({words!r}); sys.exit(str({HEAVY}))")
        best = min(best, time.perf_counter() - started)
    assert done.stderr.strip().endswith("[]")
    assert best < 1


def test_importing_the_package_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; t = time.perf_counter(); import napari_dip; t = time.perf_counter() - t; print(t, "
    )
    results = [fresh(code + HEAVY + ")").stdout.split(maxsplit=1) for _ in range(3)]
    assert all(loaded.strip() == "[]" for _, loaded in results)
    assert min(float(seconds) for seconds, _ in results) < 0.3


def test_the_real_thing_in_a_process_of_its_own(tmp_path: Path) -> None:
    source = save(tmp_path / "a.tif", (2, 32, 33), axes="ZYX")
    words = ["denoise", str(source), "-o", str(tmp_path / "b.tif"), "--device", "cpu", "--json", *FEW]
    done = subprocess.run(
        [sys.executable, "-m", "napari_dip", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["files"][0]["status"] == "done"
    assert read(tmp_path / "b.tif").shape == (2, 32, 33)
    made_by = read_provenance(tmp_path / "b.tif")
    assert made_by["source"]["name"] == "a.tif"
