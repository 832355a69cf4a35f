"""A file of several images is never read in part in silence: one is chosen, or all are listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_dip as dip
from napari_dip.files.series import Series, SeriesError


@pytest.fixture
def positions(tmp_path: Path) -> Path:
    """Return an OME-TIFF of three positions: sizes, pixel sizes and channel names differ."""
    path = tmp_path / "positions.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        for number, shape in enumerate([(4, 16, 20), (16, 20), (2, 18, 24)]):
            axes = {2: "YX", 3: "ZYX"}[len(shape)]
            pixels = np.full(shape, number, "uint16")
            about = {"Name": f"Well A{number + 1}", "PhysicalSizeX": 0.1 * (number + 1)}
            about |= {"PhysicalSizeXUnit": "um", "Channel": {"Name": [f"dye {number}"]}}
            tif.write(pixels, photometric="minisblack", metadata={"axes": axes, **about})
    return path


def test_they_are_listed(positions: Path) -> None:
    assert dip.list_series(positions) == (
        Series("Well A1", "ZYX", (4, 16, 20)),
        Series("Well A2", "YX", (16, 20)),
        Series("Well A3", "ZYX", (2, 18, 24)),
    )


def test_none_is_taken_unasked(positions: Path) -> None:
    with pytest.raises(SeriesError, match=r"holds 3 images: 0 'Well A1' \(ZYX 4 x 16 x 20\), 1 .*"):
        dip.read(positions)


@pytest.mark.parametrize("series", [2, "2", "Well A3", np.int64(2)])
def test_one_is_read_with_its_own_header(positions: Path, series: int | str) -> None:
    image = dip.read(positions, series=series)
    assert (image.shape, image.axes, image.name) == ((2, 18, 24), "ZYX", "positions Well A3")
    assert int(np.asarray(image).min()) == 2 and image.channels == ("dye 2",)
    assert image.scale[2] == pytest.approx(0.3) and image.units[2] == "um"


@pytest.mark.parametrize("series", [3, -1, "Well", ""])
def test_one_that_is_not_there_is_refused(positions: Path, series: int | str) -> None:
    with pytest.raises(SeriesError, match=r"holds no image '.*': there are 0 'Well A1'"):
        dip.read(positions, series=series)


def test_plain_pages_of_other_sizes_are_images_too(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(np.zeros((3, 16, 16), "uint8"), photometric="minisblack")
        tif.write(np.ones((20, 20), "uint8"))
    assert [one.shape for one in dip.list_series(tmp_path / "a.tif")] == [(3, 16, 16), (20, 20)]
    assert dip.read(tmp_path / "a.tif", series=1).shape == (20, 20)


def test_a_thumbnail_is_no_image(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(np.ones((64, 64), "uint8"))
        tif.write(np.zeros((8, 8), "uint8"), subfiletype=1)
    assert dip.read(tmp_path / "a.tif").shape == (64, 64)
    assert len(dip.list_series(tmp_path / "a.tif")) == 1


def test_files_of_one_image_have_the_number_0(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png"):
        dip.write(tmp_path / name, dip.Image(np.ones((8, 9), "uint8")))
        assert dip.list_series(tmp_path / name)[0].shape == (8, 9)
        assert dip.read(tmp_path / name, series=0).shape == (8, 9)
        with pytest.raises(ValueError, match=r"holds (one|no) image"):
            dip.read(tmp_path / name, series=1)


def test_napari_opens_each_as_a_layer(positions: Path) -> None:
    from napari_dip.widgets.napari_hooks.reader import get_reader

    reader = get_reader(str(positions))
    assert reader is not None
    layers = reader(str(positions))
    assert [look["name"] for _, look, _ in layers] == [f"positions Well A{n}" for n in (1, 2, 3)]
    assert [pixels.shape for pixels, _, _ in layers] == [(4, 16, 20), (16, 20), (2, 18, 24)]
    part = layers[1][1]["metadata"]["napari_dip"]["part"]
    assert part == {"series": {"taken": "1", "of": 3, "names": ["Well A2"]}}


def test_images_of_an_ome_zarr(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    dip.write(path, dip.Image(np.ones((8, 9), "uint8")))
    group = zarr.open_group(str(path), mode="r+")
    second = {**group.attrs["multiscales"][0], "name": "more", "datasets": [{"path": "b"}]}
    group.create_array("b", data=np.zeros((6, 7), "uint8"))
    group.attrs["multiscales"] = [*group.attrs["multiscales"], second]
    with pytest.raises(SeriesError, match=r"holds 2 images.*1 'more' \(YX 6 x 7\)"):
        dip.read(path)
    assert dip.read(path, series="more").shape == (6, 7)
