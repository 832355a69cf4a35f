"""PNG and JPEG: what they hold survives, what they cannot hold is refused."""

from __future__ import annotations

import numpy as np
import pytest
from some_images import PROVENANCE, assert_same, make, names

from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.images.image import Image


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YX", (9, 7), "uint8"),
        ("YX", (9, 7), "uint16"),
        ("XY", (9, 7), "uint8"),
        ("YXC", (9, 7, 3), "uint8"),
        ("YXC", (9, 7, 4), "uint8"),
        ("TZCYX", (1, 1, 1, 1, 1), "uint16"),
    ],
)
def test_png_round_trip(tmp_path, axes, shape, dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    image = Image(
        pixels, axes, scale=(0.1,) * len(axes), units=("um",) * len(axes), provenance=PROVENANCE
    )
    assert write(tmp_path / "a.png", image) == 0
    assert_same(image, read(tmp_path / "a.png"))
    assert read_provenance(tmp_path / "a.png") == PROVENANCE


@pytest.mark.parametrize(
    ("axes", "dtype", "says"),
    [
        ("ZYX", "uint8", "one plane"),
        ("YX", "float32", "uint8 or uint16"),
        ("YXC", "uint16", "8 bits"),
    ],
)
def test_png_refuses_what_it_cannot_hold(tmp_path, axes, dtype, says):
    with pytest.raises(ValueError, match=says):
        write(tmp_path / "a.png", make(axes, dtype))
    assert names(tmp_path) == []


def test_deep_colour_png_is_refused_rather_than_cut_to_8_bits(tmp_path):
    header = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\1\0\0\0\1" + bytes([16, 2, 0, 0, 0])
    (tmp_path / "a.png").write_bytes(header + bytes(40))
    with pytest.raises(ValueError, match="colour PNG of 16 bits"):
        read(tmp_path / "a.png")


def test_a_truncated_png_is_refused(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 50)).astype("uint8")
    write(tmp_path / "a.png", Image(pixels, "YX"))
    data = (tmp_path / "a.png").read_bytes()
    for part in (20, 60, len(data) // 2):
        (tmp_path / "a.png").write_bytes(data[:part])
        with pytest.raises(ValueError, match="damaged, cut short"):
            read(tmp_path / "a.png")


def test_palette_png_gives_the_indices(data_dir):
    import PIL.Image

    path = data_dir / "hagen_lowsnr_highsnr" / "nucleus_lowsnr.png"
    with PIL.Image.open(path) as picture:
        assert picture.mode == "P"
        indices = np.array(picture)
    np.testing.assert_array_equal(read(path).pixels, indices)
