"""Training in several processes: a real torchrun on the CPU, against one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dip import IDDP, N2V, Image, Nb2Nb, iter_train, load_model, write
from napari_dip.settings import Trained
from napari_dip.training.processes import ALONE, ProcessGroup, ShareDraws

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun is for Linux and macOS")
SMALL = {
    "steps": 24,
    "channels": 3,
    "depth": 1,
    "crop": 24,
    "batch": 4,
    "filter_channels": 2,
    "filter_layers": 0,
}
HOWS: list[Trained] = [
    IDDP(filter_share=0.3, **SMALL),
    N2V(start="blur", **SMALL),
    Nb2Nb(start="blur", **SMALL),
]
CALL = [
    "train",
    "raw",
    "-o",
    "m.safetensors",
    "--method",
    "n2v",
    "--start",
    "blur",
    "--checkpoint-every",
    "0",
]
CALL += [word for name in SMALL for word in (f"--{name.replace('_', '-')}", str(SMALL[name]))]

# Run by every process: the curves of three methods by the Python function, refusals, and a model by
# the command line.
TOGETHER = """
import json, os, sys
sys.path.insert(0, {tests!r})
import torch
from napari_dip import IDDP, iter_train
from napari_dip.cli import main
from napari_dip.training.processes import join_group
from test_ranks import CALL, HOWS, curve, stack
with join_group("cpu") as group:
    curves = [curve(how) for how in HOWS]
    refused = []
    for seed, batch in ((group.rank, 4), (0, 3)):
        try:
            iter_train(stack(), IDDP(seed=seed, batch=batch))
        except ValueError as error:
            refused.append(str(error))
    try:
        with group.fail_together():
            if not group.is_first:
                raise OSError("no such file")
    except (ValueError, OSError) as error:
        refused.append(str(error))
    assert group.any(not group.is_first) and not group.any(False)
    if group.is_first:
        with open("curves.json", "w") as file:
            json.dump([curves, refused], file)
    else:
        assert len(refused) == 3
    code = main(CALL)
sys.exit(code)
"""

# The second process is killed, as by a machine that fails, when it shows its tenth step.
KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from napari_dip.cli import main, progress
from test_ranks import CALL
def update(self, done, total):
    if os.environ["RANK"] == "1" and done == 10:
        os.kill(os.getpid(), signal.SIGKILL)
progress.Progress.update = update
sys.exit(main(CALL))
"""


def stack() -> Image:
    y, x = np.mgrid[:64, :64]
    clean = 60 + 40 * np.sin(y / 5) * np.cos(x / 7)
    return Image(
        np.random.default_rng(0).poisson(np.broadcast_to(clean, (3, 64, 64))).astype("uint16"),
        "TYX",
    )


def curve(how: Trained) -> list[list[float]]:
    return [[shot.loss, *shot.measures.values()] for shot in iter_train(stack(), how, device="cpu")]


def torchrun(script: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(script.format(tests=str(Path(__file__).parent)))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(program),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw" / "a.tif", stack())
    return tmp_path


def alone(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, torch.Tensor]:
    from napari_dip.cli import main

    monkeypatch.chdir(folder)
    assert main([*CALL, *words]) == 0
    return load_model(folder / "m.safetensors").net.state_dict()


@pytest.mark.timeout(600)
def test_two_processes_train_as_one_does_with_the_whole_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = torchrun(TOGETHER, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done, step 24 of 24") == 1, "only the first process speaks"
    curves, refused = json.loads((folder / "curves.json").read_text())
    for how, two in zip(HOWS, curves, strict=True):
        one = curve(how)
        assert [len(row) for row in two] == [len(row) for row in one]
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-4, rtol=0, err_msg=how.method)
    assert "not given the same settings" in refused[0] and "batch of 4," in refused[1]
    assert refused[2] == "process 1: no such file"
    assert sorted(p.name for p in folder.iterdir() if p.suffix == ".safetensors") == [
        "m.safetensors"
    ]
    two = load_model(folder / "m.safetensors")
    assert two.training["processes"] == 2
    one = alone(folder, monkeypatch, "--overwrite")
    for name, weight in two.net.state_dict().items():
        torch.testing.assert_close(weight, one[name], atol=1e-4, rtol=0)


@pytest.mark.timeout(600)
def test_a_dead_process_ends_the_training_which_can_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = torchrun(KILLED, folder)
    assert done.returncode != 0
    ours, theirs = (
        "Another process of this training has ended",
        "exitcode  : -9",
    )  # ours unless torchrun was quicker
    assert ours in done.stderr or theirs in done.stderr, done.stderr
    assert (
        not (folder / "m.safetensors").exists() and (folder / "m.checkpoint.safetensors").exists()
    )
    resumed = torchrun(
        TOGETHER.replace("HOWS]", "HOWS[:0]]").replace("main(CALL)", "main([*CALL, '--resume'])"),
        folder,
    )
    assert resumed.returncode == 0, resumed.stderr
    weights = load_model(folder / "m.safetensors").net.state_dict()
    one = alone(folder, monkeypatch, "--overwrite")
    for name, weight in weights.items():
        torch.testing.assert_close(weight, one[name], atol=1e-4, rtol=0)


def test_a_batch_is_shared_evenly_or_refused() -> None:
    assert [range(8)[ProcessGroup(n, 4).share(8)] for n in range(4)] == [
        range(k, k + 2) for k in (0, 2, 4, 6)
    ]
    with pytest.raises(ValueError, match="give a batch of 8"):
        ProcessGroup(0, 8).share(4)
    assert (
        torch.equal(ALONE.mean(torch.ones(2)), torch.ones(2))
        and ALONE.any(True)
        and not ALONE.any(False)
    )


def test_the_draws_of_all_processes_together_are_those_of_one() -> None:
    def draw(crops: int) -> list[torch.Tensor]:
        draws = torch.Generator().manual_seed(0)
        size = (crops, 1, 5, 3)
        mask = torch.rand(size, generator=draws)
        return [mask, torch.randint(0, 2, size, generator=draws), mask.new_zeros(size)]

    parts = []
    for rank in range(2):
        with ShareDraws(ProcessGroup(rank, 2)):
            parts.append(draw(3))
    for one, *two in zip(draw(6), *parts, strict=True):
        assert torch.equal(one, torch.cat(two))


def test_each_process_has_a_gpu_of_its_own_or_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="one device"):
        ProcessGroup(0, 4).pick_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(
        ValueError, match="4 processes were started on this machine, which has 2 GPUs"
    ):
        ProcessGroup(0, 4).pick_device("auto")
    assert ProcessGroup(0, 4).pick_device("cpu").type == "cpu"
