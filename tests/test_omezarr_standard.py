"""What is written as OME-Zarr passes validators, and other programs read it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from some_images import SIZES, make

from napari_dip import list_series, read, write
from napari_dip.files.registry import images_under
from napari_dip.images.details import Details
from napari_dip.images.image import Image

zarr = pytest.importorskip("zarr")
yaozarrs = pytest.importorskip("yaozarrs")

COLOURS = ("00FF00", "FF00FF")
RANGES = ((1.0, 90.0), (0.0, 150.0))


def coloured(axes: str, dtype: str = "uint16") -> Image:
    """Return an image whose channels have names, colours and display ranges."""
    count = SIZES["C"] if "C" in axes else 1
    about = [{"Color": c, "Range": r} for c, r in zip(COLOURS, RANGES, strict=True)]
    names = ("DAPI", "GFP")[:count]
    return make(axes, dtype, channels=names, details=Details(channels=tuple(about[:count])))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX", "CYX", "TZYX", "ZCYX", "TZCYX"])
@pytest.mark.parametrize("colours", [False, True])
def test_it_passes_a_validator(version, axes, colours, tmp_path):
    image = coloured(axes) if colours else make(axes, "uint16")
    folder = tmp_path / "a.zarr"
    write(folder, image, ome_zarr=version)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yaozarrs.validate_zarr_store(str(folder))
    back = read(folder)
    assert back.channels == (image.channels if colours else ())
    if colours:
        assert back.details.channels == image.details.channels
    else:  # white, and all values
        assert {c["Color"] for c in back.details.channels} == {"FFFFFF"}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["YX", "TYX", "CYX", "ZCYX", "TZCYX"])
def test_the_reader_of_another_maker_takes_it(version, axes, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ngff_zarr = pytest.importorskip("ngff_zarr")
        folder = tmp_path / "a.zarr"
        write(folder, coloured(axes), ome_zarr=version)
        back = read(folder)
        theirs = ngff_zarr.from_ngff_zarr(str(folder), validate=True, version=version)
    assert "".join(theirs.images[0].dims).upper() == back.axes
    np.testing.assert_array_equal(np.asarray(theirs.images[0].data), np.asarray(back.pixels))
    known = {a.lower(): s for a, s in zip(back.axes, back.scale, strict=True)}
    assert theirs.images[0].scale == pytest.approx(known)
    assert [c.color for c in theirs.metadata.omero.channels] == [
        c["Color"] for c in back.details.channels
    ]


def test_windows_are_the_least_and_greatest_value_where_the_input_says_nothing(tmp_path):
    pixels = np.array([[1.5, np.nan], [-2.0, 7.0]], np.float32)
    write(tmp_path / "a.zarr", Image(pixels, "YX"))
    assert read(tmp_path / "a.zarr").details.channels[0]["Range"] == (-2.0, 7.0)


def test_red_green_and_blue_are_those_of_a_colour_image(tmp_path):
    write(tmp_path / "a.zarr", make("YXC", "uint8"))
    found = [c["Color"] for c in read(tmp_path / "a.zarr").details.channels]
    assert found == ["FF0000", "00FF00", "0000FF"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_where_the_first_pixel_lies_is_kept_and_goes_through_the_pyramid(version, tmp_path):
    image = Image(
        np.zeros((300, 300), np.uint8),
        "YX",
        scale=(0.5, 0.5),
        units=("um", "um"),
        details=Details(origin={"Y": 10.0, "X": -4.0}),
    )
    write(tmp_path / "a.zarr", image, ome_zarr=version)
    assert read(tmp_path / "a.zarr").details.origin == {"Y": 10.0, "X": -4.0}
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    attributes = dict(group.attrs)
    levels = attributes.get("ome", attributes)["multiscales"][0]["datasets"]
    assert levels[1]["coordinateTransformations"][1]["translation"] == [10.25, -3.75]


def test_an_unknown_version_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"0\.4 or 0\.5"):
        write(tmp_path / "a.zarr", make("YX", "uint8"), ome_zarr="0.3")


def test_nothing_is_compressed_where_that_is_asked_for(tmp_path):
    for name, how in (("a.zarr", None), ("b.zarr", "none")):
        write(tmp_path / name, Image(np.ones((64, 64), np.uint16), "YX"), compression=how)
    sizes = [len((tmp_path / name / "0" / "0" / "0").read_bytes()) for name in ("a.zarr", "b.zarr")]
    assert sizes[0] < 200 and sizes[1] == 64 * 64 * 2


def plate(folder, version: str) -> None:
    """Write a plate of two wells with one and two fields."""
    key = "ome" if version == "0.5" else None

    def describe(at, content) -> None:
        group = zarr.open_group(str(at), mode="w", zarr_format=3 if key else 2)
        group.attrs.update({key: {"version": version, **content}} if key else content)

    describe(folder, {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}})
    for well, fields in (("A/1", ["0"]), ("B/2", ["0", "1"])):
        describe(folder / well, {"well": {"images": [{"path": name} for name in fields]}})
        for name in fields:
            write(folder / well / "x.zarr", make("YX", "uint8"), ome_zarr=version)
            (folder / well / "x.zarr").rename(folder / well / name)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_is_walked_image_by_image(version, tmp_path):
    (tmp_path / "in").mkdir()
    plate(tmp_path / "in" / "p.zarr", version)
    write(tmp_path / "in" / "single.tif", make("YX", "uint8"))
    found = [p.relative_to(tmp_path / "in").as_posix() for p in images_under(tmp_path / "in")]
    assert found == ["p.zarr/A/1/0", "p.zarr/B/2/0", "p.zarr/B/2/1", "single.tif"]
    assert images_under(tmp_path / "in" / "p.zarr") == [tmp_path / "in" / p for p in found[:3]]
    assert [one.name for one in list_series(tmp_path / "in" / "p.zarr")] == [
        "A/1/0",
        "B/2/0",
        "B/2/1",
    ]
    assert read(tmp_path / "in" / "p.zarr", series="B/2/1").name == "p B/2/1"
    with pytest.raises(ValueError, match="holds 3 images"):
        read(tmp_path / "in" / "p.zarr")


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_collection_of_bioformats2raw_is_walked(version, listed, tmp_path):
    folder = tmp_path / "b.zarr"
    three = version == "0.5"
    group = zarr.open_group(str(folder), mode="w", zarr_format=3 if three else 2)
    layout = {"bioformats2raw.layout": 3}
    group.attrs.update({"ome": {"version": "0.5", **layout}} if three else layout)
    if listed:
        series = {"series": ["1", "0"]}
        inner = group.create_group("OME")
        inner.attrs.update({"ome": {"version": "0.5", **series}} if three else series)
    for name in ("0", "1"):
        write(folder / f"{name}.zarr", make("ZCYX", "uint8"), ome_zarr=version)
        (folder / f"{name}.zarr").rename(folder / name)
    order = ["1", "0"] if listed else ["0", "1"]
    assert images_under(tmp_path) == [folder / name for name in order]
    assert [one.name for one in list_series(folder)] == order
    assert read(folder, series="1").axes == "CZYX"


@pytest.mark.parametrize("place", ["../secret", "/etc"])
def test_a_plate_that_leads_out_of_its_folder_is_refused(place, tmp_path):
    group = zarr.open_group(str(tmp_path / "p.zarr"), mode="w", zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": place}]}
    with pytest.raises(ValueError, match="damaged"):
        read(tmp_path / "p.zarr")
    assert images_under(tmp_path) == [tmp_path / "p.zarr"]  # so that a folder's table has it
