"""Compressed TIFF stacks are decoded by parts, and give the very pixels."""

import numpy as np
import pytest
import tifffile

from napari_dip import read
from napari_dip.files import tiff_reader
from napari_dip.files.lazy_tiff import LazyPages

STACK = np.random.default_rng(0).integers(0, 4096, (2, 3, 50, 70)).astype(np.uint16)
KINDS = {
    "strips": {"compression": "zlib", "rowsperstrip": 16},
    "predictor": {"compression": "zlib", "predictor": True, "rowsperstrip": 7},
    "tiles": {"compression": "zlib", "tile": (32, 32)},
    "one strip, big-endian": {"compression": "zlib", "rowsperstrip": 50, "byteorder": ">"},
}
KEYS = [
    (0, 1, slice(3, 40), slice(10, 33)),
    (slice(None), 2, slice(None, None, 5), slice(None, None, -7)),
    (1, slice(0, 2)),
    (-1, -1, 49, 69),
    (slice(0, 0), 0, 3, 4),
    1,
    np.array([1, 0]),
    Ellipsis,
]


@pytest.fixture(autouse=True)
def every_size(monkeypatch):
    monkeypatch.setattr(tiff_reader, "LAZY_FROM", 1)


def written(path, kind):
    options = dict(KINDS[kind])
    with tifffile.TiffWriter(path, byteorder=options.pop("byteorder", None), ome=True) as tif:
        tif.write(STACK, metadata={"axes": "TZYX"}, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_slices_of_the_pages_are_those_of_the_array(tmp_path, kind):
    image = read(written(tmp_path / "stack.ome.tif", kind))
    assert isinstance(image.pixels, LazyPages)
    assert (image.axes, image.shape, image.dtype) == ("TZYX", STACK.shape, STACK.dtype)
    for key in KEYS:
        np.testing.assert_array_equal(image.pixels[key], STACK[key])
    np.testing.assert_array_equal(np.asarray(image), STACK)


def test_uncompressed_pages_with_gaps_between_them_are_read_by_parts(tmp_path):
    with tifffile.TiffWriter(tmp_path / "stack.tif") as tif:
        for page in STACK[0]:
            tif.write(page, metadata=None, contiguous=False, rowsperstrip=20)
    pixels = read(tmp_path / "stack.tif").pixels
    assert isinstance(pixels, LazyPages)
    np.testing.assert_array_equal(pixels[1:, 5:45:2], STACK[0, 1:, 5:45:2])


def test_a_crop_reads_only_its_strips(tmp_path, monkeypatch):
    image = read(written(tmp_path / "stack.ome.tif", "strips"))
    read_segments = []
    whole = LazyPages._decode
    monkeypatch.setattr(
        LazyPages, "_decode", lambda *words: read_segments.append(words[2:]) or whole(*words)
    )
    assert image.pixels[1, 0, 17:30, 5:25].shape == (13, 20)
    assert read_segments == [(3, 1)]  # page 3, rows 16 to 32


def test_colour_and_small_files_are_read_whole(tmp_path, monkeypatch):
    tifffile.imwrite(
        tmp_path / "rgb.tif",
        np.zeros((4, 20, 30, 3), np.uint8),
        photometric="rgb",
        compression="zlib",
    )
    assert isinstance(read(tmp_path / "rgb.tif").pixels, np.ndarray)
    monkeypatch.setattr(tiff_reader, "LAZY_FROM", 1 << 28)
    assert isinstance(read(written(tmp_path / "stack.ome.tif", "strips")).pixels, np.ndarray)


def test_a_stack_that_is_cut_short_or_overwritten_is_refused_with_a_sentence(tmp_path):
    path = written(tmp_path / "stack.ome.tif", "strips")
    with tifffile.TiffFile(path) as tif:
        offset, count = (
            numbers[2] for numbers in (tif.pages[4].dataoffsets, tif.pages[4].databytecounts)
        )
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    image = read(path)
    with pytest.raises(ValueError, match="damaged TIFF"):
        image.pixels[1, 1]
    path.write_bytes(data[: offset + count])
    with pytest.raises(ValueError, match="damaged TIFF"):
        read(path)


def test_a_compressed_stack_is_trained_on(tmp_path):
    from napari_dip import IDDP, train

    noisy = np.random.default_rng(0).poisson(30, (6, 64, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", noisy, compression="zlib")
    tifffile.imwrite(tmp_path / "plain.tif", noisy)
    small = IDDP(steps=3, channels=4, filter_channels=4, filter_layers=1, crop=32)
    one, other = (
        train(tmp_path / name, small, device="cpu") for name in ("stack.tif", "plain.tif")
    )
    for a, b in zip(one.net.parameters(), other.net.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach())


def test_crops_of_wide_planes_keep_nothing_in_memory(tmp_path):
    """A memory map kept 64 KiB around each line of a crop."""
    from napari_dip.data_sets.sources import OPEN, FileCache, Source
    from napari_dip.files.raw_pixels import RawPixels

    tifffile.memmap(tmp_path / "wide.tif", shape=(512, 1 << 16), dtype=np.uint16).flush()
    source, cache = Source(tmp_path / "wide.tif"), FileCache(budget=OPEN)
    for top in (0, 100, 200):
        assert cache.read(source, (slice(top, top + 32), slice(7, 71))).shape == (32, 64)
        ((image, used),) = cache.open.values()
        assert used == OPEN and isinstance(image.pixels, RawPixels)
