"""Files of microscopes' makers: axes, sizes, names, positions; a plane at a time."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
import warnings
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import vendor_files
from vendor_files import pixels

from napari_dip import list_series, read
from napari_dip.cli import main
from napari_dip.data_sets.sources import FileCache, Source
from napari_dip.files.checksum import sha256_of_image
from napari_dip.files.registry import images_under, readable_suffixes
from napari_dip.images.part import Part

CASES = {  # suffix: package, axes of what is written, axes that are read
    ".czi": ("pylibCZIrw", "TZCYX", "TZCYX"),
    ".nd2": ("nd2", "TPCYX", "TCYX"),
    ".lif": ("liffile", "TZCYX", "TZCYX"),
    ".oif": ("oiffile", "CZTYX", "TZCYX"),
    ".dv": ("mrc", "CTZYX", "CTZYX"),
    ".ims": ("h5py", "TCZYX", "TCZYX"),
}
LENGTHS = {"T": 3, "Z": 4, "C": 2, "P": 2}


def write_one(suffix: str, path, height: int = 12, width: int = 16) -> np.ndarray:
    """Write a file with one image, of ND2 with two positions; return the array."""
    package, stored, _ = CASES[suffix]
    pytest.importorskip(package)
    array = pixels(*(LENGTHS[a] for a in stored[:-2]), height=height, width=width)
    whole = {".czi": [array], ".lif": {"cells": array}}.get(suffix, array)
    getattr(vendor_files, f"write_{suffix[1:]}")(path, whole)
    return array


@pytest.mark.parametrize("suffix", CASES)
def test_pixels_axes_sizes_and_names_are_those_of_the_file(suffix, tmp_path):
    array = write_one(suffix, tmp_path / f"a{suffix}")
    _, stored, axes = CASES[suffix]
    image = read(tmp_path / f"a{suffix}", series=1 if suffix == ".nd2" else None)
    assert image.axes == axes and image.dtype == np.uint16
    if suffix == ".nd2":
        array, stored = array[:, 1], "TCYX"
    expected = array.transpose([stored.index(a) for a in axes])
    np.testing.assert_array_equal(np.asarray(image.pixels), expected)
    sizes = dict(zip(image.axes, zip(image.scale, image.units, strict=True), strict=True))
    assert sizes["X"] == (pytest.approx(0.1), "um")
    if suffix != ".nd2":
        assert sizes["Y"] == (pytest.approx(0.2), "um")
        assert sizes["Z"] == (pytest.approx(0.5), "um")
    if suffix not in (".czi", ".dv"):  # that hold no step of time, or not here
        assert sizes["T"] == (pytest.approx(1.5), "s")
    names = {".dv": ("450 nm", "525 nm"), ".lif": ()}.get(suffix, ("DAPI", "GFP"))
    assert image.channels == names


@pytest.mark.parametrize("suffix", CASES)
def test_a_plane_is_read_by_itself(suffix, tmp_path):
    height, width = 256, 320
    array = write_one(suffix, tmp_path / f"a{suffix}", height, width)
    image = read(tmp_path / f"a{suffix}", series=0 if suffix == ".nd2" else None)
    assert not isinstance(image.pixels, np.ndarray)
    place = tuple(n - 1 for n in image.shape[:-2])
    np.asarray(image.pixels[place])  # what a library keeps from its first plane on
    gc.collect()
    tracemalloc.start()
    page = np.asarray(image.pixels[place])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert page.shape == (height, width) and page.nbytes == 2 * height * width
    assert peak < 1.5 * page.nbytes + 20_000  # none of the pages is held by `image`
    assert page[0, 0] in array[..., 0, 0]
    np.testing.assert_array_equal(np.asarray(image.pixels[place][2:5, 7]), page[2:5, 7])
    np.testing.assert_array_equal(np.asarray(image.pixels[(*place, slice(2, 5), 7)]), page[2:5, 7])


MEASURE = """
import sys
from pathlib import Path
from napari_dip import read

def memory(which):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))

for file in sys.argv[1:]:
    image = read(file)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    for _, page in image.pages(image.axes[:-2], "YX"):
        size = page.nbytes
        page.sum()
        del page
    print((memory("VmHWM") - before) / size)
    del image
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read there")
def test_reading_takes_less_memory_than_one_and_a_half_planes(tmp_path):
    files = []
    for suffix in (".czi", ".lif", ".ims"):
        package, stored, _ = CASES[suffix]
        pytest.importorskip(package)
        array = pixels(*(2 if a == "Z" else 1 for a in stored[:-2]), height=4096, width=4096)
        whole = {".czi": [array], ".lif": {"cells": array}}.get(suffix, array)
        files.append(tmp_path / f"a{suffix}")
        getattr(vendor_files, f"write_{suffix[1:]}")(files[-1], whole)
    command = [sys.executable, "-c", MEASURE, *map(str, files)]
    planes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert max(map(float, planes)) < 1.5, dict(zip(files, planes, strict=True))


def test_layers_of_chunks_of_ims_are_read_once(tmp_path):
    h5py = pytest.importorskip("h5py")
    write_one(".ims", tmp_path / "a.ims")
    name = "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"
    with h5py.File(tmp_path / "a.ims", "a") as file:
        stored = file[name][()]
        del file[name]
        file.create_dataset(name, data=stored, chunks=(4, 8, 8))
    image = read(tmp_path / "a.ims")
    np.testing.assert_array_equal(np.asarray(image.pixels)[0, 0], stored[:, :12, :16])


@pytest.mark.skipif(sys.platform != "linux", reason="pages are handed back there")
@pytest.mark.parametrize("suffix", [".nd2", ".dv"])
def test_what_was_read_of_a_mapped_file_is_handed_back(suffix, tmp_path):
    write_one(suffix, tmp_path / f"a{suffix}", 1000, 1000)
    image = read(tmp_path / f"a{suffix}", series=0)
    before = psutil.Process().memory_info().shared
    for index in image.plane_indices()[:12]:
        image.plane(index)
        assert psutil.Process().memory_info().shared - before < 8_000_000
    source, cache = Source(tmp_path / f"a{suffix}", part=Part(series=0)), FileCache()
    for index in image.plane_indices()[:12]:
        cache.read(source, index)
        assert psutil.Process().memory_info().shared - before < 8_000_000
    for _, page in image.pages(image.axes[:-2], "YX"):
        page.sum()
        assert psutil.Process().memory_info().shared - before < 8_000_000


def test_scenes_and_positions_are_chosen_and_never_left_out_in_silence(tmp_path):
    pytest.importorskip("pylibCZIrw")
    scenes = [pixels(2, 1, 1), pixels(2, 1, 1, width=30) + 5000]
    vendor_files.write_czi(
        tmp_path / "a.czi", scenes, "zstd1:ExplicitLevel=2;PreProcess=HiLoByteUnpack"
    )
    with pytest.raises(ValueError, match=r"holds 2 images.*scene 0.*scene 1"):
        read(tmp_path / "a.czi")
    assert [one.shape for one in list_series(tmp_path / "a.czi")] == [(2, 12, 16), (2, 12, 30)]
    image = read(tmp_path / "a.czi", series="scene 1")
    assert image.name == "a scene 1"
    np.testing.assert_array_equal(np.asarray(image.pixels), scenes[1][:, 0, 0])


def test_positions_of_the_stage_times_and_colours_of_nd2(tmp_path):
    write_one(".nd2", tmp_path / "a.nd2")
    assert [one.name for one in list_series(tmp_path / "a.nd2")] == ["well 0", "well 1"]
    details = read(tmp_path / "a.nd2", series="well 1").details
    assert [c["Color"] for c in details.channels] == ["0000FF", "00FF00"]
    assert [c["EmissionWavelength"] for c in details.channels] == [450.0, 525.0]
    first = details.planes[1, 0, 1]
    assert first["PositionY"] == 7.0 and first["DeltaT"] == pytest.approx(0.003)
    assert details.planes[0, 0, 0]["PositionX"] - 100.0 == pytest.approx(first["PositionX"] - 100.0)


def test_times_are_read_of_the_position_that_is_wanted_alone(tmp_path, monkeypatch):
    write_one(".nd2", tmp_path / "a.nd2")
    nd2 = pytest.importorskip("nd2")
    asked: list[int] = []
    about = nd2.ND2File.frame_metadata
    monkeypatch.setattr(
        nd2.ND2File, "frame_metadata", lambda file, n: asked.append(n) or about(file, n)
    )
    list_series(tmp_path / "a.nd2")
    assert asked == []
    read(tmp_path / "a.nd2", series=1)
    assert asked == [1, 3, 5]  # of its three times


def test_colours_and_ranges_of_ims_are_kept(tmp_path):
    write_one(".ims", tmp_path / "a.ims")
    details = read(tmp_path / "a.ims").details
    assert details.date.startswith("2024-05-01T12:00:00")
    assert details.channels[1] == {"Color": "00FF00", "Range": (5.0, 900.0)}
    with pytest.importorskip("h5py").File(tmp_path / "a.ims", "a") as file:
        del file["DataSetInfo/Channel 1"].attrs["Color"]  # as where a table is shown
    assert read(tmp_path / "a.ims").details.channels[1] == {"Range": (5.0, 900.0)}


def test_colour_of_czi_is_red_green_blue(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    blue_first = np.zeros((4, 5, 3), np.uint8)
    blue_first[..., 2] = 200
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(blue_first)
    image = read(tmp_path / "a.czi")
    assert image.axes == "YXC" and np.asarray(image.pixels)[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("suffix", CASES)
def test_a_cut_file_is_refused_with_a_sentence(suffix, tmp_path):
    write_one(suffix, tmp_path / f"a{suffix}")
    content = (tmp_path / f"a{suffix}").read_bytes()
    for part in (10, len(content) // 2):
        (tmp_path / f"b{suffix}").write_bytes(content[:part])
        with pytest.raises((ValueError, OSError), match=r"b.* could not be read"):
            np.asarray(read(tmp_path / f"b{suffix}", series=0).pixels)


@pytest.mark.parametrize("suffix", CASES)
def test_without_the_package_a_sentence_names_it(suffix, tmp_path, monkeypatch):
    package = CASES[suffix][0]
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    with pytest.raises(ValueError, match=rf"{package}.*napari-dip\[vendor\].*Fiji"):
        read(tmp_path / f"a{suffix}")


def test_planes_of_an_oif_are_no_images_of_their_own(tmp_path):
    write_one(".oif", tmp_path / "a.oif")
    assert images_under(tmp_path) == [tmp_path / "a.oif"]
    assert ".oif" in readable_suffixes()
    before = sha256_of_image(tmp_path / "a.oif")
    (tmp_path / "a.oif.files" / "s_C001Z001T001.tif").write_bytes(b"other")
    assert sha256_of_image(tmp_path / "a.oif") != before


def test_a_file_is_closed_when_its_pixels_are_gone(tmp_path):
    write_one(".nd2", tmp_path / "a.nd2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read(tmp_path / "a.nd2", series=0)
        np.asarray(image.pixels)
        del image
        gc.collect()


def test_frames_that_are_not_there_are_not_made_up(tmp_path):
    write_one(".nd2", tmp_path / "a.nd2")
    content = (tmp_path / "a.nd2").read_bytes()
    name = b"ImageDataSeq|5!"
    at = content.rindex(name)  # in the list of chunks
    far = (
        content[: at + len(name)] + (1 << 40).to_bytes(8, "little") + content[at + len(name) + 8 :]
    )
    (tmp_path / "b.nd2").write_bytes(far)
    (tmp_path / "c.nd2").write_bytes(content[:at] + b"ImageDataSeq|9!" + content[at + len(name) :])
    for file in ("b.nd2", "c.nd2"):
        with pytest.raises(ValueError, match="lacks 1 of its 6 planes"):
            read(tmp_path / file, series=0)


def test_planes_of_czi_that_are_not_there_are_not_black(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for t, z in ((0, 0), (0, 1), (1, 0)):
            file.write(pixels(1)[0][..., None], plane={"T": t, "Z": z, "C": 0})
    with pytest.raises(ValueError, match=r"a\.czi lacks 1 of its 4 planes"):
        read(tmp_path / "a.czi")


def test_a_scene_of_czi_has_as_many_planes_as_were_taken_of_it(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    scenes = [pixels(3) + 1, pixels(2) + 5001]
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for number, scene in enumerate(scenes):
            for t, plane in enumerate(scene):
                place = {"T": t + number, "Z": 0, "C": 0}
                file.write(plane[..., None], plane=place, scene=number, location=(1000 * number, 0))
    for number, scene in enumerate(scenes):
        image = read(tmp_path / "a.czi", series=number)
        np.testing.assert_array_equal(np.asarray(image.pixels), scene)


def test_axes_that_an_image_has_not_are_named(tmp_path, monkeypatch):
    czi = pytest.importorskip("pylibCZIrw.czi")
    write_one(".czi", tmp_path / "a.czi")

    def blocks(reader, look):
        for phase in range(3):
            place = SimpleNamespace(to_dict=lambda n=phase: {"H": n, "C": 0})
            look(phase, SimpleNamespace(coordinate=place))

    monkeypatch.setattr(czi.CziReader, "enumerate_subblocks", blocks)
    with pytest.raises(ValueError, match=r"more axes than .*: H \(3\)"):
        read(tmp_path / "a.czi")


def test_where_all_images_are_done_none_is_said_to_be_left_out(tmp_path, capsys):
    pytest.importorskip("pylibCZIrw")
    vendor_files.write_czi(tmp_path / "a.czi", [pixels(1, 1, 2), pixels(1, 1, 2) + 900])
    words = ["denoise", str(tmp_path / "a.czi"), "--json", "--steps", "2", "--channels", "4"]
    wanted = {
        "all": ("image 0", False),
        "0:1": ("image 0", True),
        "all --channel GFP": ("channel 1", True),
    }
    for number, (series, (said, there)) in enumerate(wanted.items()):
        out = str(tmp_path / f"out{number}")
        assert main([*words, "-o", out, "--series", *series.split()]) == 0
        rows = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
        assert all((said in row["note"]) == there for row in rows)
        assert all("image" not in row["note"] for row in rows if series.startswith("all"))
