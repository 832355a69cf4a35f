"""Files on several processes: the same bytes as one by one, also where a worker is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from cli_help import save

pytest.importorskip("distributed", reason="the extra distributed is not installed")

from napari_dip.batch.dask import worker
from napari_dip.batch.dask.cluster import connect, process_jobs, workers_by_host
from napari_dip.batch.dask.task_json import task_from_json, task_to_json
from napari_dip.batch.jobs import Job
from napari_dip.batch.process_file import Outcome
from napari_dip.batch.task import Task
from napari_dip.cli import main
from napari_dip.errors import UsageError
from napari_dip.settings import BlindSpot, PatchDIP

pytestmark = pytest.mark.timeout(600)
HOW = BlindSpot(steps=60, channels=8, seed=3)
FLAGS = ["--steps", "60", "--channels", "8", "--seed", "3"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        save(tmp_path / "in" / f"{number}.tif", shape=(40, 41 + number))
    (tmp_path / "in" / "text.tif").write_text("no image")
    return tmp_path


@pytest.mark.parametrize(
    ("module", "words"), [("distributed", "is not installed"), ("tblib", "No module named 'tblib'")]
)
def test_what_dask_lacks_is_named(monkeypatch: pytest.MonkeyPatch, module: str, words: str) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("napari_dip.batch.dask.cluster.import_module", missing)
    with pytest.raises(UsageError, match=words), connect(2, None):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_same_bytes_though_a_worker_is_killed(folder: Path) -> None:
    threads = torch.get_num_threads()
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    torch.set_num_threads(max(1, cores // 2))  # as many as each of two workers has
    try:
        assert (
            main(["denoise", str(folder / "in"), "-o", str(folder / "alone"), *FLAGS, "--quiet"])
            == 1
        )
    finally:
        torch.set_num_threads(threads)
    names = sorted((folder / "in").iterdir())
    jobs = [Job(name, folder / "spread" / name.name) for name in names]
    ended: dict[int, dict[str, object]] = {}
    killed: list[int] = []
    shares: list[tuple[int, float]] = []
    with connect(2, None) as client:
        pids = client.run(os.getpid)

        def moved(number: int, share: float) -> None:
            shares.append((number, share))

        for number, outcome in process_jobs(client, jobs, Task(HOW), moved):
            assert number not in ended
            ended[number] = outcome.record
            busy = [address for address, keys in client.processing().items() if keys]
            if not killed and busy:
                killed.append(pids[busy[0]])
                os.kill(killed[0], signal.SIGKILL)
        assert killed and killed[0] not in client.run(os.getpid).values()
    assert [ended[n]["status"] for n in range(7)] == ["done"] * 6 + ["failed"]
    assert "not a TIFF" in str(ended[6]["error"]) and shares
    for name in names[:-1]:
        assert (folder / "spread" / name.name).read_bytes() == (
            folder / "alone" / name.name
        ).read_bytes()
    assert not list((folder / "spread").glob(".*")), "nothing half-written is left"


def test_a_folder_on_a_worker_by_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    words = [
        "denoise",
        str(folder / "in"),
        "-o",
        str(folder / "out"),
        "--steps",
        "3",
        "--channels",
        "4",
        "--quiet",
    ]
    with socket.socket() as taken:
        with suppress(OSError):  # then another program has it
            taken.bind(("", 8787))
            taken.listen()
        assert main([*words, "--workers", "1", "--json"]) == 1
    said = capsys.readouterr()
    assert "8787" not in said.err and "1 worker" not in said.err and not recwarn.list
    record = json.loads(said.out.splitlines()[-1])
    assert [Path(row["input"]).name for row in record["files"]] == [
        *(f"{n}.tif" for n in range(6)),
        "text.tif",
    ]
    assert [row["status"] for row in record["files"]] == ["done"] * 6 + ["failed"]
    assert (folder / "out" / "napari-dip-report.csv").read_text().count("done") == 6
    (folder / "in" / "text.tif").unlink()
    assert main([*words, "--workers", "1"]) == 0, (
        "nothing is left to do, and no process is started for it"
    )
    assert "0 of 6 files done, 6 done before, 0 failed." in capsys.readouterr().out


def test_the_workers_of_a_scheduler_do_a_folder_and_what_a_lost_one_wrote_is_taken(
    folder: Path,
) -> None:
    from distributed import LocalCluster

    words = [
        "denoise",
        str(folder / "in"),
        "-o",
        str(folder / "out"),
        "--steps",
        "3",
        "--channels",
        "4",
        "--quiet",
    ]
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local:  # type: ignore[no-untyped-call]
        assert main([*words, "--scheduler", local.scheduler_address]) == 1
        before = (folder / "out" / "0.tif").stat().st_mtime_ns
        jobs = [Job(folder / "in" / "0.tif", folder / "out" / "0.tif")]
        with connect(None, local.scheduler_address) as client:
            ((_, outcome),) = process_jobs(
                client, jobs, Task(BlindSpot(steps=3, channels=4)), lambda *_: None
            )
    assert outcome.record["status"] == "done" and outcome.record["residual"]
    assert (folder / "out" / "0.tif").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--workers", "0"], "give 1 or more"),
        (["--workers", "1025"], "give 1 or more, up to 1024"),
        (["--scheduler", "foo"], "No scheduler answers at foo"),
        (["--workers", "2", "--scheduler", "tcp://here:1"], "give one of them"),
    ],
)
def test_wrong_calls_are_refused(
    words: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["denoise", str(folder / "in"), "-o", str(folder / "out"), *words]) == 2
    assert sentence in capsys.readouterr().err and not (folder / "out").exists()


def test_a_missing_extra_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["denoise", str(folder / "in"), "-o", str(folder / "out"), "--workers", "2"]) == 2
    assert 'pip install "napari-dip[distributed]"' in capsys.readouterr().err


def test_a_task_travels_as_plain_values() -> None:
    for how in (BlindSpot(seed=4), PatchDIP(seed=4)):
        task = Task(how, "cpu", "ZYX", "same", overwrite=True)
        assert task_from_json(json.loads(json.dumps(task_to_json(task)))) == task


def test_workers_share_cores_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    devices = [worker._share_machine("auto", index, 3, 0) for index in range(3)]
    assert devices == ["cuda:0", "cuda:1", "cuda:0"] and seen == [2, 2, 2]
    assert worker._share_machine("cpu", 1, 16, 0) == "cpu" and seen[-1] == 1
    assert worker._share_machine("cpu", 1, 2, 3) == "cpu" and seen[-1] == 3  # a user's own word
    workers = {"tcp://a:1": {"host": "a", "name": 0}, "tcp://b:2": {"host": "b", "name": "x"}}
    assert workers_by_host({**workers, "tcp://a:3": {"host": "a", "name": 1}}) == {
        "a": ["0", "1"],
        "b": ["x"],
    }


def test_ctrl_c_leaves_the_rest_to_the_next_run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Client:
        def scheduler_info(self, n_workers: int) -> dict[str, dict[str, str]]:
            return {"workers": {"tcp://a:1": {}}}

    @contextmanager
    def some(workers: int | None, scheduler: str | None) -> Iterator[Client]:
        yield Client()

    def interrupted(
        client: Client, jobs: list[Job], task: Task, moved: object
    ) -> Iterator[tuple[int, Outcome]]:
        record = {"input": str(jobs[1].source), "output": str(jobs[1].target), "status": "done"}
        yield 1, Outcome(record, notes=("Half of it is noise.", "The rest is, too."))
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_dip.cli.run_on_workers.connect", some)
    monkeypatch.setattr("napari_dip.cli.run_on_workers.process_jobs", interrupted)
    assert (
        main(["denoise", str(folder / "in"), "-o", str(folder / "out"), "--workers", "2", "--json"])
        == 1
    )
    said = capsys.readouterr()
    assert "6 of 7 files were not done" in said.err and "7 files, 1 worker." in said.err
    assert (
        "1.tif (2 of 7): Half of it is noise.\n" in said.err
        and "1.tif (2 of 7): The rest is, too.\n" in said.err
    )
    assert json.loads(said.out)["not_begun"] == 6
    assert "1.tif" in (folder / "out" / "napari-dip-report.csv").read_text()


def test_nobody_else_can_send_work_to_the_workers_of_a_run() -> None:
    pytest.importorskip("cryptography")
    distributed = pytest.importorskip("distributed")
    with connect(1, None) as client:
        address = client.scheduler.address
        assert address.startswith("tls://")
        assert client.submit(lambda: 1 + 1, pure=False).result() == 2
        port = address.rpartition(":")[2]
        stranger = distributed.Security.temporary()  # certificates of another run
        for where, how in ((f"tcp://127.0.0.1:{port}", None), (address, stranger)):
            with pytest.raises(OSError):
                distributed.Client(where, security=how, timeout=3, set_as_default=False)
