"""A stack goes on where it was cut off: the same bytes as of a run that nobody disturbed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_help import leftovers
from test_chunks import APART, SHAPES, model, stack

from napari_dip.batch import kept_planes
from napari_dip.batch.jobs import Job, std_beside
from napari_dip.batch.process_file import Outcome, process_file
from napari_dip.batch.report import DONE
from napari_dip.batch.restore_tasks import restoration_task
from napari_dip.batch.task import Task, with_model
from napari_dip.cli import main
from napari_dip.files import target
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.images.image import Image
from napari_dip.settings import DIP, BlindSpot, Guided, Inpaint, Upscale
from napari_dip.snapshot import Consumed, Snapshot, consume

pytestmark = pytest.mark.timeout(300)
WARM = BlindSpot(steps=4, channels=4, seed=3)


class Cut(BaseException):
    """As a kill: nothing on the way catches it."""


def cut_after(
    count: int, begun: set[int] | None = None
) -> Callable[[Iterator[Snapshot]], Consumed]:
    """Return a reader that ends the run after some snapshots; `begun` gets the planes' numbers."""

    def read_some(snapshots: Iterator[Snapshot]) -> Consumed:
        def count_down(stream: Iterator[Snapshot]) -> Iterator[Snapshot]:
            for number, snapshot in enumerate(stream):
                if number == count:
                    raise Cut
                if begun is not None and snapshot.criterion is not None:
                    begun.add(snapshot.plane)
                yield snapshot

        return consume(count_down(snapshots))

    return read_some


def done(job: Job, task: Task) -> Outcome:
    outcome = process_file(job, task, consume)
    assert outcome.record["status"] == DONE, outcome.record
    return outcome


def undisturbed(source: Path, task: Task) -> tuple[Job, Outcome]:
    """Do a file with nothing kept."""
    job = Job(source, source.parent / "alone" / "x.tif")
    return job, done(job, replace(task, keep=False))


@pytest.mark.parametrize(
    ("how", "axes"),
    [
        *((WARM, axes) for axes in SHAPES),
        (APART, "TZCYX"),
        (DIP(steps=3, net="decoder", channels=4, stop="variance"), "ZYX"),
        ("model", "CZYX"),
        ("model of 3 planes", "ZYXC"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.method}-{value.seed}",
)
def test_what_is_kept_gives_the_whole(how: Any, axes: str, tmp_path: Path) -> None:
    task = Task(how)
    if isinstance(how, str):
        path = model(tmp_path / "m.safetensors", neighbours=int("3 planes" in how))
        task = with_model(Task(APART), path)
    source = stack(tmp_path, axes)
    alone, whole = undisturbed(source, task)
    kept = Job(source, tmp_path / "kept" / "x.tif")
    with pytest.raises(Cut):
        process_file(kept, task, cut_after(17 if isinstance(how, str) else 9))
    assert not kept.target.exists() and len(leftovers(tmp_path / "kept")) > 0
    parts = done(kept, task)
    if axes != "ZYXC":  # an OME-TIFF has an identity of its own
        assert alone.target.read_bytes() == kept.target.read_bytes()
    np.testing.assert_array_equal(
        np.asarray(read(alone.target).pixels), np.asarray(read(kept.target).pixels)
    )
    assert read_provenance(alone.target) == read_provenance(kept.target)
    same = set(whole.record) - {"seconds", "output", "note"}
    assert {k: whole.record[k] for k in same} == {k: parts.record[k] for k in same}
    assert set(whole.notes) == set(parts.notes) and whole.summary == parts.summary
    assert leftovers(kept.target.parent) == ["x.tif"]


def test_planes_that_are_kept_are_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_planes, "SHORT", 0.0)  # every plane in a file of its own
    source, task, begun = stack(tmp_path), Task(WARM), set[int]()
    job = Job(source, tmp_path / "out" / "x.tif")
    with pytest.raises(Cut):
        process_file(job, task, cut_after(3 * 4 + 1))
    assert sum(name.endswith(".safetensors") for name in leftovers(tmp_path / "out")) == 1
    process_file(job, task, cut_after(1000, begun))
    assert begun == set(range(3, 7))


def test_the_contact_sheet_shows_planes_that_were_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of the planes were gone before the middle one was read."""
    monkeypatch.setattr(kept_planes, "SHORT", 0.0)
    outcome = done(Job(stack(tmp_path), tmp_path / "out" / "x.tif"), Task(WARM))
    assert list(outcome.pictures) == ["raw", "answer", "residual"]


def test_a_disk_that_holds_kept_planes_has_room_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept counted twice, so that a run on a nearly full disk began anew."""
    monkeypatch.setattr(kept_planes, "SHORT", 0.0)
    source, task, begun = stack(tmp_path), Task(WARM), set[int]()
    job = Job(source, tmp_path / "out" / "x.tif")
    with pytest.raises(Cut):
        process_file(job, task, cut_after(3 * 4 + 1))
    kept = sum(file.stat().st_size for file in (tmp_path / "out").rglob("*.tif"))
    answer = 4 * np.asarray(read(source).pixels).size
    free = 2 * answer + target.ROOM - kept // 2
    monkeypatch.setattr(target, "_free", lambda _: (tmp_path, free))
    process_file(job, task, cut_after(1000, begun))
    assert begun == set(range(3, 7))


def test_planes_are_of_use_to_the_next_run_though_the_disk_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights that the planes on the disk end with were deleted with the failed write."""
    monkeypatch.setattr(kept_planes, "SHORT", 0.0)
    source, task, begun = stack(tmp_path), Task(WARM), set[int]()
    job = Job(source, tmp_path / "out" / "x.tif")

    def full(path: Path, image: Image, **how: Any) -> int:
        if path.name.startswith("3-"):
            raise OSError("The disk is full.")
        return write(path, image, **how)

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(kept_planes, "write", full)
        process_file(job, task, cut_after(5 * 4 + 1))
    process_file(job, task, cut_after(1000, begun))
    assert begun == set(range(3, 7))


def test_the_deviation_and_integers_are_kept_too(tmp_path: Path) -> None:
    task = Task(WARM.with_uncertainty(), dtype="same", std=True)
    source = stack(tmp_path)
    files = {}
    for name in ("whole", "cut"):
        target = tmp_path / name / "x.tif"
        job = Job(source, target, std_beside(target))
        if name == "cut":
            with pytest.raises(Cut):
                process_file(job, task, cut_after(9))
            done(job, task)
        else:
            done(job, replace(task, keep=False))
        files[name] = [file.read_bytes() for file in job.outputs]
    assert files["whole"] == files["cut"]


def test_an_interrupted_answer_has_the_planes_that_are_done(tmp_path: Path) -> None:
    source = stack(tmp_path)
    job, alone = (Job(source, tmp_path / name / "x.tif") for name in ("kept", "alone"))

    def stopped(snapshots: Iterator[Snapshot]) -> Consumed:
        seen: list[Snapshot] = []
        return consume(snapshots, seen.append, stop=lambda: seen[-1].plane == 4)

    outcome = process_file(job, Task(WARM), stopped)
    assert outcome.interrupted and "plane 5 of 7" in outcome.summary
    before, answer = (np.asarray(read(file).pixels) for file in (source, job.target))
    assert [bool((a == b).all()) for a, b in zip(before, answer, strict=True)][:4] == [False] * 4
    np.testing.assert_array_equal(before[5:], answer[5:])
    process_file(alone, Task(WARM, keep=False), stopped)
    assert read_provenance(job.target) == read_provenance(alone.target)


@pytest.mark.parametrize("change", ["content", "settings", "damage", "gap"])
def test_what_was_kept_of_something_else_is_not_taken(change: str, tmp_path: Path) -> None:
    source, task = stack(tmp_path), Task(WARM)
    job, begun = Job(source, tmp_path / "out" / "x.tif"), set[int]()
    with pytest.raises(Cut):
        process_file(job, task, cut_after(9))
    if change == "content":
        stack(tmp_path, seed=1)
    elif change == "settings":
        task = Task(WARM.model_copy(update={"seed": 8}))
    else:
        (first,) = (tmp_path / "out").rglob("0-1.tif")
        first.unlink() if change == "gap" else first.write_bytes(first.read_bytes()[:200])
    assert process_file(job, task, cut_after(1000, begun)).record["status"] == DONE
    assert begun == set(range(7)) and leftovers(tmp_path / "out") == ["x.tif"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a copy of the process is made as on Unix")
@pytest.mark.parametrize("moment", [2, 11, 20, 29, 38])
def test_a_killed_run_goes_on_to_the_same_bytes(moment: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.poisson(np.linspace(9, 40, 20)[:, None, None], (20, 18, 19)).astype("uint16")
    write(tmp_path / "in.tif", Image(pixels, "ZYX"))
    kill_and_go_on(tmp_path, Task(BlindSpot(steps=2, channels=4, neighbours=0)), moment)


RESTORATIONS = {
    "upscale": (Upscale(steps=2, channels=4, scales=2), {"factor": 2, "down": "lanczos"}),
    "inpaint": (Inpaint(steps=2, channels=4), {"mask": "auto", "keep_known": True}),
    "guided": (Guided(steps=2, channels=4), {"guide": "guide.tif"}),
}


def restored(verb: str, folder: Path, axes: str = "ZYX") -> Task:
    """Write a stack that lacks pixels, and a guide; return what restores it."""
    shape = tuple({"T": 2, "C": 2, "Z": 4}.get(a, 20) for a in axes)
    random = np.random.default_rng(1)
    clean = np.broadcast_to(20 + 9 * np.sin(np.arange(20) / 2), shape)
    pixels = random.poisson(clean).astype("float32")
    if verb == "inpaint":
        pixels[..., 4:6, 5] = np.nan
    write(folder / "in.tif", Image(pixels, axes))
    guide = Image(random.poisson(30 * clean).astype("uint16"), axes)
    write(folder / "guide.tif", guide)
    how, options = RESTORATIONS[verb]
    files = {k: folder / v if k == "guide" else v for k, v in options.items()}
    return restoration_task(Task(how), verb, **files)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a copy of the process is made as on Unix")
@pytest.mark.parametrize("verb", RESTORATIONS)
def test_a_killed_restoration_goes_on_to_the_same_bytes(verb: str, tmp_path: Path) -> None:
    kill_and_go_on(tmp_path, restored(verb, tmp_path), moment=5)


@pytest.mark.parametrize("verb", RESTORATIONS)
def test_planes_that_were_restored_are_not_done_again(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_planes, "SHORT", 0.0)
    task, seen = restored(verb, tmp_path, "TCZYX"), list[int]()
    alone, _ = undisturbed(tmp_path / "in.tif", task)
    job = Job(tmp_path / "in.tif", tmp_path / "out" / "x.tif")
    with pytest.raises(Cut):
        process_file(job, task, cut_after(5))
    process_file(job, task, lambda stream: consume(stream, lambda one: seen.append(one.plane)))
    assert min(seen) > 0 and max(seen) == 15
    np.testing.assert_array_equal(
        np.asarray(read(alone.target).pixels), np.asarray(read(job.target).pixels)
    )
    assert read_provenance(alone.target) == read_provenance(job.target)


def test_what_is_not_reached_of_an_enlarged_stack_is_the_input_enlarged(tmp_path: Path) -> None:
    task = restored("upscale", tmp_path, "ZYX")
    answers = []
    for keep in (True, False):
        job = Job(tmp_path / "in.tif", tmp_path / f"{keep}" / "x.tif")
        outcome = process_file(
            job, replace(task, keep=keep), lambda stream: consume(stream, stop=lambda: True)
        )
        assert outcome.interrupted
        answers.append(np.asarray(read(job.target).pixels))
    assert answers[0].shape == (4, 40, 40)
    np.testing.assert_array_equal(*answers)


def kill_and_go_on(tmp_path: Path, task: Task, moment: int) -> None:
    """Kill a run after some snapshots, run it again; it writes the bytes of one that was not."""
    alone, _ = undisturbed(tmp_path / "in.tif", task)
    job = Job(tmp_path / "in.tif", tmp_path / "out" / "x.tif")
    ear, mouth = os.pipe()
    if not (child := os.fork()):
        try:
            process_file(job, task, lambda s: consume(s, lambda _: os.write(mouth, b".")))
        finally:
            os._exit(0)
    os.close(mouth)
    for _ in range(moment):  # a byte a snapshot: no clock is asked
        os.read(ear, 1)
    os.kill(child, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    os.close(ear)
    assert not job.target.exists()
    done(job, task)
    assert job.target.read_bytes() == alone.target.read_bytes()
    assert leftovers(tmp_path / "out") == ["x.tif"]


def test_the_same_command_goes_on_after_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = stack(tmp_path), tmp_path / "out" / "x.tif"
    words = ["denoise", str(source), "-o", str(out), "--steps", "3", "--channels", "4"]
    with monkeypatch.context() as patch:
        patch.setattr("napari_dip.cli.run_files.consume_with_progress", interrupt_in_plane_3)
        assert main(words) == 1
    assert "interrupted" in read_provenance(out)
    assert main(words) == 0
    assert "interrupted" not in read_provenance(out) and leftovers(out.parent) == ["x.tif"]
    assert main(words) == 2 and "exists" in capsys.readouterr().err  # a whole one is left alone


def interrupt_in_plane_3(snapshots: Iterator[Snapshot], **_: Any) -> Consumed:
    planes: list[int] = []
    return consume(snapshots, lambda s: planes.append(s.plane), stop=lambda: planes[-1] == 2)
