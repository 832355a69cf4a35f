"""What is no image, or half of one, is refused in a sentence; nothing in a header is believed."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import tifffile
from some_images import PROVENANCE, make

from napari_dip.files.read_write import check_fits, read, read_provenance, write
from napari_dip.images.image import Image


@pytest.mark.parametrize("name", ["a.jpg", "a.xyz", "a"])
def test_writing_refuses_other_suffixes(tmp_path, name):
    with pytest.raises(ValueError, match="suffix"):
        write(tmp_path / name, make("YX", "uint8"))


def test_writing_asks_for_an_image(tmp_path):
    for pixels in (None, "a.tif", object()):
        with pytest.raises(ValueError, match=r"give a numpy array|read it first"):
            write(tmp_path / "a.tif", pixels)


def test_writing_refuses_folders_and_complex_pixels(tmp_path):
    image = make("YX", "uint8")
    (tmp_path / "b.tif").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write(tmp_path / "b.tif", image, overwrite=True)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write(tmp_path / "no" / "a.tif", image)
    with pytest.raises(ValueError, match="complex64"):
        write(tmp_path / "a.tif", image.with_pixels(image.pixels.astype("complex64")))
    with pytest.raises(ValueError, match="int64"):
        write(tmp_path / "a.tif", image.with_pixels(image.pixels.astype("int64")), dtype="same")
    with pytest.raises(ValueError, match="not a type of real numbers"):
        write(tmp_path / "a.tif", image, dtype="florin")
    with pytest.raises(ValueError, match="provenance cannot be stored"):
        write(tmp_path / "a.tif", Image(image.pixels, "YX", provenance={"x": object()}))


def test_reading_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read(tmp_path / "a.tif")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "a.tif").touch()
    with pytest.raises(ValueError, match="is empty"):
        read(tmp_path / "a.tif")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(ValueError, match="no suffix of an image"):
        read(tmp_path / "a.csv")
    for name in ("a.tif", "a.png", "a.jpg"):
        (tmp_path / name).write_text(
            "These are words, and no image at all, but quite a few of them."
        )
        with pytest.raises(ValueError, match=r"not a TIFF|cannot be read as PNG"):
            read(tmp_path / name)
        with pytest.raises(ValueError, match=r"not a TIFF|cannot be read as PNG"):
            read_provenance(tmp_path / name)
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((8, 9), "complex64"))
    with pytest.raises(ValueError, match="complex64"):
        read(tmp_path / "c.tif")
    tifffile.imwrite(
        tmp_path / "d.tif", np.zeros((2, 2, 2, 2, 8, 9), "uint8"), photometric="minisblack"
    )
    with pytest.raises(ValueError, match="more than T, Z, C, Y and X"):
        read(tmp_path / "d.tif")
    tifffile.imwrite(tmp_path / "e.tif", np.zeros((5, 8, 9), "uint8"), photometric="minisblack")
    with pytest.raises(ValueError, match="name 2 axes"):
        read(tmp_path / "e.tif", axes="YX")


@pytest.mark.parametrize("layout", ["imagej", "ome", "plain"])
@pytest.mark.parametrize("part", [0.0005, 0.002, 0.01, 0.3, 0.6, 0.9, 0.995])
def test_a_truncated_tiff_is_refused(tmp_path, layout, part, capfd):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 50, 60)).astype("uint8")
    if layout == "plain":
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    else:
        write(tmp_path / ("a.tif" if layout == "imagej" else "a.ome.tif"), Image(pixels, "ZYX"))
    whole = next(tmp_path.iterdir())
    data = whole.read_bytes()
    whole.write_bytes(data[: int(len(data) * part)])
    if layout == "imagej" and part > 0.99:
        # Only the tags of later pages are lost, which ImageJ's format does not need: every pixel is
        # there.
        np.testing.assert_array_equal(read(whole).pixels, pixels)
    else:
        with pytest.raises(ValueError, match="damaged TIFF"):
            read(whole)
    assert capfd.readouterr() == ("", "")


def test_a_name_is_no_sign_of_damage(tmp_path, capfd):
    """tifffile logs a warning about this file, with the file's name in it; its pixels are whole."""
    path = tmp_path / "is missing.tif"
    write(path, make("ZYX", "uint8"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"IJMD", b"XXXX").replace(b"JIJI", b"XXXX"))
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    logging.getLogger("tifffile").addHandler(handler)
    try:
        image = read(path)
    finally:
        logging.getLogger("tifffile").removeHandler(handler)
    assert any("is missing" in line for line in logged), (
        "this file no longer makes tifffile complain"
    )
    assert image.axes == "ZYX" and image.provenance == {}


def test_odd_names_and_units_make_a_readable_file(tmp_path):
    image = make(
        "ZYX",
        "float32",
        name="a\x00\x1b<b>\ud800 & {c}",
        units=("um", "a\nslices=9", "a\nslices=9"),
    )
    for name in ("a.tif", "a.ome.tif"):
        write(tmp_path / name, image)
        again = read(tmp_path / name)
        assert (again.axes, again.shape, again.scale, again.name) == (
            image.axes,
            image.shape,
            image.scale,
            "a",
        )
        assert again.provenance == PROVENANCE


@pytest.mark.parametrize(
    "text",
    [
        "napari-dip = __import__('os').system('true')",
        'napari-dip = {"axes": "ZYX"}',
        'napari-dip = {"axes": 3, "shape": [1], "scale": [1], "units": [""], "provenance": {}}',
        "napari-dip = " + "[" * 100_000,
        "napari-dip = "
        + json.dumps(
            {
                "axes": "QQQ",
                "shape": [6, 50, 60],
                "scale": [1, 1, 1],
                "units": ["um"] * 3,
                "written": {},
                "provenance": {},
            }
        ),
    ],
)
def test_a_strangers_header_is_not_believed(tmp_path, text, capfd):
    pixels = np.zeros((6, 50, 60), "uint8")
    unit = "\x1b[31mred\x07" + "x" * 40
    metadata = {"axes": "ZYX", "Info": text, "unit": unit, "spacing": "nonsense"}
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(2, 2), metadata=metadata)
    image = read(tmp_path / "a.tif")
    assert (image.axes, image.units, image.provenance) == ("ZYX", ("pixel",) * 3, {})
    assert image.scale == (1, 0.5, 0.5)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "pixels", "dtype", "words"),
    [
        ("a.tif", np.ones((4, 5), bool), "same", "not bool"),
        ("a.tif", np.ones((4, 5), "float16"), "same", "not float16"),
        ("a.tif", np.ones((4, 5), "uint64"), "same", "not uint64"),
        ("a.png", np.ones((4, 5), "uint16"), "float32", "not float32"),
        ("a.png", np.ones((3, 4, 5), "uint8"), "same", "one plane"),
    ],
)
def test_what_a_file_cannot_hold_is_known_before_there_are_pixels(
    tmp_path, name, pixels, dtype, words
):
    image = Image(pixels)
    with pytest.raises(ValueError, match=words):
        check_fits(tmp_path / name, image, dtype)
    with pytest.raises(ValueError, match=words):
        write(tmp_path / name, image, dtype=dtype)
    assert list(tmp_path.iterdir()) == []
