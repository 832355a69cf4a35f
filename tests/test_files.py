"""Images survive the way into a TIFF and back, and other programs see what they should."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
import tifffile
from some_images import PROVENANCE, assert_same, make, names

from napari_dip.files import tiff_reader
from napari_dip.files.raw_pixels import RawPixels
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.files.tiff_writer import BIG, choose_layout
from napari_dip.images.image import Image

AXES = [
    "YX",
    "TYX",
    "ZYX",
    "CYX",
    "TZYX",
    "TCYX",
    "ZCYX",
    "TZCYX",
    "CZYX",
    "ZTYX",
    "YXC",
    "ZYXC",
    "XY",
]


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("axes", AXES)
def test_tiff_round_trip(tmp_path, axes, dtype, suffix):
    image = make(axes, dtype)
    assert write(tmp_path / f"a{suffix}", image) == 0
    assert_same(image, read(tmp_path / f"a{suffix}"))
    assert read_provenance(tmp_path / f"a{suffix}") == PROVENANCE
    assert names(tmp_path) == [f"a{suffix}"]


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
    "units",
    [("pixel",) * 3, ("um", "nm", "nm"), ("um", "pixel", "pixel"), ("mm", "furlong", "furlong")],
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
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "a.tif"), make("TZCYX", "uint16").pixels
    )


def test_ome_readers_would_see_physical_sizes(tmp_path):
    write(tmp_path / "a.ome.tif", make("TZYX", "float32"))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.is_ome and tif.series[0].axes == "TZYX" and not tif.is_bigtiff
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeZ"], pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (
        0.3,
        0.1,
        0.1625,
    )
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
    edited = {
        "axes": "ZYX",
        "unit": "\\u00B5m",
        "spacing": 0.5,
        "Info": "a line\n" + info + "\nlast",
    }
    tifffile.imwrite(tmp_path / "b.tif", image.pixels, metadata=edited, **options)
    again = read(tmp_path / "b.tif")
    assert again.scale == pytest.approx((0.5, 0.2, 0.2)) and again.units == ("um",) * 3
    assert again.provenance == PROVENANCE
    tifffile.imwrite(
        tmp_path / "c.tif",
        image.pixels,
        metadata={**edited, "axes": "TYX", "finterval": 4},
        **options,
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


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_four_frames_are_no_colours(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 20, 30)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)  # which marks them as RGB and alpha
    image = read(tmp_path / "a.tif")
    assert image.axes == "ZYX"
    np.testing.assert_array_equal(np.asarray(image.pixels), pixels)
    beside = np.moveaxis(pixels, 0, -1)
    tifffile.imwrite(tmp_path / "b.tif", beside, photometric="minisblack", planarconfig="contig")
    image = read(tmp_path / "b.tif")
    assert image.axes == "CYX", "grey samples are channels"
    np.testing.assert_array_equal(np.asarray(image.pixels), pixels)
    tifffile.imwrite(tmp_path / "c.tif", beside, photometric="rgb")
    assert read(tmp_path / "c.tif").axes == "YXC"


def test_compressed_and_big_endian_are_read(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65535, (4, 20, 30)).astype("uint16")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", compression="zlib")
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="minisblack", byteorder=">")
    for name in "ab":
        image = read(tmp_path / f"{name}.tif")
        assert image.dtype == np.dtype("uint16")
        np.testing.assert_array_equal(np.asarray(image.pixels), pixels)


def test_large_files_stay_on_disk_and_small_ones_do_not(tmp_path, monkeypatch):
    image = make("TZCYX", "uint16")
    for name in ("a.tif", "a.ome.tif"):
        write(tmp_path / name, image)
        assert isinstance(read(tmp_path / name).pixels, np.ndarray)
        monkeypatch.setattr(tiff_reader, "MAP_FROM", 1)
        mapped = read(tmp_path / name)
        monkeypatch.undo()
        assert isinstance(mapped.pixels, RawPixels)
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
    monkeypatch.setattr("napari_dip.files.tiff_writer.BIG", 1000)
    assert BIG > 4e9
    image = make("ZYX", "uint16")
    write(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    assert_same(image, read(tmp_path / "a.tif"))


def test_no_network_address_goes_into_a_file(tmp_path):
    write(tmp_path / "a.ome.tif", make("YX", "uint8"))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        identity = uuid.UUID(
            tifffile.xml2dict(tif.ome_metadata)["OME"]["UUID"].removeprefix("urn:uuid:")
        )
    assert identity.version == 4
