"""Compressed TIFFs are read by the plain installation, small ones and those read by the page."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_dip import read
from napari_dip.files import tiff_reader


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "zstd", "lzma", "jpeg2000"])
def test_what_is_compressed_without_loss_is_read_as_it_was(
    compression, lazily, tmp_path, monkeypatch
):
    stack = np.random.default_rng(0).integers(0, 4096, (3, 40, 50)).astype(np.uint16)
    options = {"compressionargs": {"level": 0}} if compression == "jpeg2000" else {}
    options["photometric"] = "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", stack, compression=compression, **options)
    if lazily:
        monkeypatch.setattr(tiff_reader, "LAZY_FROM", 0)
    image = read(tmp_path / "a.tif")
    assert lazily != isinstance(image.pixels, np.ndarray)
    np.testing.assert_array_equal(np.asarray(image.pixels), stack)


def test_jpeg_is_read(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression="jpeg")
    assert abs(np.asarray(read(tmp_path / "a.tif").pixels).astype(int) - smooth).max() < 5
