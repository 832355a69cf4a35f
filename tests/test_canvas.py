"""A stack under work is a picture without a copy, in memory or on disk."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_dip.images.image import Image, release_pages
from napari_dip.planes.canvas import Canvas

KEYS = [
    (),
    0,
    -1,
    slice(1, None),
    (1, 2),
    (slice(None), 1),
    (..., 0),
    (..., slice(2, 5), slice(None, None, 2)),
    (1, slice(None), ..., 3),
    (slice(None, None, -1), 2),
    (slice(3, 1),),
    np.int64(1),
    [0, 1],
    (np.array([1, 0]), 2),
]


def filled(
    axes: str, shape: tuple[int, ...], planes: int, in_file_from: int
) -> tuple[Canvas, np.ndarray]:
    rng = np.random.default_rng(0)
    source = Image(rng.integers(0, 9, shape).astype(np.uint16), axes)
    canvas, expected = (
        Canvas(source, in_file_from=in_file_from),
        np.asarray(source.pixels, dtype=np.float32),
    )
    for index in source.plane_indices()[:planes]:
        plane = rng.random(expected[index].shape, dtype=np.float32)
        canvas.put(plane)
        expected[index] = plane
    return canvas, expected


@pytest.mark.parametrize("in_file_from", [1 << 30, 0], ids=["memory", "file"])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_picture_reads_as_numpy_does(key, in_file_from):
    canvas, expected = filled("TZYX", (3, 4, 6, 5), 5, in_file_from)
    picture = canvas.picture(canvas.done)
    np.testing.assert_array_equal(picture[key], expected[key])
    assert (picture.shape, picture.ndim, picture.dtype) == (expected.shape, 4, np.float32)
    np.testing.assert_array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize(
    ("axes", "shape"), [("ZYXC", (2, 5, 6, 3)), ("YXT", (5, 4, 3)), ("YX", (4, 7))]
)
def test_axes_may_stand_in_any_order(axes, shape):
    canvas, expected = filled(axes, shape, 1, 0)
    np.testing.assert_array_equal(np.asarray(canvas.picture(canvas.done)), expected)
    np.testing.assert_array_equal(canvas.picture(canvas.done)[..., 1], expected[..., 1])
    np.testing.assert_array_equal(canvas.picture(canvas.done)[1:3], expected[1:3])


def test_a_picture_stays_as_it_was():
    canvas, before = filled("ZYX", (3, 4, 5), 1, 1 << 30)
    current = np.full((4, 5), 7, np.float32)
    old = canvas.picture(canvas.done, current)
    canvas.put(np.full((4, 5), 9, np.float32))
    expected = before.copy()
    expected[1] = 7
    np.testing.assert_array_equal(np.asarray(old), expected)
    expected[1] = 9
    np.testing.assert_array_equal(np.asarray(canvas.picture(canvas.done)), expected)


def test_a_plane_can_be_left_as_it_is():
    canvas, before = filled("ZYX", (3, 4, 5), 0, 1 << 30)
    canvas.put(None)
    canvas.put(np.zeros((4, 5)))
    before[1] = 0
    np.testing.assert_array_equal(np.asarray(canvas.picture(canvas.done)), before)


@pytest.mark.parametrize("key", [(0, 0, 0, 0, 0), 3, (0, 9)])
def test_a_place_outside_is_refused(key):
    canvas, _ = filled("TZYX", (3, 4, 6, 5), 0, 1 << 30)
    with pytest.raises(IndexError):
        canvas.picture(canvas.done)[key]


def test_a_full_disk_is_said_before_any_work(monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    image = Image(np.zeros((2, 4, 4)), "ZYX")
    assert not Canvas(image, in_file_from=0).in_file  # there is memory for so little
    monkeypatch.setattr("napari_dip.planes.canvas.IN_MEMORY_TO", 0)
    with pytest.raises(OSError, match="TMPDIR"):
        Canvas(image, in_file_from=0)


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_forgetting_pages_loses_nothing(mode, tmp_path):
    np.zeros((100, 4096), np.uint8).tofile(tmp_path / "a")
    mapped = np.memmap(tmp_path / "a", np.uint8, mode, shape=(100, 4096))
    mapped[:] = 7  # of mode "c" in memory alone
    release_pages(mapped[3:])
    release_pages(np.asarray(mapped)[3:])
    release_pages(np.zeros(3))
    assert (mapped == 7).all()
