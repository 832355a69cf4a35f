"""A file stands under its name whole or not at all."""

from __future__ import annotations

import errno
import os
import sys

import numpy as np
import pytest
from some_images import assert_same, make, names

from napari_dip.files import atomic, tiff_reader
from napari_dip.files.checksum import sha256
from napari_dip.files.read_write import read, write
from napari_dip.images.image import Image


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    image = make("ZYX", "uint16")
    for name in ("a.tif", "a.ome.tif"):
        with pytest.raises(OSError, match=rf"{name} was not written: it needs 4,370 bytes .* left"):
            write(tmp_path / name, image)
    assert names(tmp_path) == []


def test_a_real_limit_on_file_size_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.tif"
    write(target, make("YX", "uint8"))
    before = sha256(target)
    resource = pytest.importorskip(
        "resource", reason="limits on file size are set through a Unix call"
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="was not written: it needs 1,000,000 bytes"):
            write(target, Image(np.ones((500, 500), "float32"), "YX"), overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sha256(target) == before and names(tmp_path) == ["a.tif"]


def test_a_plane_that_cannot_be_read_leaves_nothing(tmp_path):
    class Broken:
        shape, dtype = (3, 8, 9), np.dtype("uint8")

        def __getitem__(self, key):
            if key[0] == 2:
                raise KeyboardInterrupt
            return np.zeros((8, 9), "uint8")

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.tif", Image(Broken(), "ZYX"))
    assert names(tmp_path) == []


def test_planes_are_read_one_by_one(tmp_path):
    class Lazy:
        shape, dtype = (4, 8, 9), np.dtype("uint16")
        asked: list = []  # noqa: RUF012

        def __getitem__(self, key):
            self.asked.append(key[0])
            return np.full((8, 9), key[0], "uint16")

    write(tmp_path / "a.tif", Image(Lazy(), "ZYX"))
    assert Lazy.asked == [0, 1, 2, 3]
    assert read(tmp_path / "a.tif").pixels[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_overwriting_is_asked_for_and_works_on_the_file_that_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_reader, "MAP_FROM", 1)
    image = make("ZYX", "uint16")
    write(tmp_path / "a.tif", image)
    with pytest.raises(FileExistsError, match="exists already"):
        write(tmp_path / "a.tif", image)
    mapped = read(tmp_path / "a.tif")
    write(tmp_path / "a.tif", mapped, overwrite=True)
    assert_same(image, read(tmp_path / "a.tif"))


def test_names_as_long_as_a_disk_takes_are_written_and_longer_ones_refused(tmp_path):
    image = make("YX", "uint8")
    longest = tmp_path / ("n" * 251 + ".tif")
    write(longest, image)
    assert_same(image, read(longest))
    with pytest.raises(OSError, match=r"cannot be looked up .* choose another, shorter name"):
        write(tmp_path / ("n" * 300 + ".tif"), image)
    assert names(tmp_path) == [longest.name]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_ends_a_write_early_leaves_the_old_one_as_it_was(tmp_path, kind):
    target = tmp_path / "target"

    def fill(path, text):
        if kind == "folder":
            path.mkdir()
            path = path / "inside"
        path.write_text(text)

    with atomic.atomic_path(target, 3) as part:
        fill(part, "old")
    before = sha256(target)
    for error, expected in ((KeyboardInterrupt(), KeyboardInterrupt), (OSError(13, "No"), OSError)):
        with pytest.raises(expected), atomic.atomic_path(target, 3) as part:
            fill(part, "new")
            raise error
        assert sha256(target) == before and names(tmp_path) == ["target"]
    with atomic.atomic_path(target, 3) as part:
        fill(part, "new")
    assert sha256(target) != before and names(tmp_path) == ["target"]


def test_a_file_never_replaces_a_folder(tmp_path):
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(OSError, match="was not written"):
        atomic.write_bytes(tmp_path / "table.csv", b"1,2")
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_folder_with_a_name_that_is_no_text_has_a_sum(tmp_path):
    before = sha256(tmp_path)
    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    assert sha256(tmp_path) != before


def test_what_cannot_be_read_is_not_blamed_on_what_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_reader, "MAP_FROM", 1)
    write(tmp_path / "a.tif", make("ZYX", "uint16"))
    image = read(tmp_path / "a.tif")
    (tmp_path / "a.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.tif"):
        write(tmp_path / "b.tif", image)
    assert names(tmp_path) == []
