"""Wrong calls, and flags read off the settings."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from cli_help import fit_quickly, leftovers, save
from rich.console import Console

from napari_dip.cli import main
from napari_dip.cli.commands import build
from napari_dip.cli.flags import build_settings
from napari_dip.methods import registry
from napari_dip.settings import DIP, Knob, Settings, knobs

METHODS = registry.settings_classes(registry.METHODS)

HEAVY = (
    "[m for m in ('torch', 'napari', 'qtpy', 'PyQt6', 'PySide6', 'magicgui') if m in sys.modules]"
)


@pytest.fixture(autouse=True)
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fit_quickly(monkeypatch)


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    return save(tmp_path / "in" / "cells.tif")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nowhere.tif", "-o", "o.tif"], "no file or folder nowhere.tif"),
        (["", "-o", "o"], "is empty"),
        (["a.tif"], "needs --out OUT: a file for one image; a folder for one"),
        (["a.tif", "-o"], "Nothing stands after -o; give it a value: a file for one image"),
        (["-o", "o.tif"], "needs INPUTS: images (TIFF"),
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
        (["a.tif", "-o", "o.tif", "--device", "cuda:99"], "'cuda:99' was asked for"),
        (["a.tif", "-o", "o.tif", "--axes", "QYX"], "TZCYX"),
        (["a.tif", "-o", "o.tif", "--axes", "ZZX"], "TZCYX"),
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
    monkeypatch.setattr(
        "napari_dip.api.iter_denoise", lambda *_, **__: pytest.fail("work was started")
    )
    before = leftovers(tmp_path)
    assert main(["denoise", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("napari-dip: ") and captured.err.count("\n") == 1
    assert reason in captured.err
    assert leftovers(tmp_path) == before


def test_no_words_at_all_show_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert all(verb in shown.out for verb in ("demo", "denoise", "score", "info", "doctor"))
    assert shown.err == ""


def test_the_demo_refuses_a_device_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "-o", str(tmp_path / "demo"), "--device", "cuda:99"]) == 2
    assert "'cuda:99' was asked for" in capsys.readouterr().err
    assert leftovers(tmp_path) == []


def test_a_place_that_must_not_be_written_is_refused(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "napari_dip.batch.check_options.os.access", lambda *_: False
    )  # root may write everywhere
    assert main(["denoise", str(noisy), "-o", str(tmp_path / "deep" / "er" / "o.tif")]) == 2
    assert "No file can be written in" in capsys.readouterr().err


def flags_of(method: type[Settings], monkeypatch: pytest.MonkeyPatch, words: list[str]) -> Settings:
    """The settings that a command line leads to."""
    seen: list[Settings] = []
    monkeypatch.setattr(
        "napari_dip.cli.run_files.run",
        lambda inputs, out, task, *_: seen.append(task.settings) or 0,
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
    flags = {
        name: argument
        for argument in verb.assemble_argument_collection()
        for name in argument.names
    }
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
    changed = "learning_rate"
    assert changed in DIP.presets["paper"]
    given = DIP(**{changed: DIP.model_fields[changed].default})
    assert (
        getattr(build_settings(DIP, "paper", given), changed) == DIP.model_fields[changed].default
    )


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "words", [["--help"], ["denoise", "--help"], ["denoise", "no.tif", "-o", "x.tif"]]
)
def test_help_and_wrong_calls_load_no_torch(words: list[str]) -> None:
    done = fresh(
        f"import sys; from napari_dip.cli import main; main({words!r}); sys.exit(str({HEAVY}))"
    )
    assert done.stderr.strip().endswith("[]")


VERBS = (
    "demo",
    "denoise",
    "train",
    "export",
    "inpaint",
    "upscale",
    "guided",
    "invert",
    "noise",
    "score",
    "info",
    "doctor",
)


@pytest.mark.parametrize("verb", VERBS)
def test_the_flags_stand_in_groups(verb: str) -> None:
    app = build([verb])
    assert set(VERBS) == {name for name in app if not name.startswith("-")}
    page = io.StringIO()
    app.help_print([verb], console=Console(width=100, file=page))
    found = [line.strip("╭─╮ ") for line in page.getvalue().splitlines() if line.startswith("╭─")]
    kinds = (
        "Input and output",
        "How to work",
        "Settings of",
        "Many files, many machines",
        "What is said",
    )
    ranks = [
        next((i for i, kind in enumerate(kinds) if title.startswith(kind)), title)
        for title in found
    ]
    assert ranks and ranks == sorted(set(ranks))
    groups = {
        name: flag.parameter.group
        for flag in app[verb].assemble_argument_collection()
        for name in flag.names
    }
    for name, kind in (("--out", 0), ("--device", 1), ("--shard", 3), ("--json", 4)):
        assert [group.name for group in groups.get(name, ())] in ([kinds[kind]], [])


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert fresh("import sys; import napari_dip; print(" + HEAVY + ")").stdout.strip() == "[]"


# Prints the policy that stands when torch is first looked for.
WATCH = """
import os, sys
class CollapseWatch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("policy", os.environ.get("OMP_WAIT_POLICY"), flush=True)
            os._exit(0)  # what comes after it is of no account here
sys.meta_path.insert(0, CollapseWatch())
"""
ENTRIES = {
    "command line": "from napari_dip.cli import main; main({words!r})",
    "worker": "import napari_dip.batch.dask.worker, torch",
}


@pytest.mark.parametrize("given", ["", "ACTIVE"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_idle_threads_sleep_unless_the_user_says_otherwise(
    entry: str, given: str, noisy: Path, tmp_path: Path
) -> None:
    words = ["denoise", str(noisy), "-o", str(tmp_path / "out.tif"), "--steps", "1", "--quiet"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    program = WATCH + ENTRIES[entry].format(words=words)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert f"policy {given or 'PASSIVE'}" in done.stdout.splitlines()


def test_a_folder_is_not_written_under_the_name_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.tif", "b.tif"):
        save(tmp_path / "in" / name)
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out.tif")]) == 2
    assert "named as a file" in capsys.readouterr().err
    assert not (tmp_path / "out.tif").exists()


def test_a_warning_is_a_remark_without_a_line_of_code(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(*_: object, **__: object) -> None:
        warnings.warn("The reader\nwonders.", stacklevel=1)
        warnings.warn("For developers.", DeprecationWarning, stacklevel=1)
        raise ValueError("stop")

    monkeypatch.setattr("napari_dip.files.read_write.read", read)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["noise", str(noisy)]) == 1
    assert capsys.readouterr().err.splitlines() == ["The reader wonders.", "napari-dip: stop"]
