"""OME-Zarr and plain Zarr, in and out, with axes, sizes and provenance."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from some_images import PROVENANCE, make, names

from napari_dip import read, write
from napari_dip.files import ome_zarr_writer, zarr_pixels
from napari_dip.files.checksum import sha256
from napari_dip.files.read_write import read_provenance
from napari_dip.images.image import Image

zarr = pytest.importorskip("zarr")


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX", "CYX", "TZCYX"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_round_trip_keeps_pixels_axes_sizes_and_provenance(axes, dtype, tmp_path):
    image = make(axes, dtype)
    assert write(tmp_path / "a.zarr", image) == 0
    back = read(tmp_path / "a.zarr")
    order = [axes.index(a) for a in "TCZYX" if a in axes]
    assert (back.axes, back.dtype, back.scale, back.units) == (
        "".join(axes[i] for i in order),
        image.dtype,
        tuple(image.scale[i] for i in order),
        tuple(image.units[i] for i in order),
    )
    np.testing.assert_array_equal(np.asarray(back.pixels), image.pixels.transpose(order))
    assert back.provenance == PROVENANCE == read_provenance(tmp_path / "a.zarr")
    assert names(tmp_path) == ["a.zarr"]


def test_axes_in_another_order_are_laid_out_as_the_format_wants(tmp_path):
    image = make("XCY", "uint16")
    write(tmp_path / "a.zarr", image)
    back = read(tmp_path / "a.zarr")
    assert back.axes == "CYX"
    np.testing.assert_array_equal(np.asarray(back.pixels), image.pixels.transpose(1, 2, 0))
    assert dict(zip(back.axes, back.scale, strict=True)) == dict(
        zip(image.axes, image.scale, strict=True)
    )


def test_colour_becomes_channels(tmp_path):
    image = make("YXC", "uint8")
    write(tmp_path / "a.zarr", image)
    np.testing.assert_array_equal(
        np.asarray(read(tmp_path / "a.zarr").pixels), image.pixels.transpose(2, 0, 1)
    )


def test_the_metadata_are_those_of_the_format(tmp_path):
    image = Image(
        np.ones((2, 600, 513), np.uint16), "CYX", scale=(1, 0.25, 0.5), units=("pixel", "um", "um")
    )
    write(tmp_path / "a.zarr", image)
    attributes = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())
    scales = attributes["multiscales"][0]
    assert scales["axes"] == [
        {"name": "c", "type": "channel"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    steps = [data["coordinateTransformations"] for data in scales["datasets"]]
    assert [step[0]["scale"] for step in steps] == [[1, 0.25, 0.5], [1, 0.5, 1], [1, 1, 2]]
    # The mean of four pixels lies in their middle.
    assert [step[1]["translation"] for step in steps] == [
        [0, 0, 0],
        [0, 0.125, 0.25],
        [0, 0.375, 0.75],
    ]
    shapes = [
        zarr.open(str(tmp_path / "a.zarr" / str(level)), mode="r").shape for level in range(3)
    ]
    assert shapes == [(2, 600, 513), (2, 300, 257), (2, 150, 129)]
    assert len(attributes["omero"]["channels"]) == 2
    assert (zarr.open(str(tmp_path / "a.zarr" / "2"), mode="r")[:] == 1).all()


def test_version_0_5_is_read(tmp_path):
    group = zarr.open_group(str(tmp_path / "b.zarr"), mode="w", zarr_format=3)
    group.create_array("s0", shape=(3, 4), dtype="uint8", chunks=(3, 4))[:] = 5
    axes = [{"name": "y", "type": "space", "unit": "nanometer"}, {"name": "x", "type": "space"}]
    level = {"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [3, 2]}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    image = read(tmp_path / "b.zarr")
    assert (image.axes, image.scale, image.units) == ("YX", (3, 2), ("nm", "pixel"))


def test_a_plain_array_is_read_lazily(tmp_path):
    zarr.open_array(
        str(tmp_path / "c.zarr"), mode="w", shape=(4, 8, 9), dtype="uint16", chunks=(1, 8, 9)
    )[:] = 3
    image = read(tmp_path / "c.zarr")
    assert image.axes == "ZYX" and not isinstance(image.pixels, np.ndarray)
    assert image.plane((1, slice(None), slice(None))).mean() == 3
    assert read(tmp_path / "c.zarr", axes="TYX").axes == "TYX"


KEYS = [np.s_[1], np.s_[::3, 1:5], np.s_[::-3, ..., ::-2], np.s_[2:2], np.s_[-1:1:-2], np.s_[:, 3]]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("version", [2, 3])
def test_chunks_that_are_wanted_alone_are_read(version, key, tmp_path, monkeypatch):
    array = np.arange(8 * 6 * 7, dtype="uint16").reshape(8, 6, 7)
    folder, read_files = str(tmp_path / "c.zarr"), set()
    zarr.create_array(folder, data=array, chunks=(1, 6, 7), zarr_format=version)
    check = zarr_pixels._check_plain
    monkeypatch.setattr(
        zarr_pixels, "_check_plain", lambda f, **how: read_files.add(f) or check(f, **how)
    )
    pixels = read(tmp_path / "c.zarr").pixels
    read_files.clear()
    np.testing.assert_array_equal(pixels[key], array[key])
    assert len(read_files) == len(np.unique(array[key] // 42))


def test_values_are_clipped_and_counted(tmp_path):
    image = Image(np.array([[-1.0, 300.0], [2.4, 3.0]]), "YX")
    assert write(tmp_path / "a.zarr", image, dtype="uint8") == 2
    np.testing.assert_array_equal(np.asarray(read(tmp_path / "a.zarr").pixels), [[0, 255], [2, 3]])


def test_nothing_is_replaced_unasked_and_nothing_half_written_stays(tmp_path, monkeypatch):
    image = make("YX", "uint8")
    write(tmp_path / "a.zarr", image)
    with pytest.raises(FileExistsError):
        write(tmp_path / "a.zarr", image)
    before = sha256(tmp_path / "a.zarr")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ome_zarr_writer, "_metadata", full)
    with pytest.raises(OSError, match="was not written"):
        write(tmp_path / "a.zarr", image, overwrite=True)
    assert names(tmp_path) == ["a.zarr"] and sha256(tmp_path / "a.zarr") == before
    monkeypatch.undo()
    write(tmp_path / "a.zarr", image.with_pixels(image.pixels + 1), overwrite=True)
    assert names(tmp_path) == ["a.zarr"] and sha256(tmp_path / "a.zarr") != before


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({}, "no OME-Zarr image"),
        ({"multiscales": []}, "no OME-Zarr image"),
        (
            {
                "multiscales": [
                    {"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "9"}]}
                ]
            },
            "no OME-Zarr image",
        ),
        (
            {
                "multiscales": [
                    {"axes": [{"name": "y"}, {"name": "q"}], "datasets": [{"path": "0"}]}
                ]
            },
            "axes YQ",
        ),
    ],
)
def test_what_holds_no_image_is_refused(attributes, sentence, tmp_path):
    group = zarr.open_group(str(tmp_path / "d.zarr"), mode="w", zarr_format=2)
    group.create_array("0", shape=(3, 4), dtype="uint8", chunks=(3, 4))
    group.attrs.update(attributes)
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path / "d.zarr")


def test_a_damaged_folder_is_refused(tmp_path):
    (tmp_path / "e.zarr").mkdir()
    (tmp_path / "e.zarr" / ".zarray").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        read(tmp_path / "e.zarr")
    (tmp_path / "f.zarr").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read(tmp_path / "f.zarr")


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize(
    ("dtype", "filters"),
    [("<u2", ["pickle"]), ("|O", ["pickle"]), ("|O", ["vlen-utf8", "pickle"])],
)
def test_a_codec_that_would_run_code_is_refused(dtype, filters, tmp_path):
    """By its name, before zarr sees it: so also with versions that would run it."""
    mark, folder = tmp_path / "ran", tmp_path / "g.zarr"
    folder.mkdir()
    record = {"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "order": "C", "fill_value": 0}
    record |= {"dtype": dtype, "compressor": None, "filters": [{"id": name} for name in filters]}
    (folder / ".zarray").write_text(json.dumps(record))
    (folder / "0.0").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(ValueError, match=r"codec '(pickle|vlen-utf8)'"):
        np.asarray(read(folder).pixels)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}]}, "codec 'numcodecs.pickle'"),
        (
            {
                "codecs": [
                    {
                        "name": "sharding_indexed",
                        "configuration": {"codecs": [{"name": "vlen-bytes"}], "index_codecs": []},
                    }
                ]
            },
            "codec 'vlen-bytes'",
        ),
        ({"data_type": "variable_length_utf8"}, "no plain numbers"),
        ({"data_type": {"name": "numcodecs.object"}}, "no plain numbers"),
        ({"storage_transformers": [{"name": "any"}]}, "storage transformers"),
        ({"chunk_grid": {"configuration": {"chunk_shape": [0, 4]}}}, "without pixels"),
        ({"chunk_grid": {"configuration": {"chunk_shape": [1 << 20, 1 << 20]}}}, "2 GiB"),
        ({"chunk_grid": {"configuration": {"chunk_shape": [True, 4]}}}, "damaged"),
        ({"codecs": "[" * 3}, "codec"),
    ],
)
def test_an_array_of_version_3_is_looked_at_before_it_is_opened(
    change, sentence, tmp_path, monkeypatch
):
    folder = tmp_path / "a.zarr"
    zarr.open_array(str(folder), mode="w", shape=(4, 4), dtype="uint16", zarr_format=3)[:] = 3
    assert read(folder).dtype == np.uint16
    record = json.loads((folder / "zarr.json").read_text()) | change
    (folder / "zarr.json").write_text(json.dumps(record))
    monkeypatch.setattr(zarr, "open_array", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(ValueError, match=sentence):
        read(folder)


@pytest.mark.parametrize("place", ["../other.zarr/0", "/etc", "a/../../b"])
def test_a_level_outside_of_the_folder_is_not_read(place, tmp_path):
    for name in ("a.zarr", "other.zarr"):
        write(tmp_path / name, make("YX", "uint8"))
    attributes = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = place
    (tmp_path / "a.zarr" / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(ValueError, match="no OME-Zarr image"):
        read(tmp_path / "a.zarr")
