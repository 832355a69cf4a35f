"""The verbs ``train``, ``denoise --model`` and ``info MODEL``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_dip import Image, load_model, read, write
from napari_dip.cli import main, progress
from napari_dip.files.read_write import read_provenance

QUICK = [
    "--channels",
    "2",
    "--depth",
    "0",
    "--crop",
    "16",
    "--batch",
    "1",
    "--filter-channels",
    "2",
    "--filter-layers",
    "0",
    "--quiet",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    y, x = np.mgrid[:64, :64]
    clean = 60 + 40 * np.sin(y / 5) * np.cos(x / 7)
    (tmp_path / "raw").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).poisson(clean).astype("uint16")
        write(tmp_path / "raw" / f"{seed}.tif", Image(pixels, scale=(0.1, 0.1), units=("um", "um")))
    return tmp_path


def test_train_then_denoise_then_info(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "models" / "m.safetensors"
    words = [
        "train",
        str(folder / "raw"),
        "-o",
        str(model),
        "--steps",
        "4",
        *QUICK,
        "--description",
        "a test",
        "--json",
    ]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)
    assert (
        result["status"] == "done"
        and result["steps"] == 4
        and result["settings"]["method"] == "iddp"
    )
    assert load_model(model).description == "a test"
    assert [p.name for p in model.parent.iterdir()] == ["m.safetensors"], (
        "no checkpoint is left of a whole run"
    )
    out = folder / "out.tif"
    assert (
        main(
            [
                "denoise",
                str(folder / "raw" / "0.tif"),
                "-o",
                str(out),
                "--model",
                str(model),
                "--quiet",
            ]
        )
        == 0
    )
    answer = read(out)
    assert answer.scale == (0.1, 0.1) and answer.provenance["model"]["description"] == "a test"
    capsys.readouterr()
    assert main(["info", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["steps"] == 4
    assert main(["info", str(model)]) == 0
    assert "blurred-unet" in capsys.readouterr().out


def test_wrong_calls_are_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, model = str(folder / "raw"), str(folder / "m.safetensors")
    (folder / "taken.safetensors").write_bytes(b"")
    for words, said in (
        (["train", raw, "-o", str(folder / "m.pt")], "ending"),
        (["train", raw, "-o", str(folder / "taken.safetensors")], "exists"),
        (["train", raw, "-o", model, "--resume"], "no checkpoint"),
        (["train", str(folder / "none"), "-o", model], "no file or folder"),
        (["train", raw, "-o", model, "--method", "n2n"], "two captures"),
        (["train", raw, "-o", model, "--targets", raw], "takes no targets"),
        (["train", raw, "-o", model, "--method", "n2n", "--targets", raw], "its own target"),
        (["train", raw, "-o", model, "--alpha", "-1"], "alpha"),
        (
            ["train", raw, "-o", model, "--checkpoint-every", "nan"],
            "--checkpoint-every is nan; give seconds",
        ),
        (
            ["train", raw, "-o", model, "--checkpoint-every", "-1"],
            "--checkpoint-every is -1; give seconds",
        ),
        (["train", raw, "-o", model, "--gamma", "1"], "gamma"),
        (
            ["denoise", raw, "-o", str(folder / "o"), "--model", str(folder / "taken.safetensors")],
            "no model",
        ),
        (
            ["denoise", raw, "-o", str(folder / "o"), "--model", model, "--steps", "3"],
            "its own settings",
        ),
    ):
        assert main(words) == 2, words
        assert said in capsys.readouterr().err, words
    assert sorted(p.name for p in folder.iterdir()) == ["raw", "taken.safetensors"]


def start(words: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "napari_dip", *words]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert path.exists(), process.stdout and process.stdout.read()


def test_ctrl_c_stops_and_keeps(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def interrupt(self: progress.Progress, done: float, total: float) -> None:
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(progress.Progress, "update", interrupt)
    model = folder / "m.safetensors"
    assert main(["train", str(folder / "raw"), "-o", str(model), "--steps", "150", *QUICK]) == 1
    assert "--resume" in capsys.readouterr().out
    assert load_model(model).training["steps"] == 3
    assert (folder / "m.checkpoint.safetensors").exists()
    assert main(["train", str(folder / "raw"), "-o", str(model), "--steps", "150", *QUICK]) == 2, (
        "it asks first"
    )


def test_a_killed_training_goes_on_to_the_weights_of_an_unbroken_run(folder: Path) -> None:
    raw, steps = str(folder / "raw"), ["--steps", "150", *QUICK]
    whole, killed = folder / "whole.safetensors", folder / "killed.safetensors"
    checkpoint = folder / "killed.checkpoint.safetensors"
    process = start(["train", raw, "-o", str(killed), *steps, "--checkpoint-every", "0"])
    wait_for(checkpoint, process)
    process.kill()
    process.wait(60)
    assert checkpoint.exists() and not killed.exists(), "it was killed on its way"
    assert main(["train", raw, "-o", str(killed), *steps, "--resume"]) == 0
    assert main(["train", raw, "-o", str(whole), *steps]) == 0
    first, second = (load_model(path).net.state_dict() for path in (whole, killed))
    assert all(bool((first[name] == second[name]).all()) for name in first)
    assert not checkpoint.exists()


def test_a_model_that_could_not_be_saved_is_saved_by_resume(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folder / "m.safetensors"
    words = ["train", str(folder / "raw"), "-o", str(model), "--steps", "3", *QUICK]

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("napari_dip.models.model.Model.save", full)
        assert main(words) == 1
    assert not model.exists()
    assert main([*words, "--resume"]) == 0
    assert load_model(model).training["steps"] == 3
    assert not model.with_name("m.checkpoint.safetensors").exists()


def test_a_choice_of_numbers_is_taken_from_the_command_line(tmp_path: Path) -> None:
    write(
        tmp_path / "a.tif",
        Image(np.random.default_rng(0).poisson(20, (40, 40)).astype(np.uint8), "YX"),
    )
    words = [
        "train",
        str(tmp_path / "a.tif"),
        "-o",
        str(tmp_path / "m.safetensors"),
        "--steps",
        "2",
        "--channels",
        "4",
    ]
    assert (
        main([*words, "--crop", "16", "--filter-channels", "4", "--orientations", "4", "--quiet"])
        == 0
    )
    assert load_model(tmp_path / "m.safetensors").settings.orientations == 4
    assert main([*words, "--orientations", "3", "--overwrite"]) == 2
    apply = ["denoise", str(tmp_path / "a.tif"), "-o", str(tmp_path / "out.tif"), "--quiet"]
    assert main([*apply, "--orientations", "2"]) == 2  # of a fit
    assert main([*apply, "--model", str(tmp_path / "m.safetensors"), "--orientations", "2"]) == 0
    made = read_provenance(tmp_path / "out.tif")
    assert made["settings"]["orientations"] == 2
