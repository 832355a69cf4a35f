"""LSM of Zeiss and STK of MetaMorph, which are TIFFs: axes, sizes, positions; by the plane."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tifffile
from vendor_files import pixels, write_lsm, write_oif, write_stk

from napari_dip import list_series, read
from napari_dip.files import tiff_reader


@pytest.mark.parametrize("colours", [1, 3])
def test_lsm_is_read_with_axes_and_sizes(colours, tmp_path):
    array = pixels(3, 4, colours)
    write_lsm(tmp_path / "a.lsm", array)
    image = read(tmp_path / "a.lsm")
    assert image.axes == ("TZYX" if colours == 1 else "TZCYX")
    np.testing.assert_array_equal(np.asarray(image.pixels), array.squeeze())
    sizes = dict(zip(image.axes, zip(image.scale, image.units, strict=True), strict=True))
    assert sizes["T"] == (1.5, "s") and sizes["X"] == (0.1, "um")
    assert sizes["Y"] == (0.2, "um") and sizes["Z"] == (0.5, "um")


def test_positions_of_lsm_are_images_of_their_own(tmp_path, monkeypatch):
    array = pixels(6, 2, 1)
    write_lsm(tmp_path / "a.lsm", array, DimensionTime=3, DimensionP=2)
    with pytest.raises(ValueError, match=r"holds 2 images.*position 0.*position 1"):
        read(tmp_path / "a.lsm")
    assert [one.shape for one in list_series(tmp_path / "a.lsm")] == [(3, 2, 12, 16)] * 2
    for most in (1 << 28, 0):  # read at once, and by the plane
        monkeypatch.setattr(tiff_reader, "LAZY_FROM", most)
        image = read(tmp_path / "a.lsm", series="position 1")
        assert image.axes == "TZYX" and isinstance(image.pixels, np.ndarray) == (most > 0)
        np.testing.assert_array_equal(np.asarray(image.pixels), array[3:, :, 0])


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_planes_of_an_lsm_with_channels_are_read_by_themselves(compression, tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_reader, "LAZY_FROM", 0)
    array = pixels(2, 3, 3, height=200, width=300)
    write_lsm(tmp_path / "a.lsm", array, compression=compression)
    image = read(tmp_path / "a.lsm")
    tracemalloc.start()
    page = np.asarray(image.pixels[1, 2, 1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(page, array[1, 2, 1])
    assert peak < 3.6 * page.nbytes  # 18 of them are in the file
    np.testing.assert_array_equal(np.asarray(image.pixels), array)


@pytest.mark.parametrize(("along", "step"), [("Z", (0.5, "um")), ("T", (1.5, "s"))])
def test_stk_is_read_with_axes_and_sizes(along, step, tmp_path, monkeypatch):
    array = pixels(4)
    write_stk(tmp_path / "a.stk", array, along)
    for least in (1 << 25, 0):
        monkeypatch.setattr(tiff_reader, "MAP_FROM", least)
        image = read(tmp_path / "a.stk")
        assert image.axes == f"{along}YX" and isinstance(image.pixels, np.ndarray) == (least > 0)
        np.testing.assert_array_equal(np.asarray(image.pixels), array)
        np.testing.assert_array_equal(np.asarray(image.pixels[2]), array[2])
        sizes = list(zip(image.scale, image.units, strict=True))
        assert sizes == [step, (0.2, "um"), (0.1, "um")]


@pytest.mark.parametrize("write", [write_lsm, write_stk])
def test_a_cut_file_is_refused_with_a_sentence(write, tmp_path):
    suffix = write.__name__[-3:]
    array = pixels(2, 2, 3) if suffix == "lsm" else pixels(4)
    write(tmp_path / f"a.{suffix}", array)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    end = 700 if suffix == "lsm" else 30  # a thumbnail is the last of an LSM
    for part in (100, len(content) // 2, len(content) - end):
        (tmp_path / f"b.{suffix}").write_bytes(content[:part])
        with pytest.raises(ValueError, match=r"b\.\w+ is a damaged TIFF"):
            read(tmp_path / f"b.{suffix}")


def test_planes_in_one_page_are_read_apart_in_any_tiff(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_reader, "LAZY_FROM", 0)
    array = pixels(5, 3, height=40, width=48)
    how = {"planarconfig": "separate", "photometric": "minisblack", "tile": (16, 16)}
    tifffile.imwrite(tmp_path / "a.tif", array, compression="zlib", metadata=None, **how)
    image = read(tmp_path / "a.tif")
    assert not isinstance(image.pixels, np.ndarray)
    np.testing.assert_array_equal(np.asarray(image.pixels), array)
    np.testing.assert_array_equal(np.asarray(image.pixels[3, 1, 5:30, 7]), array[3, 1, 5:30, 7])


def test_names_of_oif_are_those_of_the_channels_that_were_taken(tmp_path):
    pytest.importorskip("oiffile")
    write_oif(tmp_path / "a.oif", pixels(2, 1, 1))
    text = (tmp_path / "a.oif").read_bytes().decode("utf-16")
    text = text.replace('DyeName="DAPI"', 'CH Name="CH1"\r\nDyeName="DAPI"')
    text = text.replace('DyeName="GFP"', 'CH Name="CH2"\r\nDyeName=""')
    for number, name in enumerate(("CH2", "TD1"), 1):
        text += f'\r\n[Channel {number} Parameters]\r\nCH Name="{name}"\r\nDyeName="None"'
    (tmp_path / "a.oif").write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    image = read(tmp_path / "a.oif")
    assert image.channels == ("CH2", "TD1")
    assert image.details.channels[0]["EmissionWavelength"] == 500
