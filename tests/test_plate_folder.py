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
