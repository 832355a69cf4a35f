"""A file of settings: what it holds is taken as if it stood on the command line, which wins."""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path

import pytest
from cli_help import save

from napari_dip.batch.config import HEAD, config_values, read_config, write_config
from napari_dip.batch.methods_text import settings_of, settings_text
from napari_dip.batch.task import Task
from napari_dip.cli import main
from napari_dip.cli.commands import build
from napari_dip.errors import UsageError
from napari_dip.methods import registry
from napari_dip.settings import DIP, PatchDIP, Settings, knobs

METHODS = registry.settings_classes(registry.METHODS)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Stand in for the work, and remember what was asked for."""
    seen: list[Task] = []
    monkeypatch.setattr(
        "napari_dip.cli.run_files.run", lambda inputs, out, task, *_: seen.append(task) or 0
    )
    return seen


def call(tmp_path: Path, text: str, *words: str) -> int:
    (tmp_path / "s.toml").write_text(text, "utf-8")
    return main(
        [
            "denoise",
            str(tmp_path),
            "-o",
            str(tmp_path / "out"),
            "--config",
            str(tmp_path / "s.toml"),
            *words,
        ]
    )


def test_the_file_stands_for_the_flags_and_flags_win(tmp_path: Path, tasks: list[Task]) -> None:
    text = """
    method = "dip"
    preset = "paper"
    learning-rate = 1e-05
    channels = 7
    backtrack = false
    device = "cpu"
    dtype = "same"
    axes = "ZYX"
    pattern = "*_raw.tif"
    recursive = false
    std = true
    """
    assert call(tmp_path, text, "--channels", "9", "--axes=TYX", "--seed", "-0") == 0
    task = tasks[0]
    wanted = DIP.preset(
        "paper", learning_rate=1e-05, channels=9, backtrack=False
    ).with_uncertainty()
    assert task.settings == wanted
    assert (task.device, task.dtype, task.axes, task.pattern) == ("cpu", "same", "TYX", "*_raw.tif")
    assert not task.recursive and task.std


def test_another_method_on_the_command_line_wins(tmp_path: Path, tasks: list[Task]) -> None:
    assert call(tmp_path, 'method = "dip"\nseed = 3', "--method", "patchdip") == 0
    assert tasks[0].settings == PatchDIP(seed=3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 3", ["colour", "neither a flag"]),
        ("steps = 'many'", ["steps", "integer"]),
        ("steps = 0", ["steps", "greater"]),
        ("std = 1", ["std", "boolean"]),
        ("device = 0", ["device", "string"]),
        ("dtype = 'uint8'", ["dtype", "'float32' or 'same'"]),
        ("method = 'iddp'", ["method", "dip or patchdip"]),
        ("preset = 'slow'", ["preset", "fast"]),
        ("method = 'patchdip'\nbacktrack = true", ["backtrack", "patchdip"]),
        ("stop = 'variance'", ["stop = 'variance'"]),
        ("model = 'a.safetensors'\nsteps = 3", ["model", "steps"]),
        ("steps = ", ["TOML"]),
        ("[settings]\nsteps = 3", ["settings"]),
    ],
)
def test_what_is_wrong_names_the_file_and_the_key(
    text: str,
    words: list[str],
    tmp_path: Path,
    tasks: list[Task],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(tmp_path, text) == 2
    said = capsys.readouterr().err.strip()
    assert "s.toml" in said and all(word in said for word in words)
    assert len(said.splitlines()) == 1 and not tasks


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, word in (
        (tmp_path / "none.toml", "No such file"),
        (tmp_path, "directory"),
        (Path("-o"), "-o"),
    ):
        assert (
            main(["denoise", str(tmp_path), "-o", str(tmp_path / "o"), "--config", str(path)]) == 2
        )
        assert word in capsys.readouterr().err


def test_a_model_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('model = "lab.safetensors"\naxes = "ZYX"')
    assert read_config(tmp_path / "s.toml")["model"] == str(tmp_path / "lab.safetensors")
    assert read_config(tmp_path / "s.toml", {"seed": "3"}) == {"axes": "ZYX"}, (
        "settings given win over the model"
    )
    (tmp_path / "s.toml").write_text('method = "dip"\npreset = "paper"\nseed = 3\naxes = "ZYX"')
    assert read_config(tmp_path / "s.toml", {"model": "m"}) == {"axes": "ZYX"}, (
        "a model given wins over settings"
    )


@pytest.mark.parametrize("name", list(METHODS))
def test_what_was_saved_is_what_is_read(name: str, tmp_path: Path) -> None:
    method: type[Settings] = METHODS[name]
    preset = list(method.presets)[-1]
    how = method.preset(preset, seed=7, steps=11)
    values = config_values(
        how,
        preset,
        None,
        device="cpu",
        axes=None,
        dtype="same",
        pattern='a "b" ü\\*.tif',
        recursive=True,
    )
    write_config(tmp_path / "s.toml", values)
    assert read_config(tmp_path / "s.toml") == {
        key: value for key, value in values.items() if value is not None
    }
    assert values["seed"] == 7 and values["steps"] == 11 and "learning_rate" not in values
    with pytest.raises(UsageError, match="exists"):
        write_config(tmp_path / "s.toml", values)


def test_a_call_writes_its_settings_and_they_give_the_same_call(
    tmp_path: Path, tasks: list[Task]
) -> None:
    words = [
        "denoise",
        str(tmp_path),
        "-o",
        str(tmp_path / "out"),
        "--learning-rate",
        "0.003",
        "--no-recursive",
    ]
    words += ["--pattern", "*.tif", "--std", "--axes", "ZYX"]
    words += ["--method", "dip", "--preset", "paper"]
    assert main([*words, "--save-config", str(tmp_path / "s.toml")]) == 0
    assert (tmp_path / "s.toml").read_text().startswith(HEAD)
    assert main([*words[:4], "--config", str(tmp_path / "s.toml")]) == 0
    assert tasks[0] == tasks[1]
    assert main([*words, "--save-config", str(tmp_path / "s.toml")]) == 2, (
        "nothing is replaced unasked"
    )


def test_settings_replace_no_image_and_a_rehearsal_writes_none(
    tmp_path: Path, tasks: list[Task]
) -> None:
    save(tmp_path / "in" / "a.tif")
    before = (tmp_path / "in" / "a.tif").read_bytes()
    words = ["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--overwrite"]
    assert main([*words, "--save-config", str(tmp_path / "in" / "a.tif")]) == 2
    assert (tmp_path / "in" / "a.tif").read_bytes() == before
    assert main([*words, "--dry-run", "--save-config", str(tmp_path / "s.toml")]) == 0
    assert not (tmp_path / "s.toml").exists()


@pytest.mark.parametrize("line", ["steps = true", 'method = "dip"\nbacktrack = "no"'])
def test_switches_and_numbers_are_not_mixed_up(line: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(line)
    with pytest.raises(UsageError, match=rf"s.toml: {line.splitlines()[-1].split()[0]} = .*valid"):
        read_config(tmp_path / "s.toml")


def test_patterns_and_recursion_choose_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_dip.batch.estimate.estimate_seconds", lambda *_, **__: 1.0)
    for name in ("a_raw.tif", "a_ref.tif", "day1/b_raw.tif", "day2/c_raw.tif"):
        save(tmp_path / "in" / name)

    def chosen(*words: str) -> list[str]:
        call = [
            "denoise",
            str(tmp_path / "in"),
            "-o",
            str(tmp_path / "out"),
            "--dry-run",
            "--json",
            *words,
        ]
        assert main(call) == 0
        return [Path(row["input"]).name for row in json.loads(capsys.readouterr().out)["files"]]

    assert chosen("--pattern", "*_raw.tif") == ["a_raw.tif", "b_raw.tif", "c_raw.tif"]
    assert chosen("--pattern", "day1/*.tif") == ["b_raw.tif"]
    assert chosen("--no-recursive") == ["a_raw.tif", "a_ref.tif"]
    assert (
        main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--pattern", "*.nd2"])
        == 2
    )
    assert "*.nd2" in capsys.readouterr().err


@pytest.mark.parametrize("name", METHODS)
def test_the_command_that_a_record_gives_is_understood(name: str) -> None:
    how = METHODS[name](seed=3)
    for knob in knobs(type(how)):
        if knob.annotation is bool:
            changed = {knob.name: not getattr(how, knob.name)}
            with contextlib.suppress(ValueError):  # knobs that exclude each other
                how = type(how)(**{**how.model_dump(), **changed})
    record = {"settings": how.to_json()}
    assert settings_of(record) == how
    words = shlex.split(settings_text(record).splitlines()[0].removeprefix("# "))[1:]
    _, bound, _ = build(words).parse_args(words, exit_on_error=False, print_error=False)
    assert bound.arguments
