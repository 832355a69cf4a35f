"""Large stacks in pieces, while others change the source, take the pieces away, or write the output."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_help import leftovers, save
from test_pieces import APART, division_of, follow, one, stack

from napari_dip.batch.dask import pieces, worker
from napari_dip.batch.dask.division import DIVISION
from napari_dip.batch.dask.pieces import one_piece, put_together
from napari_dip.batch.dask.task_json import task_from_json, task_to_json
from napari_dip.batch.jobs import Job, std_beside
from napari_dip.batch.one_file import guarded
from napari_dip.batch.task import Task
from napari_dip.errors import DenoiseError
from napari_dip.files.read_write import read
from napari_dip.images.image import Image

pytestmark = pytest.mark.timeout(120)
TASK = Task(APART.model_copy(update={"steps": 2}))
LARGE = 7 * 24 * 25 * 4


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        worker, "_prepared", lambda order, *_: (task_from_json(order), lambda _: None)
    )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(stack(tmp_path), tmp_path / "out" / "x.tif")


def order(task: Task = TASK) -> dict[str, Any]:
    return {**task_to_json(task), "places": {}, "large": LARGE}


def row(told: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = told["record"]
    return {**record, "notes": told["notes"]}


def whole_run(job: Job, task: Task, between: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Do what the workers do; something happens before the last piece."""
    told = worker.work_on(order(task), job, "", 0)
    if "bounds" not in told:
        return row(told)
    count = len(told["bounds"]) - 1
    for number in range(count):
        if number == count - 1:
            between()
        done = worker.work_on_piece(order(task), job, "", 0, told, number)
        if "record" in done:
            return row(done)
    return row(worker.join(order(task), job, "", 0, told))


@pytest.mark.parametrize("of_others", ["answer", "std"])
@pytest.mark.parametrize("shape", [(16, 17), (7, 24, 25)])
def test_a_file_of_others_is_not_replaced(
    of_others: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    target = tmp_path / "out" / "x.tif"
    task = replace(TASK, settings=TASK.settings.with_uncertainty(), std=True)
    job = Job(save(tmp_path / "in.tif", shape), target, std_beside(target))
    theirs = save(target if of_others == "answer" else std_beside(target), (8, 9))
    before = theirs.read_bytes()
    assert "exists already" in whole_run(job, task)["error"]
    assert theirs.read_bytes() == before and leftovers(tmp_path / "out") == [theirs.name]


def test_a_file_that_appears_before_the_pieces_are_put_together_is_not_replaced(job: Job) -> None:
    record = whole_run(job, TASK, lambda: job.target.write_bytes(b"theirs"))
    assert "exists already" in record["error"] and job.target.read_bytes() == b"theirs"


def test_what_a_lost_worker_began_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "x.tif"
    task = replace(TASK, settings=TASK.settings.with_uncertainty(), std=True)
    job = Job(save(tmp_path / "in.tif"), target, std_beside(target))
    assert whole_run(job, task)["status"] == "done"
    target.unlink()
    assert whole_run(job, task)["status"] == "done" and target.exists()


def rewritten(path: Path, shape: tuple[int, ...] = (7, 24, 25)) -> None:
    save(path.with_name("other.tif"), shape).replace(path)


@pytest.mark.parametrize("shape", [(7, 24, 25), (3, 24, 25), (24, 25)])
def test_a_source_that_changes_between_two_pieces_is_said(shape: tuple[int, ...], job: Job) -> None:
    record = whole_run(job, TASK, lambda: rewritten(job.source, shape))
    assert record["status"] == "failed"
    assert record["error"].endswith("in.tif changed while it was worked on; run it again.")
    assert leftovers(job.target.parent) == []


def test_a_source_that_changes_during_a_piece_or_after_all_is_said(job: Job) -> None:
    division = division_of(job, TASK)

    def meanwhile(image: Image, notes: list[str]) -> Any:
        rewritten(job.source)
        return follow(TASK)(image, notes)

    with pytest.raises(DenoiseError, match="changed while it was worked on"):
        one_piece(division, 0, job, TASK, meanwhile)
    division = division_of(job, TASK)
    for number in range(division.count):
        one(division, number, job, TASK)
    there = job.source.stat()
    stack(job.source.parent, seed=5)
    os.utime(job.source, ns=(there.st_atime_ns, there.st_mtime_ns))  # the hash alone tells
    with pytest.raises(DenoiseError, match="changed while it was worked on"):
        put_together(division, job, TASK)
    assert leftovers(job.target.parent) == []


def test_a_source_that_is_only_touched_is_the_same(job: Job) -> None:
    assert whole_run(job, TASK, lambda: os.utime(job.source, ns=(1, 1)))["status"] == "done"
    assert leftovers(job.target.parent) == ["x.tif"]


def test_pieces_that_another_run_took_away_end_in_a_row(job: Job) -> None:
    other = Task(APART.model_copy(update={"steps": 2, "seed": 9}))
    record = whole_run(job, TASK, lambda: division_of(job, other))
    assert record["status"] == "failed" and "perhaps since another run works on" in record["error"]
    whole_run(job, other)
    assert leftovers(job.target.parent) == ["x.tif"]


def test_a_file_that_another_run_finished_is_done_before(job: Job) -> None:
    record = whole_run(job, TASK, lambda: whole_run(job, TASK))
    assert record["status"] == "done before" and record["notes"] == ("Another run has done it.",)
    assert leftovers(job.target.parent) == ["x.tif"]


def test_two_runs_that_put_a_file_together_at_once_both_end_well(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    division, worked = division_of(job, TASK), pieces.worked
    for number in range(division.count):
        one(division, number, job, TASK)

    def meanwhile(*which: Any) -> Any:
        monkeypatch.setattr(pieces, "worked", worked)
        assert put_together(division, job, TASK).record["status"] == "done"
        return worked(*which)

    monkeypatch.setattr(pieces, "worked", meanwhile)
    assert put_together(division, job, TASK).record["status"] == "done before"


def test_every_piece_that_ends_brings_its_file_nearer_to_its_row(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra distributed is not installed")
    from napari_dip.batch.dask.cluster import _Tasks

    class Client:
        def submit(self, what: Callable[..., object], *_: object, key: str, **__: object) -> str:
            return key

    job = Job(stack(tmp_path), tmp_path / "x.tif")
    tasks = _Tasks(Client(), order(), "run", [job])
    told = division_of(job, TASK).told()
    made = tasks.following(0, tasks.submit(worker.work_on, 0), told)
    division_of(job, TASK).drop()
    followed = [
        tasks.following(0, piece, worker.work_on_piece(order(), job, "", 0, told, 0))
        for piece in made
    ]
    assert [len(next_ones) for next_ones in followed] == [0] * (len(made) - 1) + [1]


def test_damaged_pieces_and_divisions_are_made_anew(job: Job) -> None:
    division = division_of(job, TASK)
    one(division, 0, job, TASK)
    answer, size = division.files(0)[0], division.files(0)[0].stat().st_size
    for left in (0, size // 2, size - 1):
        os.truncate(answer, left)
        assert one(division, 0, job, TASK) and answer.stat().st_size == size
    kept = division.folder / DIVISION
    for wrong in ({"bounds": []}, {"bounds": [0, 9]}, {"axis": 1}, {"found": {}}):
        kept.write_text(json.dumps({**json.loads(kept.read_text()), **wrong}))
        assert division_of(job, TASK) == division
    kept.write_text("[]")
    assert whole_run(job, TASK)["status"] == "done"
    assert np.isfinite(read(job.target).pixels).all()


def test_what_a_killed_join_and_a_killed_run_left_goes(job: Job) -> None:
    division = division_of(job, TASK)
    for number in range(division.count):
        one(division, number, job, TASK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pathlib.Path.replace", lambda *_: pytest.exit("killed"))
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
        with pytest.raises(pytest.exit.Exception):
            put_together(division, job, TASK)
    assert [file for file in job.target.parent.iterdir() if file.name != division.folder.name] == []
    assert list(division.folder.rglob("*.part"))
    division_of(Job(job.source, job.target.with_name("y.tif")), TASK)
    guarded(job, TASK, follow(TASK))  # without workers
    (other,) = (file for file in job.target.parent.iterdir() if file != job.target)
    assert other.suffix == ".pieces" and other != division.folder, "those of another output stay"
