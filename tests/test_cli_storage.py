"""How a run stores its answers: compression, version of OME-Zarr, and what goes through."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from test_details import imagej_file, ome_file

from napari_dip import read
from napari_dip.cli import main

QUICK = ["--steps", "2", "--channels", "4", "--neighbours", "0", "--quiet"]


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_a_run_keeps_what_the_file_says(tmp_path):
    ome_file(tmp_path / "a.ome.tif")
    imagej_file(tmp_path / "b.tif")
    for name in ("a.ome.tif", "b.tif"):
        assert run("denoise", tmp_path / name, "-o", tmp_path / f"out_{name}", *QUICK) == 0
        before, after = read(tmp_path / name), read(tmp_path / f"out_{name}")
        assert after.details.planes == before.details.planes
        assert after.details.date == before.details.date
        for one, other in zip(before.details.channels, after.details.channels, strict=True):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[key], other[key]) for key in one)


def test_a_run_compresses_and_writes_the_version_that_is_asked_for(tmp_path):
    pytest.importorskip("yaozarrs")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint8))
    how = ["--compression", "zstd", "--ome-zarr", "0.5", *QUICK]
    assert run("denoise", tmp_path / "a.tif", "-o", tmp_path / "b.tif", *how) == 0
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert tif.pages.first.compression == tifffile.COMPRESSION.ZSTD
    assert run("denoise", tmp_path / "a.tif", "-o", tmp_path / "b.zarr", *how) == 0
    assert (tmp_path / "b.zarr" / "zarr.json").exists()
