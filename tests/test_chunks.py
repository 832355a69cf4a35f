"""A large stack in chunks: the same answer, chunks of a killed run taken, nothing left behind."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_help import leftovers

from napari_dip.api import iter_chunk
from napari_dip.batch.dask import chunks
from napari_dip.batch.dask.chunk_plan import ChunkPlan
from napari_dip.batch.dask.chunks import join_chunks, plan_chunks, process_chunk
from napari_dip.batch.jobs import Job, std_beside
from napari_dip.batch.process_file import Outcome, process_file, read_input
from napari_dip.batch.report import DONE
from napari_dip.batch.task import Task, with_model
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.images.image import Image
from napari_dip.images.part import PartOf
from napari_dip.models.model import Model, build
from napari_dip.planes.chunk import Chunk, ChunkedStack
from napari_dip.planes.image_statistics import measure_image
from napari_dip.settings import DIP, IDDP, BlindSpot, PatchDIP
from napari_dip.snapshot import consume

pytestmark = pytest.mark.timeout(300)
APART = BlindSpot(steps=4, channels=4, seed=3, through_stack="apart")
SHAPES = {
    "ZYX": (7, 24, 25),
    "CZYX": (2, 5, 24, 25),
    "TZCYX": (3, 2, 2, 24, 25),
    "ZYXC": (4, 24, 25, 3),
}


def stack(folder: Path, axes: str = "ZYX", name: str = "in.tif", seed: int = 0) -> Path:
    """Poisson noise whose planes differ in brightness, with a hot pixel; colours are 8-bit."""
    random, shape = np.random.default_rng(seed), SHAPES[axes]
    level = np.linspace(4, 30, shape[axes.index("Z")]).reshape(
        [-1 if a == "Z" else 1 for a in axes]
    )
    pixels = random.poisson(np.broadcast_to(level, shape)).astype(
        "uint8" if axes[-1] == "C" else "uint16"
    )
    pixels[(*(0 for _ in axes.removesuffix("C")[:-2]), 9, 9)] = 250
    folder.mkdir(exist_ok=True)
    write(folder / name, Image(pixels, axes, scale=(0.5,) * len(axes)), overwrite=True)
    return folder / name


def division_of(job: Job, task: Task, workers: int = 1) -> ChunkPlan:
    found = plan_chunks(job, task, *read_input(job, task), workers, large=1)
    assert found is not None
    return found


def one(division: ChunkPlan, number: int, job: Job, task: Task) -> bool:
    """Return whether the answer of the chunk is there."""
    process_chunk(division, number, job, task, consume)
    return division.files(number)[0].exists()


def in_chunks(job: Job, task: Task, workers: int = 1) -> Outcome:
    division = division_of(job, task, workers)
    assert division.count > 1
    for number in reversed(range(division.count)):  # workers take them in any order
        assert one(division, number, job, task)
    outcome = join_chunks(division, job, task)
    division.delete()
    return outcome


def model(path: Path, colours: int = 1, neighbours: int = 0) -> Path:
    """A network of random weights, whose training data had another contrast: a note says so."""
    sizes = {"channels": 4, "depth": 1, "filter_channels": 3, "filter_layers": 1}
    how = IDDP(**sizes, neighbours=neighbours, orientations=8)
    net = build(how, colours)
    with torch.no_grad():
        net.unet.last.weight.normal_(generator=torch.Generator().manual_seed(0))
    known = {"contrast": [500.0, 600.0], "gain": [1.0, 1.0], "noise_is_correlated": False}
    Model(net, how, colours, known).save(path)
    return path


@pytest.mark.parametrize(
    ("how", "axes"),
    [
        *((APART, axes) for axes in SHAPES),
        (DIP(steps=3, net="decoder", channels=4, stop="variance"), "ZYX"),
        (PatchDIP(steps=2), "ZYX"),
        ("model", "CZYX"),
        ("model", "ZYXC"),
        ("model of 3 planes", "CZYX"),
        ("model of 3 planes", "ZYXC"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_chunks_give_the_pixels_of_the_whole(how: Any, axes: str, tmp_path: Path) -> None:
    task = Task(how)
    if isinstance(how, str):
        path = model(tmp_path / "m.safetensors", neighbours=int("3 planes" in how))
        task = with_model(Task(APART), path)
    source = stack(tmp_path, axes)
    alone, apart = (Job(source, tmp_path / name / "x.tif") for name in ("alone", "apart"))
    whole = process_file(alone, task, consume)
    parts = in_chunks(apart, task)
    assert whole.record["status"] == parts.record["status"] == DONE, whole.record
    if axes != "ZYXC":  # an OME-TIFF has an identity of its own
        assert alone.target.read_bytes() == apart.target.read_bytes()
    np.testing.assert_array_equal(
        np.asarray(read(alone.target).pixels), np.asarray(read(apart.target).pixels)
    )
    assert read_provenance(alone.target) == read_provenance(apart.target)
    same = set(whole.record) - {"seconds", "output"}
    assert {k: whole.record[k] for k in same} == {k: parts.record[k] for k in same}
    assert whole.summary == parts.summary
    assert leftovers(apart.target.parent) == ["x.tif"]


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_a_plane_that_is_left_as_it_is_keeps_its_place_in_chunks(
    value: float, tmp_path: Path
) -> None:
    source, task = stack(tmp_path), Task(APART)
    pixels = np.asarray(read(source).pixels, np.float32)
    pixels[2] = value
    write(source, Image(pixels, "ZYX"), overwrite=True)
    alone, apart = (Job(source, tmp_path / name / "x.tif") for name in ("alone", "apart"))
    process_file(alone, task, consume)
    in_chunks(apart, task)
    assert alone.target.read_bytes() == apart.target.read_bytes()
    assert len(read_provenance(apart.target)["neighbours_used"]) == len(pixels)


def test_the_standard_deviation_and_integers_go_in_chunks_too(tmp_path: Path) -> None:
    task = Task(APART.with_uncertainty(), dtype="same", std=True)
    alone, apart = (Job(stack(tmp_path), tmp_path / name / "x.tif") for name in ("alone", "apart"))
    alone, apart = (replace(job, std=std_beside(job.target)) for job in (alone, apart))
    process_file(alone, task, consume)
    outcome = in_chunks(apart, task)
    assert outcome.integers == "uint16" and outcome.record["std"] == str(apart.std)
    assert leftovers(apart.target.parent) == ["x.tif", "x_std.tif"]
    for name in ("x.tif", "x_std.tif"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "apart" / name).read_bytes()


def test_a_later_run_does_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, task, begun = Job(stack(tmp_path), tmp_path / "out" / "x.tif"), Task(APART), []
    division = division_of(job, task)
    assert division.count == 4
    for number in (1, 2):
        one(division, number, job, task)
    monkeypatch.setattr(
        chunks, "measure_whole", lambda *_, **__: pytest.fail("the survey is kept with the chunks")
    )
    later = division_of(job, task, workers=16)
    assert later == division, "divided as by the first run"

    def counted(image: Image, how: DIP, device: str, chunk: Chunk) -> Any:
        begun.append(chunk.start)
        return iter_chunk(image, how, device, chunk)

    monkeypatch.setattr("napari_dip.api.iter_chunk", counted)
    for number in range(4):
        assert one(later, number, job, task)
    assert begun == [0, 5]
    join_chunks(later, job, task)
    whole = Job(job.source, tmp_path / "alone.tif")
    process_file(whole, task, consume)
    np.testing.assert_array_equal(
        np.asarray(read(whole.target).pixels), np.asarray(read(job.target).pixels)
    )


@pytest.mark.parametrize("change", ["settings", "content", "values", "std"])
def test_stale_chunks_are_not_taken(change: str, tmp_path: Path) -> None:
    job, task = Job(stack(tmp_path), tmp_path / "out" / "x.tif"), Task(APART)
    stale = division_of(job, task)
    assert division_of(job, task).folder == stale.folder
    if change == "settings":
        task = Task(APART.model_copy(update={"seed": 4}))
    elif change == "content":
        stack(tmp_path, seed=1)
    else:
        task = replace(task, std=True) if change == "std" else replace(task, dtype="same")
    fresh = division_of(job, task)
    assert fresh.folder != stale.folder and not stale.folder.exists()
    assert not fresh.files(0)[0].exists()
    other = division_of(Job(job.source, tmp_path / "out" / "y.tif"), task)
    assert fresh.folder.exists() and other.folder != fresh.folder, (
        "another output's chunks are left alone"
    )


def test_what_a_failing_chunk_leaves(tmp_path: Path) -> None:
    job, task = Job(stack(tmp_path), tmp_path / "out" / "x.tif"), Task(APART)
    division = division_of(job, task)
    one(division, 0, job, task)

    def full(stream: object) -> Any:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        process_chunk(division, 1, job, task, full)
    assert division.files(0)[0].exists(), "another run can take it"

    def wrong(stream: object) -> Any:
        raise ValueError("no such colours")

    with pytest.raises(ValueError, match="no such colours"):
        process_chunk(division, 1, job, task, wrong)
    assert leftovers(tmp_path / "out") == [] and not division.folder.exists()
    assert one(division, 2, job, task) is False, (
        "its file has failed: there is nothing more to tell"
    )
    assert leftovers(tmp_path / "out") == []


def test_what_is_not_divided(tmp_path: Path) -> None:
    job, task = Job(stack(tmp_path), tmp_path / "x.tif"), Task(APART)
    size = 7 * 24 * 25 * 4
    for how, large, wanted in (
        (APART, size, True),
        (APART, size + 1, False),
        (BlindSpot(), 1, False),  # each plane starts from the one before
        (DIP(net="skip"), 1, True),
        (PatchDIP(), 1, True),
    ):
        task = Task(how)
        assert (plan_chunks(job, task, *read_input(job, task), 2, large) is not None) == wanted, how
    begun = Task(APART, begin=lambda *_: iter(()), made={"task": "other"})
    assert plan_chunks(job, begun, *read_input(job, begun), 2, 1) is None
    plane = tmp_path / "plane.tif"
    write(plane, Image(np.ones((24, 25), np.uint16), "YX"))
    job = Job(plane, tmp_path / "y.tif")
    assert plan_chunks(job, task, *read_input(job, task), 2, 1) is None


def test_the_axis_is_the_outermost_that_gives_enough_chunks(tmp_path: Path) -> None:
    job, task = Job(stack(tmp_path, "TZCYX"), tmp_path / "x.tif"), Task(APART)
    assert (division_of(job, task).axis, division_of(job, task).bounds) == (0, (0, 1, 2, 3))
    division_of(job, task).delete()
    job = Job(stack(tmp_path, "CZYX"), tmp_path / "x.tif")
    assert (division_of(job, task).axis, division_of(job, task).bounds) == (1, (0, 1, 2, 3, 5))


def test_a_full_disk_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, task = Job(stack(tmp_path), tmp_path / "out" / "x.tif"), Task(APART)
    image, source = read_input(job, task)
    monkeypatch.setattr("napari_dip.files.target.ROOM", 0)
    free = 2 * 7 * 24 * 25 * 4 - 1
    monkeypatch.setattr(
        "napari_dip.files.target.shutil.disk_usage", lambda _: type("", (), {"free": free})
    )
    with pytest.raises(OSError, match="with the chunks it is joined from, and the disk"):
        plan_chunks(job, task, image, source, 1, 1)
    assert not (tmp_path / "out").exists()


def test_views_and_joins_read_as_numpy_does() -> None:
    whole = np.arange(5 * 7 * 4 * 3).reshape(5, 7, 4, 3).astype(np.float32)
    bounds, opened_now = (0, 2, 3, 7), []

    def chunk(number: int) -> Any:
        opened_now.append(number)
        return whole[:, bounds[number] : bounds[number + 1]]

    joined, view = ChunkedStack(whole.shape, [1], bounds, chunk), PartOf(whole, {1: range(2, 6)})
    for key in [
        (),
        0,
        (1, 2),
        (slice(None), -1),
        (slice(1, 3), slice(1, 6, 2), 0),
        (..., 1),
        (0, slice(None, None, -1)),
    ]:
        np.testing.assert_array_equal(joined[key], whole[key])
        np.testing.assert_array_equal(view[key], whole[:, 2:6][key])
    np.testing.assert_array_equal(view[[0, 2]], whole[:, 2:6][[0, 2]])
    np.testing.assert_array_equal(np.asarray(joined), whole)
    opened_now.clear()
    for place in range(7):
        joined[0, place]
    assert opened_now == [0, 1, 2], "each is opened once on the way"


@pytest.mark.parametrize(("neighbours", "read_planes"), [(0, {2, 3}), (1, {1, 2, 3, 4})])
def test_a_part_reads_its_planes_and_their_neighbours_alone(
    tmp_path: Path, neighbours: int, read_planes: set[int]
) -> None:
    image = read(stack(tmp_path))
    asked: list[int] = []

    class Watched:
        shape, dtype = image.shape, image.dtype

        def __getitem__(self, key: Any) -> Any:
            asked.extend(np.atleast_1d(np.arange(image.shape[0])[key[0]]).tolist())
            return image.pixels[key]

    task = Task(APART.model_copy(update={"neighbours": neighbours}))
    division = ChunkPlan(tmp_path, 0, (0, 2, 4, 7), measure_image(image, stabilise=True), {})
    task = replace(task, begin=partial(iter_chunk, chunk=division.chunk(1)))
    final = consume(task.snapshots(image.with_pixels(Watched()))).last
    assert final.image.shape == (2, 24, 25) and np.asarray(final.image).any()
    assert set(asked) == read_planes
