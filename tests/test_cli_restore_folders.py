"""Folders of restorations go on where they stopped; what has nothing to fill is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_dip import Image, denoise, inpaint, iter_inpaint, last, read, write
from napari_dip.batch.dask.task_json import task_to_json
from napari_dip.batch.task import Task
from napari_dip.cli import main
from napari_dip.files.read_write import read_provenance
from napari_dip.settings import BlindSpot, Inpaint

BRIEF = ["--steps", "2", "--channels", "4", "--device", "cpu", "--json"]
FEW = ["--scales", "2", *BRIEF]
RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a.tif", "b.tif"):
        write(tmp_path / "in" / name, Image(RNG.integers(0, 200, (20, 22)).astype(np.uint16)))
    for name, rows in (("mask.png", 3), ("other.png", 4)):
        mask = np.zeros((20, 22), np.uint8)
        mask[:rows] = 255
        write(tmp_path / name, Image(mask))
    write(tmp_path / "guide.tif", Image(RNG.random((20, 22)).astype(np.float32)))
    for name in ("net.pt", "other.pt"):
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()).eval()
        torch.jit.save(torch.jit.trace(net, torch.zeros(1, 1, 20, 22)), str(tmp_path / name))
    return tmp_path


VERBS = [
    ("inpaint", ["--mask", "mask.png"]),
    ("upscale", ["--factor", "2", "--down", "binning"]),
    ("guided", ["--guide", "guide.tif"]),
    ("invert", ["--module", "net.pt", "--layer", "0"]),
]


def test_workers_restore_as_one_process_does(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip(
        "distributed", reason="the extra distributed is not installed"
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr(
        torch, "set_num_threads", lambda _: None
    )  # it would hold for this process, too
    sent = []

    def as_it_travels(task: Task) -> dict[str, Any]:
        sent.append(json.loads(json.dumps(task_to_json(task))))
        return sent[-1]

    monkeypatch.setattr("napari_dip.batch.dask.cluster.task_to_json", as_it_travels)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local:
        for verb, words in VERBS:
            assert (
                call(folder, capsys, verb, *words, "--scheduler", local.scheduler_address)
                == ["done"] * 2
            )
    assert [order["restoration"]["verb"] for order in sent] == [verb for verb, _ in VERBS]
    assert sent[0]["restoration"]["mask"] == str(folder / "mask.png"), "a path that holds elsewhere"
    for verb, words in VERBS:
        spread, alone = folder / f"out-{verb}", folder / f"alone-{verb}"
        assert main([verb, "in", "-o", str(alone), *words, *FEW]) == 0
        for name in ("a.tif", "b.tif"):
            assert (spread / name).read_bytes() == (alone / name).read_bytes()


def call(folder: Path, capsys: pytest.CaptureFixture[str], verb: str, *words: str) -> Any:
    """Run a verb on the folder; return the states of its files, or the sentence that refuses."""
    code = main([verb, str(folder / "in"), "-o", str(folder / f"out-{verb}"), *words, *FEW])
    said = capsys.readouterr()
    return [row["status"] for row in json.loads(said.out)["files"]] if code == 0 else said.err


@pytest.mark.parametrize(
    ("verb", "words", "others"),
    [
        (
            "inpaint",
            ["--mask", "mask.png"],
            [["--mask", "other.png"], ["--mask", "mask.png", "--denoise-known"]],
        ),
        ("upscale", ["--factor", "2"], [["--factor", "3"], ["--factor", "2", "--down", "binning"]]),
        ("guided", ["--guide", "guide.tif"], [["--guide", "mask.png"]]),
        (
            "invert",
            ["--module", "net.pt"],
            [["--module", "other.pt"], ["--module", "net.pt", "--layer", "0"]],
        ),
    ],
)
def test_a_run_goes_on_where_it_stopped(
    verb: str,
    words: list[str],
    others: list[list[str]],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    assert call(folder, capsys, verb, *words) == ["done", "done"]
    (folder / f"out-{verb}" / "b.tif").unlink()  # as if cut off before it
    assert call(folder, capsys, verb, *words) == ["done before", "done"]
    for other in [*others, [*words, "--seed", "1"]]:
        assert "exists" in call(folder, capsys, verb, *other), other
    assert call(folder, capsys, verb, *others[0], "--overwrite") == ["done", "done"]


def test_a_mask_that_was_edited_is_another_mask(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--mask", str(folder / "mask.png"))
    call(folder, capsys, "inpaint", *words)
    (folder / "mask.png").rename(folder / "moved.png")
    assert call(folder, capsys, "inpaint", "--mask", str(folder / "moved.png")) == [
        "done before",
        "done before",
    ]
    (folder / "mask.png").write_bytes((folder / "other.png").read_bytes())
    assert "exists" in call(folder, capsys, "inpaint", *words)


def test_a_rehearsal_knows_how_large_an_enlarged_image_gets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "upscale",
        str(folder / "in"),
        "-o",
        str(folder / "out"),
        "--factor",
        "2",
        "--dry-run",
        *FEW,
    ]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == 2 * 40 * 44 * 4
    assert not (folder / "out").exists()


def test_images_without_gaps_are_copied_and_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = RNG.random((20, 22)).astype(np.float32)
    pixels[4, 5] = np.nan
    write(folder / "in" / "c.tif", Image(pixels))
    code = main(["inpaint", str(folder / "in"), "-o", str(folder / "out"), *FEW])
    said = capsys.readouterr()
    assert (
        code == 0 and said.err.count("No missing pixel was found; the image is left as it is.") == 2
    )
    assert said.err.count("left as it is, ") == 2
    assert np.array_equal(read(folder / "out" / "a.tif"), read(folder / "in" / "a.tif"))
    assert np.isfinite(np.asarray(read(folder / "out" / "c.tif"))).all()
    assert read_provenance(folder / "out" / "a.tif")["missing_pixels"] == 0


def stack_with_a_lost_frame() -> np.ndarray:
    stack = RNG.poisson(40, (3, 24, 24)).astype(np.float32)
    stack[1] = np.nan
    return stack


def test_a_frame_without_any_number_costs_no_other_frame() -> None:
    stack = stack_with_a_lost_frame()
    answer, std = denoise(
        stack, BlindSpot(steps=4, channels=4, crop=16), axes="TYX", device="cpu", return_std=True
    )
    for image in (answer, std):
        assert np.isnan(image[1]).all() and np.isfinite(image[[0, 2]]).all()
    assert not np.array_equal(answer[0], stack[0])
    alone = denoise(
        stack[[0, 2]], BlindSpot(steps=4, channels=4, crop=16), axes="TYX", device="cpu"
    )
    assert np.array_equal(answer[[0, 2]], alone)
    stack[2, 3:5, 3:5] = np.nan
    final = last(
        iter_inpaint(stack, how=Inpaint(steps=3, channels=4, crop=16), axes="TYX", device="cpu")
    )
    filled = np.asarray(final.image)
    assert np.isnan(filled[1]).all() and np.isfinite(filled[[0, 2]]).all()
    assert np.array_equal(filled[0], stack[0])
    assert final.image.provenance["missing_pixels"] == 4
    assert final.image.provenance["steps_chosen"] == [0, 0, 3]


def test_what_is_left_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "stack.tif", Image(stack_with_a_lost_frame(), "TYX"))
    words = [
        "denoise",
        str(folder / "stack.tif"),
        "-o",
        str(folder / "out.tif"),
        "--crop",
        "16",
        *BRIEF,
    ]
    assert main(words) == 0
    assert "Planes left as they are, no pixel of theirs being finite: 1." in capsys.readouterr().err


@pytest.mark.parametrize("work", [denoise, inpaint])
def test_an_image_without_any_number_is_refused(work: Any) -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        work(np.full((8, 8), np.nan))
