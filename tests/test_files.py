"""Images survive the way into a file and back, and what goes wrong is said in a sentence."""

from __future__ import annotations

import errno
import json
import os
import resource
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_dip.images import files, tiff_reader
from napari_dip.images.files import cast, read, read_provenance, sha256, write
from napari_dip.images.image import Image
from napari_dip.images.tiff_writer import BIG, choose_layout

SIZES = {"T": 3, "Z": 5, "C": 2, "Y": 19, "X": 23}
SCALES = {"T": 0.7, "Z": 0.3, "C": 1.0, "Y": 0.1, "X": 0.1625}
UNITS = {"T": "s", "Z": "um", "C": "pixel", "Y": "um", "X": "um"}
AXES = ["YX", "TYX", "ZYX", "CYX", "TZYX", "TCYX", "ZCYX", "TZCYX", "CZYX", "ZTYX", "YXC", "ZYXC", "XY"]
PROVENANCE = {
    "method": "dip",
    "settings": {"steps": 800, "averaging": 0.99, "note": 'quotes " and µ and \n and <b>&amp;'},
    "seed": 0,
    "versions": ["1", None, True],
}


def make(axes: str, dtype: str, **changes) -> Image:
    shape = [3 if a == "C" and axes.endswith("C") else SIZES[a] for a in axes]
    top = 1000 if dtype == "uint16" else 200
    pixels = np.random.default_rng(1).uniform(0, top, shape).astype(dtype)
    kept = {
        "scale": tuple(SCALES[a] for a in axes),
        "units": tuple(UNITS[a] for a in axes),
        "provenance": PROVENANCE,
    }
    return Image(pixels, axes, **{**kept, **changes})


def assert_same(image: Image, other: Image) -> None:
    assert (other.axes, other.shape, other.dtype) == (image.axes, image.shape, image.dtype)
    assert (other.scale, other.units) == (image.scale, image.units)
    assert other.provenance == image.provenance
    np.testing.assert_array_equal(np.asarray(other.pixels), np.asarray(image.pixels))


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("axes", AXES)
def test_tiff_round_trip(tmp_path, axes, dtype, suffix):
    image = make(axes, dtype)
    assert write(tmp_path / f"a{suffix}", image) == 0
    assert_same(image, read(tmp_path / f"a{suffix}"))
    assert read_provenance(tmp_path / f"a{suffix}") == PROVENANCE
    assert os.listdir(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (1, 1)),
        ("YX", (1, 64)),
        ("YX", (64, 1)),
        ("ZYX", (1, 9, 7)),
        ("TZCYX", (1, 1, 1, 8, 9)),
        ("TZCYX", (1, 4, 1, 8, 9)),
        ("CYX", (3, 1, 5)),
        ("YXC", (1, 1, 3)),
        ("YXC", (11, 13, 4)),
        ("TYXC", (1, 11, 13, 3)),
    ],
)
def test_singletons_and_odd_sizes_survive(tmp_path, axes, shape, suffix):
    image = Image(np.arange(np.prod(shape), dtype="uint8").reshape(shape), axes)
    write(tmp_path / f"a{suffix}", image)
    assert_same(image, read(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize(
    "units", [("pixel",) * 3, ("um", "nm", "nm"), ("um", "pixel", "pixel"), ("mm", "furlong", "furlong")]
)
@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_units_of_all_kinds_survive(tmp_path, units, suffix):
    image = make("ZYX", "uint8", units=units, scale=(1.0, 0.123456789012, 1 / 3))
    write(tmp_path / f"a{suffix}", image)
    assert_same(image, read(tmp_path / f"a{suffix}"))


def test_fiji_would_see_slices_frames_and_spacing(tmp_path):
    write(tmp_path / "a.tif", make("TZCYX", "uint16", scale=(2.0, 0.3, 1.0, 0.1, 0.1)))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_imagej and tif.series[0].axes == "TZCYX"
        told = tif.imagej_metadata
        assert (told["frames"], told["slices"], told["channels"], told["images"]) == (3, 5, 2, 30)
        assert (told["unit"], told["spacing"], told["finterval"], told["mode"]) == (
            "um",
            0.3,
            2.0,
            "composite",
        )
        tags = tif.pages.first.tags
        for name in ("XResolution", "YResolution"):
            assert np.divide(*tags[name].value) == pytest.approx(10)
        assert tags["ResolutionUnit"].value == 1
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), make("TZCYX", "uint16").pixels)


def test_ome_readers_would_see_physical_sizes(tmp_path):
    write(tmp_path / "a.ome.tif", make("TZYX", "float32"))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.is_ome and tif.series[0].axes == "TZYX" and not tif.is_bigtiff
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeZ"], pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (0.3, 0.1, 0.1625)
    assert (pixels["PhysicalSizeXUnit"], pixels["TimeIncrement"], pixels["TimeIncrementUnit"]) == (
        "µm",
        0.7,
        "s",
    )
    assert pixels["Type"] == "float"


def test_an_image_edited_in_fiji_is_believed(tmp_path):
    """Another pixel size in the tags beats our record; a stack turned into frames is frames."""
    image = make("ZYX", "uint8")
    write(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        info = tif.imagej_metadata["Info"]
    options = {"imagej": True, "resolution": (1 / 0.2, 1 / 0.2)}
    edited = {"axes": "ZYX", "unit": "\\u00B5m", "spacing": 0.5, "Info": "a line\n" + info + "\nlast"}
    tifffile.imwrite(tmp_path / "b.tif", image.pixels, metadata=edited, **options)
    again = read(tmp_path / "b.tif")
    assert again.scale == pytest.approx((0.5, 0.2, 0.2)) and again.units == ("um",) * 3
    assert again.provenance == PROVENANCE
    tifffile.imwrite(
        tmp_path / "c.tif", image.pixels, metadata={**edited, "axes": "TYX", "finterval": 4}, **options
    )
    again = read(tmp_path / "c.tif")
    assert (again.axes, again.scale[0], again.units[0]) == ("TYX", 4, "s")
    tifffile.imwrite(tmp_path / "d.tif", image.pixels[:, :7], metadata={**edited}, **options)
    assert (read(tmp_path / "d.tif").axes, read(tmp_path / "d.tif").shape) == ("ZYX", (5, 7, 23))


@pytest.mark.parametrize(
    ("shape", "given", "axes"),
    [
        ((9, 20, 30), None, "ZYX"),
        ((4, 9, 20, 30), None, "TZYX"),
        ((2, 4, 3, 20, 30), None, "TZCYX"),
        ((9, 20, 30), "TYX", "TYX"),
        ((2, 20, 30), "cyx", "CYX"),
        ((20, 30), "ZYX", "ZYX"),
    ],
)
def test_axes_of_a_plain_tiff(tmp_path, shape, given, axes):
    pixels = np.zeros(shape, "uint8")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    assert read(tmp_path / "a.tif", axes=given).axes == axes


def test_pages_without_any_metadata_are_z(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 20, 30), "uint16"), metadata=None)
    assert read(tmp_path / "a.tif").axes == "ZYX"


def test_colours_stored_one_after_another_become_the_last_axis(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 20, 30)).astype("uint8")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate")
    image = read(tmp_path / "a.tif")
    assert image.axes == "YXC"
    np.testing.assert_array_equal(np.asarray(image.pixels), np.moveaxis(pixels, 0, -1))


def test_compressed_and_big_endian_are_read(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65535, (4, 20, 30)).astype("uint16")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", compression="zlib")
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="minisblack", byteorder=">")
    for name in "ab":
        image = read(tmp_path / f"{name}.tif")
        assert image.dtype == np.dtype("uint16")
        np.testing.assert_array_equal(np.asarray(image.pixels), pixels)


def test_large_files_are_mapped_and_small_ones_are_not(tmp_path, monkeypatch):
    image = make("TZCYX", "uint16")
    for name in ("a.tif", "a.ome.tif"):
        write(tmp_path / name, image)
        assert not isinstance(read(tmp_path / name).pixels, np.memmap)
        monkeypatch.setattr(tiff_reader, "MAP_FROM", 1)
        mapped = read(tmp_path / name)
        monkeypatch.undo()
        assert isinstance(mapped.pixels, np.memmap) and not mapped.pixels.flags.writeable
        assert_same(image, mapped)


@pytest.mark.parametrize(
    ("axes", "shape", "dtype", "ome", "expected"),
    [
        ("ZYX", (5, 64, 64), "uint16", False, ("imagej", False)),
        ("ZYX", (5, 64, 64), "uint16", True, ("ome", False)),
        ("YX", (64, 64), "float64", False, ("ome", False)),
        ("YXC", (64, 64, 3), "uint8", False, ("imagej", False)),
        ("YXC", (64, 64, 3), "float32", False, ("ome", False)),
        ("YXC", (64, 64, 4), "uint8", False, ("ome", False)),
        ("ZYX", (1023, 1024, 1024), "float32", False, ("ome", True)),
        ("ZYX", (1024, 1024, 1024), "uint8", False, ("imagej", False)),
        ("ZYX", (4096, 1024, 1024), "uint8", True, ("ome", True)),
    ],
)
def test_layout_and_the_4_gb_limit(axes, shape, dtype, ome, expected):
    assert choose_layout(axes, shape, np.dtype(dtype), ome=ome) == expected


def test_over_the_limit_a_bigtiff_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_dip.images.tiff_writer.BIG", 1000)
    assert BIG > 4e9
    image = make("ZYX", "uint16")
    write(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    assert_same(image, read(tmp_path / "a.tif"))


# -- PNG and JPEG ------------------------------------------------------------------------------------------------


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
    image = Image(pixels, axes, scale=(0.1,) * len(axes), units=("um",) * len(axes), provenance=PROVENANCE)
    assert write(tmp_path / "a.png", image) == 0
    assert_same(image, read(tmp_path / "a.png"))
    assert read_provenance(tmp_path / "a.png") == PROVENANCE


@pytest.mark.parametrize(
    ("axes", "dtype", "says"),
    [("ZYX", "uint8", "one plane"), ("YX", "float32", "uint8 or uint16"), ("YXC", "uint16", "8 bits")],
)
def test_png_refuses_what_it_cannot_hold(tmp_path, axes, dtype, says):
    with pytest.raises(ValueError, match=says):
        write(tmp_path / "a.png", make(axes, dtype))
    assert os.listdir(tmp_path) == []


def test_deep_colour_png_is_refused_rather_than_cut_to_8_bits(tmp_path):
    header = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\1\0\0\0\1" + bytes([16, 2, 0, 0, 0])
    (tmp_path / "a.png").write_bytes(header + bytes(40))
    with pytest.raises(ValueError, match="16 bits a channel"):
        read(tmp_path / "a.png")


# -- Casting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype", "expected", "clipped"),
    [
        ([-0.5, 0.4, 1.5, 254.6, 255.4], "uint8", [0, 0, 2, 255, 255], 0),
        ([-0.6, -7, 255.6, 1e9], "uint8", [0, 0, 255, 255], 4),
        ([np.nan, np.inf, -np.inf, 3], "uint16", [0, 65535, 0, 3], 3),
        ([70000, 65535], "uint16", [65535, 65535], 1),
        ([1e300, -1e300, np.inf, np.nan], "float32", [3.4028235e38, -3.4028235e38, np.inf, np.nan], 2),
    ],
)
def test_cast_rounds_clips_and_counts(values, dtype, expected, clipped):
    image, count = cast(Image(np.array([values]), "YX"), dtype)
    assert image.dtype == np.dtype(dtype) and count == clipped
    np.testing.assert_array_equal(np.asarray(image.pixels)[0], np.array(expected, dtype))


def test_cast_between_integers_does_not_wrap():
    image, count = cast(Image(np.array([[-5, 300, 7]], "int16"), "YX"), "uint8")
    assert image.pixels.tolist() == [[0, 255, 7]] and count == 2


@pytest.mark.parametrize(
    ("given", "dtype", "stored"),
    [
        ("float64", None, "float32"),
        ("int32", None, "float32"),
        ("uint16", None, "uint16"),
        ("float64", "same", "float64"),
        ("int16", "same", "int16"),
        ("float32", "uint8", "uint8"),
        ("float32", np.uint16, "uint16"),
    ],
)
def test_dtype_of_the_file(tmp_path, given, dtype, stored):
    write(tmp_path / "a.tif", make("ZYX", given), dtype=dtype)
    assert tifffile.imread(tmp_path / "a.tif").dtype == stored


def test_write_counts_clipped_values_over_all_planes(tmp_path):
    pixels = np.full((3, 4, 5), 100.0)
    pixels[:, 0, 0] = (-3, 999, np.nan)
    assert write(tmp_path / "a.tif", Image(pixels, "ZYX"), dtype="uint8") == 3


# -- Atomic writing ----------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    image = make("ZYX", "uint16")
    for name in ("a.tif", "a.ome.tif"):
        with pytest.raises(OSError, match=rf"{name} was not written: it needs 4,370 bytes .* left"):
            write(tmp_path / name, image)
    assert os.listdir(tmp_path) == []


def test_a_real_limit_on_file_size_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.tif"
    write(target, make("YX", "uint8"))
    before = sha256(target)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="was not written: it needs 1,000,000 bytes"):
            write(target, Image(np.ones((500, 500), "float32"), "YX"), overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sha256(target) == before and os.listdir(tmp_path) == ["a.tif"]


def test_a_plane_that_cannot_be_read_leaves_nothing(tmp_path):
    class Broken:
        shape, dtype = (3, 8, 9), np.dtype("uint8")

        def __getitem__(self, key):
            if key[0] == 2:
                raise KeyboardInterrupt
            return np.zeros((8, 9), "uint8")

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.tif", Image(Broken(), "ZYX"))
    assert os.listdir(tmp_path) == []


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


# -- What is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.xyz", "a"])
def test_writing_refuses_other_suffixes(tmp_path, name):
    with pytest.raises(ValueError, match="suffix"):
        write(tmp_path / name, make("YX", "uint8"))


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
        (tmp_path / name).write_text("These are words, and no image at all, but quite a few of them.")
        with pytest.raises(ValueError, match="not a TIFF|cannot be read as PNG"):
            read(tmp_path / name)
        with pytest.raises(ValueError, match="not a TIFF|cannot be read as PNG"):
            read_provenance(tmp_path / name)
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((8, 9), "complex64"))
    with pytest.raises(ValueError, match="complex64"):
        read(tmp_path / "c.tif")
    tifffile.imwrite(tmp_path / "d.tif", np.zeros((2, 2, 2, 2, 8, 9), "uint8"), photometric="minisblack")
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
    with pytest.raises(ValueError, match="damaged TIFF"):
        read(whole)
    assert capfd.readouterr() == ("", "")


def test_a_truncated_png_is_refused(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 50)).astype("uint8")
    write(tmp_path / "a.png", Image(pixels, "YX"))
    data = (tmp_path / "a.png").read_bytes()
    for part in (20, 60, len(data) // 2):
        (tmp_path / "a.png").write_bytes(data[:part])
        with pytest.raises(ValueError, match="damaged, cut short"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize(
    "text",
    [
        "napari-dip = __import__('os').system('true')",
        'napari-dip = {"axes": "ZYX"}',
        'napari-dip = {"axes": 3, "shape": [1], "scale": [1], "units": ["um"], "written": {}, "provenance": {}}',
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


def test_several_images_in_a_file_give_the_first_and_say_so(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.ones((8, 9), "uint8"))
        writer.write(np.zeros((18, 19), "uint8"))
    with pytest.warns(UserWarning, match="holds 2 images"):
        assert read(tmp_path / "a.tif").shape == (8, 9)


# -- Real files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "axes", "shape", "dtype", "scale", "unit"),
    [
        ("fmd_confocal_fov01/fish_raw.tif", "YX", (512, 512), "uint8", (1, 1), "pixel"),
        (
            "fmd_confocal_fov01_stack/3D_volume_raw_stack1_32bit.tif",
            "ZYX",
            (3, 512, 512),
            "float32",
            (1, 1, 1),
            "pixel",
        ),
        ("fmd_ome_tiff/FOV7_HV110_P0500510000.ome.tiff", "YX", (512, 512), "uint8", (1, 1), "pixel"),
        (
            "lysosome_timelapse/1.tif",
            "TYX",
            (50, 128, 128),
            "uint16",
            (1, 1e6 / 7739899, 1e6 / 7739899),
            "um",
        ),
        ("noisy_only_16bit/convallaria_Conv0000.tif", "YX", (1024, 1024), "uint16", (1, 1), "cm"),
        ("stack_tiff/CH3_Fluorescence_8bit.tif", "CYX", (3, 272, 275), "uint8", (1, 1, 1), "pixel"),
        ("stack_tiff/mini-t1-head.tif", "ZYX", (32, 32, 32), "uint16", (1.5, 1.5, 1.5), "mm"),
        ("stack_tiff/tiff_stack.tif", "ZYX", (5, 512, 512), "uint16", (1, 1, 1), "pixel"),
        ("w2s_widefield_8bit/input_avg1_001_0.tif", "YX", (512, 512), "uint8", (1, 1), "pixel"),
        ("hagen_lowsnr_highsnr/nucleus_lowsnr.png", "YX", (512, 512), "uint8", (1, 1), "pixel"),
        ("cryoem_simulated/000041_str3_clean.png", "YX", (128, 128), "uint16", (1, 1), "pixel"),
        ("dip_denoising_set/F16_GT.png", "YXC", (512, 512, 3), "uint8", (1, 1, 1), "pixel"),
        ("dip_denoising_set/snail.jpg", "YXC", (261, 400, 3), "uint8", (1, 1, 1), "pixel"),
    ],
)
def test_real_files(data_dir, tmp_path, name, axes, shape, dtype, scale, unit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read(data_dir / name)
    assert (image.axes, image.shape, image.dtype) == (axes, shape, np.dtype(dtype))
    assert image.scale == pytest.approx(scale, rel=1e-5) and image.units[-1] == unit
    assert image.provenance == {} and "." not in image.name
    for suffix in (".tif", ".ome.tif"):
        write(tmp_path / f"a{suffix}", image)
        assert_same(image, read(tmp_path / f"a{suffix}"))


def test_palette_png_gives_the_indices(data_dir):
    import PIL.Image

    path = data_dir / "hagen_lowsnr_highsnr" / "nucleus_lowsnr.png"
    with PIL.Image.open(path) as picture:
        assert picture.mode == "P"
        indices = np.array(picture)
    np.testing.assert_array_equal(read(path).pixels, indices)


def test_sha256_is_the_one_the_data_set_states(data_dir):
    stated = "8bd895d76c2dfdfefd7d8ba4a4349247fbf2124d7817b654699c352b0816407c"
    assert sha256(data_dir / "lysosome_timelapse" / "1.tif") == stated


def test_a_renamed_ome_file_is_still_read(data_dir, tmp_path):
    source = data_dir / "fmd_ome_tiff" / "FOV7_HV110_P0500510000.ome.tiff"
    copy = tmp_path / "b.ome.tiff"
    copy.write_bytes(Path(source).read_bytes())
    np.testing.assert_array_equal(read(copy).pixels, read(source).pixels)
