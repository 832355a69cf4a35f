"""The chunks of a large stack on the workers of a cluster: killed, failing, by command line."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_help import leftovers, save
from test_chunks import APART, model, stack

pytest.importorskip("distributed", reason="the extra distributed is not installed")

from napari_dip.batch.dask import chunks
from napari_dip.batch.dask.chunk_plan import ChunkPlan
from napari_dip.batch.dask.cluster import connect, process_jobs
from napari_dip.batch.jobs import Job
from napari_dip.batch.process_file import process_file
from napari_dip.batch.task import Task, with_model
from napari_dip.cli import main
from napari_dip.files.read_write import read
from napari_dip.snapshot import consume

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def _small_stacks_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LARGE", 7 * 24 * 25 * 4)  # the workers are told


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_same_bytes_though_a_worker_is_killed_at_a_chunk(tmp_path: Path) -> None:
    task = Task(APART.model_copy(update={"steps": 20}))
    names = [stack(tmp_path / "in"), save(tmp_path / "in" / "plane.tif", (30, 31))]
    jobs = [Job(name, tmp_path / "spread" / name.name) for name in names]
    threads, killed, shares, at_work = torch.get_num_threads(), [], [], threading.Event()
    with connect(2, None) as client:
        pids = client.run(os.getpid)

        def moved(number: int, share: float) -> None:
            shares.append((number, share))
            if number == 0 and share < 0.9:
                at_work.set()

        def kill() -> None:
            at_work.wait(120)
            for address, keys in client.processing().items():
                if not killed and any("process_chunk_of" in str(key) for key in keys):
                    killed.append(pids[address])
                    os.kill(pids[address], signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        ended = {
            number: outcome.record for number, outcome in process_jobs(client, jobs, task, moved)
        }
        (used,) = set(client.run(torch.get_num_threads).values())
    assert killed and [ended[number]["status"] for number in (0, 1)] == ["done", "done"]
    stack_shares = [share for number, share in shares if number == 0]
    assert max(stack_shares) == pytest.approx(1.0) and len(set(stack_shares)) > 4
    torch.set_num_threads(used)
    try:
        for name in names:
            process_file(Job(name, tmp_path / "alone" / name.name), task, consume)
    finally:
        torch.set_num_threads(threads)
    for name in names:
        assert (tmp_path / "spread" / name.name).read_bytes() == (
            tmp_path / "alone" / name.name
        ).read_bytes()
    assert leftovers(tmp_path / "spread") == ["in.tif", "plane.tif"]


def test_a_stack_whose_chunks_fail_is_one_failed_row(tmp_path: Path) -> None:
    from distributed import LocalCluster

    task = with_model(Task(APART), model(tmp_path / "m.safetensors", colours=3))
    sources = [stack(tmp_path, name="grey.tif"), stack(tmp_path, "ZYXC", "colour.tif")]
    jobs = [Job(source, tmp_path / "out" / source.name) for source in sources]
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as local,
        connect(None, local.scheduler_address) as client,
    ):
        ended = list(process_jobs(client, jobs, task, lambda *_: None))
    assert sorted(number for number, _ in ended) == [0, 1]
    grey, colour = (dict(ended)[number].record for number in (0, 1))
    assert grey["status"] == "failed" and "images of 3 colours" in grey["error"]
    assert colour["status"] == "done" and colour["planes"] == 4 and colour["residual"]
    assert leftovers(tmp_path / "out") == ["colour.tif"]


def test_a_run_that_was_killed_goes_on_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import LocalCluster

    words = [
        "denoise",
        str(stack(tmp_path)),
        "--steps",
        "4",
        "--channels",
        "4",
        "--seed",
        "3",
        "--quiet",
        "--std",
    ]
    words += ["--through-stack", "apart"]
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local:
        started = [
            *words,
            "-o",
            str(tmp_path / "out" / "x.tif"),
            "--scheduler",
            local.scheduler_address,
            "--json",
        ]
        before, done = chunks.process_chunk, []

        def killed(division: ChunkPlan, number: int, *more: object) -> bool:
            if number == 3:
                raise OSError("the disk went away")
            done.append(number)
            return before(division, number, *more)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("napari_dip.batch.dask.worker.process_chunk", killed)
            assert main(started) == 1
        assert (
            "the disk went away" in capsys.readouterr().err
            and not (tmp_path / "out" / "x.tif").exists()
        )
        there = list((tmp_path / "out").glob(".*.chunks/*.tif"))
        assert len(there) == 2 * len(done) and done == [0, 1, 2], (
            "an answer and its standard deviation each"
        )
        made = []

        def counted(division: ChunkPlan, number: int, *more: object) -> bool:
            made.append(not division.files(number)[0].exists())
            return before(division, number, *more)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("napari_dip.batch.dask.worker.process_chunk", counted)
            assert main(started) == 0
    assert made == [False, False, False, True]
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
    assert row["planes"] == 7 and row["std"] == str(tmp_path / "out" / "x_std.tif")
    assert leftovers(tmp_path / "out") == ["x.tif", "x_std.tif"]
    assert main([*words, "-o", str(tmp_path / "alone.tif")]) == 0
    for one, other in (("out/x.tif", "alone.tif"), ("out/x_std.tif", "alone_std.tif")):
        np.testing.assert_allclose(
            read(tmp_path / one).pixels, read(tmp_path / other).pixels, rtol=1e-5
        )
