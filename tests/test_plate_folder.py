"""A plate of OME-Zarr through a run: each image in it, into a tree of files."""

from __future__ import annotations

import numpy as np
import pytest
from test_omezarr_standard import plate

from napari_dip import read
from napari_dip.cli import main

QUICK = ["--steps", "2", "--channels", "4", "--neighbours", "0", "--quiet"]


@pytest.mark.parametrize("given", ["in", "in/p.zarr"])
def test_each_image_of_a_plate_is_done(given, tmp_path):
    pytest.importorskip("yaozarrs")
    (tmp_path / "in").mkdir()
    plate(tmp_path / "in" / "p.zarr", "0.4")
    out = tmp_path / "out"
    assert main(["denoise", str(tmp_path / given), "-o", str(out), *QUICK]) == 0
    found = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.tif"))
    wanted = ["A/1/0.tif", "B/2/0.tif", "B/2/1.tif"]
    assert found == [f"p/{name}" if given == "in" else name for name in wanted]
    assert read(out / found[0]).dtype == np.float32
    table = (out / "napari-dip-report.csv").read_text("utf-8")
    assert table.count("done") >= 3


@pytest.mark.parametrize(
    ("series", "out", "wanted"),
    [
        ("A/1/0", "one.tif", ["one.tif"]),
        ("B/2/1", "out", ["out/1.tif"]),
        ("0", "out", ["out/0.tif"]),
        ("A/1/0,B/2/1", "out", ["out/A/1/0.tif", "out/B/2/1.tif"]),
        ("all", "out", ["out/A/1/0.tif", "out/B/2/0.tif", "out/B/2/1.tif"]),
    ],
)
def test_images_of_a_plate_are_chosen_by_name(series, out, wanted, tmp_path):
    pytest.importorskip("yaozarrs")
    plate(tmp_path / "p.zarr", "0.4")
    words = ["denoise", str(tmp_path / "p.zarr"), "-o", str(tmp_path / out), "--series", series]
    assert main([*words, *QUICK]) == 0
    found = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.tif")]
    assert sorted(found) == wanted
    chosen = read(tmp_path / "p.zarr", series=series) if len(wanted) == 1 else None
    answer = read(tmp_path / wanted[0])
    assert chosen is None or answer.shape == chosen.shape
    assert main([*words, *QUICK]) in ((2,) if wanted == ["one.tif"] else (0,))  # done before


def test_an_image_that_a_plate_has_not_is_named(tmp_path, capsys):
    pytest.importorskip("yaozarrs")
    plate(tmp_path / "p.zarr", "0.4")
    words = ["denoise", str(tmp_path / "p.zarr"), "-o", str(tmp_path / "x.tif"), "--series"]
    assert main([*words, "C/9/0", *QUICK]) == 2
    assert "holds no image 'C/9/0'" in capsys.readouterr().err
