"""A part of a file is taken where it is asked for, and what is left out is said and recorded."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
from vendor_files import pixels, write_dv

import napari_dip as dip
from napari_dip.cli import main
from napari_dip.files import tiff_reader
from napari_dip.files.read_write import read_provenance
from napari_dip.images.lazy_array import LazyArray
from napari_dip.images.part import PartOf, find_places, format_places

QUICK = ["--steps", "2", "--channels", "4", "--device", "cpu", "-q", "--json"]
PIXELS = np.random.default_rng(0).poisson(30, (4, 3, 5, 24, 26)).astype("uint16")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    code = main([*map(str, words)])
    said = capsys.readouterr()
    return code, json.loads(said.out.strip().splitlines()[-1]), said.err


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Return a file of 4 time points, 3 channels and 5 planes."""
    path = tmp_path / "in" / "film.ome.tif"
    path.parent.mkdir()
    image = dip.Image(PIXELS, "TCZYX", (9.0, 1, 2.0, 0.1, 0.1), ("s", "pixel", "um", "um", "um"))
    dip.write(path, replace(image, channels=("DAPI", "GFP", "Alexa, far")))
    return path


@pytest.fixture
def positions(tmp_path: Path) -> Path:
    """Return a file of three positions."""
    path = tmp_path / "in" / "positions.ome.tif"
    path.parent.mkdir(exist_ok=True)
    with tifffile.TiffWriter(path, ome=True) as tif:
        for number in range(3):
            frame = np.random.default_rng(number).poisson(30, (32, 32)).astype("uint16")
            tif.write(frame, metadata={"axes": "YX", "Name": f"Pos{number}"})
    return path


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (2, 2),
        ("2", 2),
        ("-1", 9),
        ("2:5", [2, 3, 4]),
        ("3:4", [3]),
        ("0, 3, 8:", [0, 3, 8, 9]),
        ("::4", [0, 4, 8]),
        ("8:99", [8, 9]),
        ("5,5,1", [1, 5]),
    ],
)
def test_places_are_numbers_and_ranges(text: int | str, places: int | list[int]) -> None:
    found = find_places(text, 10, "time")
    assert (found if isinstance(found, int) else list(found)) == places


@pytest.mark.parametrize("text", ["", "10", "4:4", "a", "1,,2", "1:2:3:4", "1:2:0", "1.5", "0,GFP"])
def test_what_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has no time point .*there is 0 to 9; give time numbers"):
        find_places(text, 10, "time")


def test_places_are_written_as_they_are_read() -> None:
    assert format_places([0, 3, 4, 5, 9]) == "0, 3:6, 9"


def test_channels_have_names() -> None:
    names = ["DAPI", "GFP", "Alexa, far", "0"]
    assert [find_places(one, 4, "channel", names) for one in names] == [0, 1, 2, 3]
    assert find_places("gfp", 4, "channel", names) == 1
    assert find_places("gfp, 0", 4, "channel", names) == [1, 3]
    with pytest.raises(ValueError, match="there is 0 to 3 "):
        find_places("RFP", 4, "channel", names)


@pytest.mark.parametrize("suffix", [".ome.tif", ".zarr"])
def test_a_part_of_a_file(film: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"other{suffix}"
    dip.write(path, dip.read(film))
    image = dip.read(path, channel="GFP", plane="0,3:5", time=-1)
    assert (image.axes, image.channels, image.scale) == ("ZYX", ("GFP",), (2.0, 0.1, 0.1))
    np.testing.assert_array_equal(image, PIXELS[3, 1][[0, 3, 4]])
    assert image.provenance["part"] == {
        "channel": {"taken": "1", "of": 3, "names": ["GFP"]},
        "time": {"taken": "3", "of": 4},
        "plane": {"taken": "0, 3:5", "of": 5},
    }
    (said,) = image.remarks
    assert "channel 1 (GFP) of 3, time point 3 of 4, planes 0, 3:5 of 5" in said


@pytest.mark.parametrize(
    ("places", "step", "first"),
    [
        ("::2", 4.0, 0.0),
        ("1::3", 6.0, 2.0),
        ("1, 3", 4.0, 2.0),
        ("2:4", 2.0, 4.0),
        ("0,1,4", 2.0, 0),
    ],
)
def test_how_far_apart_places_are_and_where_they_begin(
    places: str, step: float, first: float
) -> None:
    about = ((9.0, 1, 2.0, 0.1, 0.1), ("pixel", "pixel", "um", "um", "um"))
    part = dip.Image(PIXELS, "TCZYX", *about).take(plane=places, time="::2")
    assert part.scale == (9.0, 1, step, 0.1, 0.1)  # of time nothing was known
    assert part.details.origin.get("Z", 0.0) == first


def test_nothing_is_said_where_nothing_is_left_out() -> None:
    image = dip.Image(PIXELS[:, :, 0], "TCYX").take(time=":", channel="0:3", plane=0)
    assert image.remarks == () and "part" not in image.provenance and image.shape[:2] == (4, 3)


class Counting:
    """Pixels that count what is read of them."""

    shape, dtype = PIXELS.shape, PIXELS.dtype

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __getitem__(self, key: Any) -> Any:
        self.sizes.append(PIXELS[key].size)
        return PIXELS[key]


def test_only_the_part_is_read() -> None:
    whole = Counting()
    image = dip.Image(whole, "TCZYX").take(channel=2, plane="1, 4", time="1:3")
    assert isinstance(image.pixels, PartOf) and not whole.sizes
    np.testing.assert_array_equal(image.pixels[1, 1, :3], PIXELS[2, 2, 4, :3])
    assert sum(whole.sizes) == 3 * 26
    np.testing.assert_array_equal(image, PIXELS[1:3, 2][:, [1, 4]])


def test_one_colour_of_an_rgb_image() -> None:
    image = dip.Image(np.zeros((8, 9, 3), "uint8"))
    assert image.take(channel=1).axes == "YX"
    with pytest.raises(ValueError, match="one can be taken, or all"):
        image.take(channel="0,1")


def test_what_was_left_out_stands_everywhere(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dip.write(film.with_name("other.tif"), dip.read(film))
    part = ["--channel", "1", "--time", "0:2", "--plane", "3"]
    out = tmp_path / "out"
    code, said, err = run(capsys, "denoise", film.parent, "-o", out, *part, *QUICK)
    assert code == 0 and dip.read(out / "film.ome.tif").shape == (2, 24, 26)
    record = said["files"][0]
    sentence = "channel 1 (GFP) of 3, time points 0:2 of 4, plane 3 of 5"
    assert sentence in err and sentence in record["note"] and "Warning" not in err
    assert record["part"]["plane"] == {"taken": "3", "of": 5}
    with (out / "napari-dip-report.csv").open(newline="") as table:
        assert sentence in next(csv.DictReader(table))["note"]
    made = read_provenance(out / "film.ome.tif")
    assert made["part"] == record["part"] and made["part_given"]["channel"] == "1"
    # The same call goes on; another part is not taken for it.
    code, said, _ = run(capsys, "denoise", film.parent, "-o", out, *part, *QUICK)
    assert {file["status"] for file in said["files"]} == {"done before"}
    code, said, _ = run(capsys, "denoise", film.parent, "-o", out, *part[2:], *QUICK)
    assert code == 2 and "exists" in said["error"]


def test_each_position_is_a_file(
    positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    every = ["denoise", positions, "-o", out, "--series", "all", *QUICK]
    code, said, _ = run(capsys, *every[:5], "0:2", *QUICK)
    assert code == 0 and [file["status"] for file in said["files"]] == ["done"] * 2
    code, said, _ = run(capsys, *every)
    assert [file["status"] for file in said["files"]] == ["done before"] * 2 + ["done"]
    names = [f"positions_series{number}.ome.tif" for number in range(3)]
    assert code == 0 and sorted(file.name for file in out.glob("*.tif")) == names
    assert [file["series"] for file in said["files"]] == [0, 1, 2]
    taken = read_provenance(out / names[2])["part"]["series"]
    assert taken == {"taken": "2", "of": 3, "names": ["Pos2"]}
    code, said, _ = run(capsys, *every)
    assert {file["status"] for file in said["files"]} == {"done before"}
    with (out / "napari-dip-report.csv").open(newline="") as table:
        assert [row["series"] for row in csv.DictReader(table)] == ["0", "1", "2"]


def test_another_position_is_not_taken_for_it(
    positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["denoise", positions, "-o", tmp_path / "out", *QUICK]
    assert run(capsys, *out, "--series", "0:1")[0] == 0
    code, said, _ = run(capsys, *out, "--series", "0:1")
    assert [file["status"] for file in said["files"]] == ["done before"]
    code, said, _ = run(capsys, *out, "--series", "1:2")
    assert code == 2 and "exists" in said["error"]


def test_one_position_is_chosen(
    positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", tmp_path / "a.tif", *QUICK]
    code, said, _ = run(capsys, "denoise", positions, *out, "--series", "0:2")
    assert code == 2 and "is a folder for several images" in said["error"]
    code, said, _ = run(capsys, "denoise", positions, *out)
    assert code == 1 and "choose one by number or name" in said["files"][0]["error"]
    code, said, _ = run(capsys, "denoise", positions, *out, "--series", "Pos1")
    assert code == 0 and "image 1 (Pos1) of 3" in said["files"][0]["note"]
    code, said, _ = run(capsys, "info", positions, "--json")
    assert [row["name"] for row in said["series"]] == ["Pos0", "Pos1", "Pos2"]
    code, said, _ = run(capsys, "noise", positions, "--series", "Pos2", "--json")
    assert code == 0 and "image 2 (Pos2) of 3" in said["note"]


def save_stack(path: Path, axes: str, *lengths: int) -> np.ndarray:
    """Write planes of 12 x 16 pixels by what follows the path's last dot."""
    planes = pixels(*lengths)
    if path.suffix == ".zarr":
        pytest.importorskip("zarr")
    if path.suffix == ".dv":
        pytest.importorskip("mrc")
        write_dv(path, planes.reshape(1, 1, -1, 12, 16))
    else:
        dip.write(path, dip.Image(planes, axes))
    return planes


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.zarr", "a.dv"])
def test_axes_that_contradict_the_file_are_said(tmp_path: Path, name: str) -> None:
    save_stack(tmp_path / name, "ZYX", 3)
    assert dip.read(tmp_path / name, axes="ZYX").remarks == ()
    (said,) = dip.read(tmp_path / name, axes="TYX").remarks
    assert said == f"{name} says that its axes are ZYX; they are taken as TYX, as asked for."


@pytest.mark.parametrize("axes", ["ZYX", "zyx", "TZYX", "TZCYX"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.zarr", "a.dv"])
def test_axes_of_one_place_need_not_be_named(tmp_path: Path, name: str, axes: str) -> None:
    planes = save_stack(tmp_path / name, "TZCYX", 1, 3, 1)
    image = dip.read(tmp_path / name, axes=axes)
    assert image.axes == axes.upper() and image.remarks == ()
    np.testing.assert_array_equal(np.squeeze(image), np.squeeze(planes))


def test_a_picture_says_its_axes_too(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "a.png")
    assert dip.read(tmp_path / "a.png", axes="ZYX").shape == (1, 8, 9)
    (said,) = dip.read(tmp_path / "a.png", axes="XY").remarks
    assert "its axes are YX; they are taken as XY" in said


def test_axes_that_a_file_does_not_name_are_no_contradiction(tmp_path: Path) -> None:
    pixels = np.zeros((3, 8, 9), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", metadata=None)
    assert dip.read(tmp_path / "a.tif", axes="TYX").remarks == ()


def test_a_fit_in_python_warns_of_what_was_left_out(film: Path) -> None:
    how = dip.BlindSpot(steps=1, channels=4)
    with pytest.warns(UserWarning, match="Only a part was taken: channel 1"):
        dip.denoise(dip.read(film, channel=1, time=0, plane=0), how, device="cpu")


def test_a_guide_is_another_channel_of_the_same_file(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["guided", film, "-o", tmp_path / "a.tif", "--guide", film, "--channel", "GFP", *QUICK]
    code, said, _ = run(capsys, *words, "--time", "0", "--plane", "1:3")
    assert code == 2 and "is its own guide" in said["error"]
    code, said, _ = run(capsys, *words, "--time", "0", "--plane", "1:3", "--guide-channel", "DAPI")
    assert code == 0 and dip.read(tmp_path / "a.tif").shape == (2, 24, 26)
    assert read_provenance(tmp_path / "a.tif")["guide_channel"] == "DAPI"


@pytest.mark.parametrize("whole", [True, False])
def test_a_mask_is_of_the_file_or_of_the_part(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: bool
) -> None:
    mask = np.zeros((5, 24, 26), "uint8")
    mask[3, 5:8, 5:8] = 1
    dip.write(tmp_path / "mask.tif", dip.Image(mask if whole else mask[2:4], "ZYX"))
    words = ["--mask", tmp_path / "mask.tif", "--channel", "0", "--time", "1", "--plane", "2:4"]
    out = tmp_path / "a.tif"
    assert run(capsys, "inpaint", film, "-o", out, *words, *QUICK)[0] == 0
    changed = np.asarray(dip.read(out)) != PIXELS[1, 0, 2:4]
    assert changed.any() and not changed[mask[2:4] == 0].any()


def test_a_training_takes_the_part(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, words = tmp_path / "a.safetensors", ["--steps", "2", "--crop", "16", "--batch", "2"]
    part = ["--channel", "GFP", "--plane", "0:2"]
    code, said, err = run(capsys, "train", film, "-o", out, *part, *words, *QUICK[2:])
    assert code == 0 and "channel 1 (GFP) of 3, planes 0:2 of 5" in err
    assert said["training"]["data"]["planes"] == 8
    assert said["training"]["data"]["part"] == {"channel": "GFP", "plane": "0:2"}


def test_targets_are_of_the_same_part(film: Path, tmp_path: Path) -> None:
    targets = tmp_path / "clean.ome.tif"  # of one channel
    dip.write(targets, dip.Image(PIXELS[:, 1] + 1, "TZYX"))
    how = dip.Supervised(steps=1, crop=16, batch=2, channels=4)
    model = dip.train(film, how, targets=targets, channel=1, time="0:3", plane=2, device="cpu")
    assert model.training["data"]["planes"] == 3


def test_every_position_is_trained_on(positions: Path) -> None:
    how = dip.IDDP(steps=1, crop=16, batch=2, channels=4)
    with pytest.raises(ValueError, match="holds 3 images"):
        dip.train(positions, how, device="cpu")
    model = dip.train(positions, how, series="all", device="cpu")
    assert model.training["data"]["planes"] == 3


def test_a_part_is_scored(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = tmp_path / "answer.tif"
    dip.write(answer, dip.read(film, channel=1, time=2))
    for restored in (answer, film):  # the part itself, or another whole
        code, said, _ = run(
            capsys, "score", film, restored, "--channel", "GFP", "--time", "2", "--json"
        )
        assert code == 0 and said["ssim"] == pytest.approx(1)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_axes_in_another_order_are_read_by_the_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None
) -> None:
    for name in ("MAP_FROM", "LAZY_FROM"):
        monkeypatch.setattr(tiff_reader, name, 1)
    dip.write(tmp_path / "a.ome.tif", dip.Image(PIXELS, "TCZYX"), compression=compression)
    whole = dip.read(tmp_path / "a.ome.tif")  # stored as TZCYX
    assert isinstance(whole.pixels, LazyArray) and whole.axes == "TCZYX"
    np.testing.assert_array_equal(whole, PIXELS)
    np.testing.assert_array_equal(whole.pixels[1:, 2, ::2, 3], PIXELS[1:, 2, ::2, 3])
    part = dip.read(tmp_path / "a.ome.tif", channel=1, plane="0, 3")
    np.testing.assert_array_equal(part, PIXELS[:, 1][:, [0, 3]])


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("alone", ["T", "C", "TZ"])
def test_axes_of_one_place_in_another_order_are_read_by_the_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None, alone: str
) -> None:
    for name in ("MAP_FROM", "LAZY_FROM"):
        monkeypatch.setattr(tiff_reader, name, 1)
    pixels = PIXELS[tuple(slice(1) if a in alone else slice(None) for a in "TCZYX")]
    dip.write(tmp_path / "a.ome.tif", dip.Image(pixels, "TCZYX"), compression=compression)
    whole = dip.read(tmp_path / "a.ome.tif")
    assert isinstance(whole.pixels, LazyArray) and whole.shape == pixels.shape
    for key in (np.s_[()], np.s_[0, :, 0, ::2, 3], np.s_[:, -1:, ..., ::-1], np.s_[0:0]):
        np.testing.assert_array_equal(whole.pixels[key], pixels[key])
