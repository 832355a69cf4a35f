"""The verbs inpaint, upscale, guided and invert: what they write, what they refuse before work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_dip.cli import main
from napari_dip.files.checksum import sha256
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.images.image import Image

FEW = ["--steps", "2", "--channels", "4", "--device", "cpu", "-q"]
SMALL = [*FEW, "--scales", "2"]


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 200, (20, 22)).astype(np.uint16)
    write(tmp_path / "cells.tif", Image(pixels, scale=(0.2, 0.2), units=("um", "um")))
    return tmp_path / "cells.tif"


def mask_file(folder: Path, shape: tuple[int, ...] = (20, 22), rows: int = 3) -> Path:
    mask = np.zeros(shape, np.uint8)
    mask[:rows] = 255
    write(folder / "mask.png", Image(mask))
    return folder / "mask.png"


def test_inpaint_fills_the_mask_and_says_what_it_did(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    assert (
        main(["inpaint", str(cells), "-o", str(out), "--mask", str(mask_file(tmp_path)), *FEW]) == 0
    )
    answer, source = read(out), np.asarray(read(cells).pixels)
    assert np.array_equal(np.asarray(answer.pixels)[3:], source[3:])
    assert not np.array_equal(np.asarray(answer.pixels)[:3], source[:3])
    made = read_provenance(out)
    assert (made["task"], made["missing_pixels"], made["keep_known"]) == ("inpaint", 66, True)
    assert made["source"] == {"name": "cells.tif", "sha256": sha256(cells)}
    again = tmp_path / "again.tif"
    mask = str(tmp_path / "mask.png")
    assert (
        main(["inpaint", str(cells), "-o", str(again), "--mask", mask, "--denoise-known", *FEW])
        == 0
    )
    assert not np.array_equal(np.asarray(read(again).pixels)[3:], source[3:])


def test_inpaint_finds_nan_by_itself(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((20, 22)).astype(np.float32)
    pixels[4, 5] = np.nan
    write(tmp_path / "a.tif", Image(pixels))
    assert main(["inpaint", str(tmp_path / "a.tif"), "-o", str(tmp_path / "b.tif"), *FEW]) == 0
    assert np.isfinite(np.asarray(read(tmp_path / "b.tif").pixels)).all()


def test_upscale_divides_the_scale(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.tif"
    call = [
        "upscale",
        str(cells),
        "-o",
        str(out),
        "--factor",
        "2",
        "--down",
        "binning",
        "--json",
        *SMALL,
    ]
    assert main(call) == 0
    answer = read(out)
    assert answer.shape == (40, 44)
    assert answer.scale == pytest.approx((0.1, 0.1))
    record = json.loads(capsys.readouterr().out)
    assert record["files"][0]["status"] == "done"
    assert record["settings"]["channels"] == 4


def test_guided_takes_a_guide_and_a_folder_of_images(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = np.asarray(read(cells))
    for name in ("a.tif", "b.tif"):
        write(folder / name, Image(pixels + np.uint8(name == "a.tif")))
    words = ["guided", str(folder), "-o", str(tmp_path / "out"), *SMALL]
    assert main([*words, "--guide", str(folder / "b.tif")]) == 1  # b.tif is its own guide
    assert "is its own guide" in capsys.readouterr().err
    write(tmp_path / "guide.tif", Image(pixels[::-1]))
    assert main([*words, "--guide", str(tmp_path / "guide.tif"), "--overwrite"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tif")) == ["a.tif", "b.tif"]
    assert read_provenance(tmp_path / "out" / "a.tif")["task"] == "guided"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Conv2d(4, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inside(x)

    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3)), Wrapped())
    torch.jit.save(torch.jit.trace(net.eval(), torch.zeros(1, 1, 16, 16)), str(tmp_path / "net.pt"))
    return tmp_path / "net.pt"


def test_invert_cuts_the_network_at_the_layer(cells: Path, script: Path, tmp_path: Path) -> None:
    from napari_dip.restore.network_layer import cut_at_layer, load_script

    net, x = load_script(script), torch.rand(1, 1, 12, 12)
    assert torch.equal(cut_at_layer(net, "1.0")(x), torch.relu(cut_at_layer(net, "0")(x)))
    assert torch.equal(cut_at_layer(net, "")(x), net(x))
    out = tmp_path / "out.tif"
    assert (
        main(
            [
                "invert",
                str(cells),
                "-o",
                str(out),
                "--module",
                str(script),
                "--layer",
                "1.1",
                *SMALL,
            ]
        )
        == 0
    )
    assert read(out).shape == (20, 22)


def test_bad_calls_are_refused_before_any_work(
    cells: Path, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "out.tif"), *FEW]
    other, empty, full = tmp_path / "other.png", tmp_path / "empty.png", tmp_path / "full.png"
    for path, mask in (
        (other, np.ones((5, 6))),
        (empty, np.zeros((20, 22))),
        (full, np.ones((20, 22))),
    ):
        write(path, Image(mask.astype(np.uint8)))
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "pickle.pt")
    for words, call in (
        ("shape (5, 6)", ["inpaint", str(cells), "--mask", str(other)]),
        ("marks no pixel", ["inpaint", str(cells), "--mask", str(empty)]),
        ("no known pixel", ["inpaint", str(cells), "--mask", str(full)]),
        (
            "--mask cannot be used: There is no file",
            ["inpaint", str(cells), "--mask", "nowhere.png"],
        ),
        ("--factor", ["upscale", str(cells), "--factor", "0"]),
        ("--factor", ["upscale", str(cells), "--factor", "5"]),
        ("--factor", ["upscale", str(cells), "--factor", "2.5"]),
        (
            "See `napari-dip upscale --help`",
            ["upscale", str(cells), "--factor", "2", "--patience", "0"],
        ),
        ("Unknown option", ["upscale", str(cells), "--factor", "2", "--restarts", "2"]),
        ("guide has the shape (5, 6)", ["guided", str(cells), "--guide", str(other)]),
        (
            "no layer 'conv'; there are 0, 1, 1.0, 1.1, 2",
            ["invert", str(cells), "--module", str(script), "--layer", "conv"],
        ),
        (
            "lies inside a Wrapped",
            ["invert", str(cells), "--module", str(script), "--layer", "2.inside"],
        ),
        ("nor a TorchScript file", ["invert", str(cells), "--module", str(tmp_path / "pickle.pt")]),
        ("is no file nowhere.pt", ["invert", str(cells), "--module", "nowhere.pt"]),
    ):
        assert main([*call, *out]) == 2, call
        assert words in capsys.readouterr().err, call
        assert not (tmp_path / "out.tif").exists()
