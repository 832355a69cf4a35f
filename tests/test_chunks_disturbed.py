"""Large stacks in chunks, while others change the source, take chunks away, or write the output."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_help import leftovers, save
from test_chunks import APART, division_of, one, stack

from napari_dip.batch.dask import chunks, worker
from napari_dip.batch.dask.chunk_plan import PLAN
from napari_dip.batch.dask.chunks import join_chunks, process_chunk
from napari_dip.batch.dask.task_json import task_from_json, task_to_json
from napari_dip.batch.jobs import Job, std_beside
from napari_dip.batch.process_file import Outcome, process_file
from napari_dip.batch.task import Task
from napari_dip.errors import DenoiseError
from napari_dip.files.read_write import read
from napari_dip.snapshot import consume

pytestmark = pytest.mark.timeout(120)
TASK = Task(APART.model_copy(update={"steps": 2}))
LARGE = 7 * 24 * 25 * 4


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        worker, "_prepare", lambda order, *_: (task_from_json(order["task"]), lambda _: None)
    )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(stack(tmp_path), tmp_path / "out" / "x.tif")


def order(task: Task = TASK) -> dict[str, Any]:
    return {"task": task_to_json(task), "workers": {}, "large": LARGE}


def row(outcome: Outcome) -> dict[str, Any]:
    return {**outcome.record, "notes": outcome.notes}


def whole_run(job: Job, task: Task, between: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Do what the workers do; something happens before the last chunk."""
    plan = worker.process(order(task), job, "", 0)
    if isinstance(plan, Outcome):
        return row(plan)
    for number in range(plan.count):
        if number == plan.count - 1:
            between()
        try:
            worker.process_chunk_of(order(task), job, "", 0, plan, number)
        except DenoiseError as error:  # dask hands it on to the join, which depends on the chunk
            return {"status": "failed", "error": str(error)}
    return row(worker.join(order(task), job, "", 0, plan))


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


def test_a_file_that_appears_before_the_chunks_are_joined_is_not_replaced(job: Job) -> None:
    record = whole_run(job, TASK, lambda: job.target.write_bytes(b"theirs"))
    assert "exists already" in record["error"] and job.target.read_bytes() == b"theirs"


def test_what_a_lost_worker_began_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "x.tif"
    task = replace(TASK, settings=TASK.settings.with_uncertainty(), std=True)
    job = Job(save(tmp_path / "in.tif"), target, std_beside(target))
    assert whole_run(job, task)["status"] == "done"
    target.unlink()
    assert whole_run(job, task)["status"] == "done" and target.exists()


def test_what_a_lost_worker_has_done_is_the_row_of_that_image(tmp_path: Path) -> None:
    """Of a file that holds several, each has a row of its own."""
    job = Job(save(tmp_path / "in.tif"), tmp_path / "out_series0.tif", series=0)
    first, again = (whole_run(job, TASK) for _ in range(2))
    assert again["status"] == first["status"] == "done"
    assert again["series"] == first["series"] == 0


def rewritten(path: Path, shape: tuple[int, ...] = (7, 24, 25)) -> None:
    save(path.with_name("other.tif"), shape).replace(path)


@pytest.mark.parametrize("shape", [(7, 24, 25), (3, 24, 25), (24, 25)])
def test_a_source_that_changes_between_two_chunks_is_said(shape: tuple[int, ...], job: Job) -> None:
    record = whole_run(job, TASK, lambda: rewritten(job.source, shape))
    assert record["status"] == "failed"
    assert record["error"].endswith("in.tif changed while it was worked on; run it again.")
    assert leftovers(job.target.parent) == []


def test_a_source_that_changes_during_a_chunk_or_after_all_is_said(job: Job) -> None:
    division = division_of(job, TASK)

    def meanwhile(stream: Any) -> Any:
        rewritten(job.source)
        return consume(stream)

    with pytest.raises(DenoiseError, match="changed while it was worked on"):
        process_chunk(division, 0, job, TASK, meanwhile)
    division = division_of(job, TASK)
    for number in range(division.count):
        one(division, number, job, TASK)
    there = job.source.stat()
    stack(job.source.parent, seed=5)
    os.utime(job.source, ns=(there.st_atime_ns, there.st_mtime_ns))  # the hash alone tells
    with pytest.raises(DenoiseError, match="changed while it was worked on"):
        join_chunks(division, job, TASK)
    assert leftovers(job.target.parent) == []


def test_a_source_that_is_only_touched_is_the_same(job: Job) -> None:
    assert whole_run(job, TASK, lambda: os.utime(job.source, ns=(1, 1)))["status"] == "done"
    assert leftovers(job.target.parent) == ["x.tif"]


def test_chunks_that_another_run_took_away_end_in_a_row(job: Job) -> None:
    other = Task(APART.model_copy(update={"steps": 2, "seed": 9}))
    record = whole_run(job, TASK, lambda: division_of(job, other))
    assert record["status"] == "failed" and "perhaps since another run works on" in record["error"]
    whole_run(job, other)
    assert leftovers(job.target.parent) == ["x.tif"]


def test_a_file_that_another_run_finished_is_done_before(job: Job) -> None:
    record = whole_run(job, TASK, lambda: whole_run(job, TASK))
    assert record["status"] == "done before" and record["notes"] == ("Another run has done it.",)
    assert leftovers(job.target.parent) == ["x.tif"]


def test_two_runs_that_join_a_file_at_once_both_end_well(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    division, worked = division_of(job, TASK), chunks.process_image
    for number in range(division.count):
        one(division, number, job, TASK)

    def meanwhile(*which: Any) -> Any:
        monkeypatch.setattr(chunks, "process_image", worked)
        assert join_chunks(division, job, TASK).record["status"] == "done"
        return worked(*which)

    monkeypatch.setattr(chunks, "process_image", meanwhile)
    assert join_chunks(division, job, TASK).record["status"] == "done before"


def test_damaged_chunks_and_plans_are_made_anew(job: Job) -> None:
    division = division_of(job, TASK)
    one(division, 0, job, TASK)
    answer, size = division.files(0)[0], division.files(0)[0].stat().st_size
    for left in (0, size // 2, size - 1):
        os.truncate(answer, left)
        assert one(division, 0, job, TASK) and answer.stat().st_size == size
    kept = division.folder / PLAN
    text = kept.read_text()
    for wrong in (
        text[:-9],
        text.replace('"axis":0', '"axis":1'),
        text.replace('"high":', '"low":'),
    ):
        assert wrong != text
        kept.write_text(wrong)
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
            join_chunks(division, job, TASK)
    assert [file for file in job.target.parent.iterdir() if file.name != division.folder.name] == []
    assert list(division.folder.rglob("*.part"))
    division_of(Job(job.source, job.target.with_name("y.tif")), TASK)
    process_file(job, TASK, consume)  # without workers
    (other,) = (file for file in job.target.parent.iterdir() if file != job.target)
    assert other.suffix == ".chunks" and other != division.folder, "those of another output stay"
