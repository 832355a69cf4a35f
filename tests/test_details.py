"""What goes through from a file to the next: colours, ranges, labels, times, positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_dip import read, write
from napari_dip.files import tiff_writer
from napari_dip.files.tiff_header import _lsm, _stk_calibration
from napari_dip.images.details import Details
from napari_dip.images.image import Image

STACK = np.random.default_rng(0).integers(0, 200, (2, 3, 2, 20, 24)).astype(np.uint16)  # TZCYX
CHANNELS = [
    {
        "Name": name,
        "Color": colour,
        "EmissionWavelength": wave,
        "EmissionWavelengthUnit": "nm",
        "Fluor": name,
        "AcquisitionMode": "SpinningDiskConfocal",
    }
    for name, colour, wave in (("DAPI", 65535, 450.0), ("GFP", 16711935, 525.5))
]
PLANES = {
    "DeltaT": [0.5 * i for i in range(12)],
    "ExposureTime": [0.1] * 12,
    "PositionX": [12.5] * 12,
    "PositionXUnit": ["µm"] * 12,
}


def ome_file(path) -> None:
    tifffile.imwrite(
        path,
        STACK,
        ome=True,
        photometric="minisblack",
        metadata={
            "axes": "TZCYX",
            "Channel": {key: [one[key] for one in CHANNELS] for key in CHANNELS[0]},
            "Plane": PLANES,
            "AcquisitionDate": "2024-05-01T12:00:00",
            "Description": "fixed < cells",
            "PhysicalSizeX": 0.1,
            "PhysicalSizeY": 0.1,
        },
    )


def imagej_file(path, **more) -> None:
    ramp = np.zeros((3, 256), np.uint8)
    ramp[1] = np.arange(256)
    fire = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint8)
    tifffile.imwrite(
        path,
        STACK,
        imagej=True,
        resolution=(10, 10),
        metadata={
            "axes": "TZCYX",
            "unit": "um",
            "mode": "composite",
            "LUTs": [ramp, fire],
            "Ranges": (1.0, 90.0, 5.0, 150.0),
            "Labels": [f"field {i}" for i in range(12)],
            "Info": "Objective: 60x\nImmersion: oil",
            **more,
        },
    )


def test_ome_keeps_colours_wavelengths_times_positions_and_the_date(tmp_path):
    ome_file(tmp_path / "a.ome.tif")
    image = read(tmp_path / "a.ome.tif")
    assert [c["Color"] for c in image.details.channels] == ["0000FF", "00FF00"]
    write(tmp_path / "b.ome.tif", image.with_pixels(np.asarray(image.pixels) + 1.5))
    back = read(tmp_path / "b.ome.tif")
    assert back.details == image.details
    assert back.channels == ("DAPI", "GFP")
    about = back.details.channels[1]
    assert (about["EmissionWavelength"], about["Fluor"]) == ("525.5", "GFP")
    assert back.details.planes[1, 2, 1]["DeltaT"] == "5.5"
    assert back.details.planes[0, 0, 0]["PositionX"] == "12.5"
    assert back.details.date == "2024-05-01T12:00:00"
    assert back.details.note == "fixed < cells"
    xml = tifffile.TiffFile(tmp_path / "b.ome.tif").ome_metadata
    assert 'Color="65535"' in xml and 'TheT="1"' in xml


def test_imagej_keeps_tables_ranges_and_labels(tmp_path):
    imagej_file(tmp_path / "a.tif")
    image = read(tmp_path / "a.tif")
    assert image.details.channels[0] == {"Color": "00FF00", "Range": (1.0, 90.0)}
    write(tmp_path / "b.tif", image)
    before = tifffile.TiffFile(tmp_path / "a.tif").imagej_metadata
    after = tifffile.TiffFile(tmp_path / "b.tif").imagej_metadata
    np.testing.assert_array_equal(after["LUTs"], before["LUTs"])
    assert after["Ranges"] == before["Ranges"] and after["Labels"] == before["Labels"]
    assert read(tmp_path / "b.tif").details.planes == image.details.planes
    write(tmp_path / "c.tif", read(tmp_path / "b.tif"))
    assert read(tmp_path / "c.tif").details.note == "Objective: 60x\nImmersion: oil"


def test_the_range_of_one_channel_is_kept(tmp_path):
    metadata = {"axes": "ZYX", "min": 3.0, "max": 77.0}
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, :, 0], imagej=True, metadata=metadata)
    write(tmp_path / "b.tif", read(tmp_path / "a.tif"))
    after = tifffile.TiffFile(tmp_path / "b.tif").imagej_metadata
    assert (after["min"], after["max"]) == (3.0, 77.0)


def test_colours_go_from_one_format_to_the_next(tmp_path):
    pytest.importorskip("yaozarrs")
    ome_file(tmp_path / "a.ome.tif")
    for name in ("b.tif", "c.zarr", "d.ome.tif"):
        image = read(tmp_path / "a.ome.tif")
        write(tmp_path / name, image)
        found = read(tmp_path / name).details.channels
        assert [c["Color"] for c in found] == ["0000FF", "00FF00"]


def test_no_colour_is_made_up(tmp_path):
    write(tmp_path / "a.tif", Image(STACK, "TZCYX"))
    assert "LUTs" not in tifffile.TiffFile(tmp_path / "a.tif").imagej_metadata
    write(tmp_path / "a.ome.tif", Image(STACK, "TZCYX"))
    assert "Color=" not in tifffile.TiffFile(tmp_path / "a.ome.tif").ome_metadata


def test_what_a_part_has_is_that_of_its_places(tmp_path):
    ome_file(tmp_path / "a.ome.tif")
    part = read(tmp_path / "a.ome.tif", channel="GFP", time=1, plane="1:3")
    assert [c["Fluor"] for c in part.details.channels] == ["GFP"]
    write(tmp_path / "b.ome.tif", part)
    planes = read(tmp_path / "b.ome.tif").details.planes
    assert [planes[0, z, 0]["DeltaT"] for z in range(2)] == ["4.5", "5.5"]


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"resolution": (1e5, 5e4), "resolutionunit": "CENTIMETER"}, (0.1, 0.2)),
        ({"resolution": (254000.0, 254000.0), "resolutionunit": "INCH"}, (0.1, 0.1)),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"resolution": (72 / 2.54, 72 / 2.54), "resolutionunit": "CENTIMETER"}, None),
        ({"resolution": (1, 1), "resolutionunit": "NONE"}, None),
        ({"resolution": (10, 10), "description": "unit=micron\nother=1"}, (0.1, 0.1)),
        ({}, None),
    ],
)
def test_the_size_of_pixels_of_a_plain_tiff(options, size, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0, 0], metadata=None, **options)
    image = read(tmp_path / "a.tif")
    if size is None:
        assert (image.scale, image.units) == ((1.0, 1.0), ("pixel", "pixel"))
    else:
        assert image.scale[::-1] == pytest.approx(size) and image.units == ("um", "um")


def test_lsm_and_stk_say_their_sizes() -> None:
    colours = {"ColorNames": ["Ch1", "Ch2"], "Colors": [[255, 0, 0, 0], [0, 255, 0, 0]]}
    sizes = {"VoxelSizeX": 1e-7, "VoxelSizeY": 2e-7, "VoxelSizeZ": 5e-7, "TimeIntervall": 1.5}
    lsm = _lsm({**sizes, "ChannelColors": colours})
    assert lsm.calibration == {
        "X": (0.1, "um"),
        "Y": (0.2, "um"),
        "Z": (0.5, "um"),
        "T": (1.5, "s"),
    }
    assert lsm.channels == ("Ch1", "Ch2") and lsm.details.channels[1] == {"Color": "00FF00"}
    stk = {"XCalibration": 0.1, "YCalibration": 0.1, "CalibrationUnits": "um"}
    found = _stk_calibration({**stk, "ZDistance": np.array([0.5, 0.5])})
    assert found == {"X": (0.1, "um"), "Y": (0.1, "um"), "Z": (0.5, "um")}


def test_what_is_shown_dark_stays_so(tmp_path):
    pytest.importorskip("yaozarrs")
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0, 0], photometric="miniswhite")
    image = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.asarray(image.pixels), STACK[0, 0, 0])
    for name in ("b.tif", "b.ome.tif", "b.zarr"):
        write(tmp_path / name, image)
        assert read(tmp_path / name).details.channels[0]["Inverted"] is True
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as tif:
        assert tif.pages.first.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        table = np.reshape(tif.imagej_metadata["LUTs"], (3, 256))
        assert table[:, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("compression", ["deflate", "zstd", "lzw"])
def test_what_is_written_can_be_compressed(name, compression, tmp_path):
    image = Image(np.add.outer(np.arange(200), np.arange(300)).astype(np.float32), "YX")
    write(tmp_path / name, image, compression=compression)
    np.testing.assert_array_equal(np.asarray(read(tmp_path / name).pixels), image.pixels)
    assert (tmp_path / name).stat().st_size < image.pixels.nbytes / 2
    with pytest.raises(ValueError, match="deflate, zstd, lzw or none"):
        write(tmp_path / "x.tif", image, compression="jpeg")


@pytest.mark.parametrize("axes", ["ZYX", "YXC"])
def test_large_planes_have_tiles_and_a_pyramid(axes, tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_writer, "PYRAMID_FROM", 1000)
    shape = (2, 1030, 700) if axes == "ZYX" else (1030, 700, 3)
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)
    image = Image(pixels, axes, scale=(0.5,) * 3, units=("um",) * 3)
    write(tmp_path / "a.ome.tif", image)
    back = read(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(np.asarray(back.pixels), pixels)
    assert (back.axes, back.scale[:2]) == (axes, (0.5, 0.5))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        levels = tif.series[0].levels
        at = 1 if axes == "ZYX" else 0
        assert [one.shape[at : at + 2] for one in levels] == [
            (1030, 700),
            (515, 350),
            (258, 175),
            (129, 88),
        ]
        assert tif.pages.first.is_tiled
        second = levels[1].asarray()
    corner = pixels[:, :2, :2].mean((1, 2)) if axes == "ZYX" else pixels[:2, :2].mean((0, 1))
    np.testing.assert_allclose(second[(slice(None), 0, 0) if at else (0, 0)], corner, atol=0.51)


def test_times_of_planes_go_with_the_axis_that_is_called_otherwise(tmp_path: Path) -> None:
    planes = {"DeltaT": [0.0, 1.5, 3.0], "DeltaTUnit": ["s"] * 3}
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((3, 8, 9), "uint8"),
        metadata={"axes": "TYX", "Plane": planes},
    )
    assert read(tmp_path / "a.ome.tif").details.planes[2, 0, 0]["DeltaT"] == "3.0"
    image = read(tmp_path / "a.ome.tif", axes="ZYX")
    assert {place: one["DeltaT"] for place, one in image.details.planes.items()} == {
        (0, 0, 0): "0.0",
        (0, 1, 0): "1.5",
        (0, 2, 0): "3.0",
    }
    same = read(tmp_path / "a.ome.tif", axes="TYX")
    assert same.details == read(tmp_path / "a.ome.tif").details
    of_channels = Details(channels=({"Color": "FF0000"},) * 3).rename(
        {"C": "Z", "Y": "Y", "X": "X"}
    )
    assert of_channels.channels == ()
