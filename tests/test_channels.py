"""The names of channels stay with the image, whatever it is written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_dip import BlindSpot, Image, denoise, read, write

NAMES = ("DAPI", "GFP <Ex 488>", "µ-tubulin")
STACK = np.arange(2 * 3 * 16 * 16, dtype=np.uint16).reshape(2, 3, 16, 16)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.zarr"])
def test_names_survive_writing_and_reading(tmp_path: Path, name: str) -> None:
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    write(tmp_path / name, Image(STACK, "ZCYX", channels=NAMES))
    assert read(tmp_path / name).channels == NAMES


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_one_channel_keeps_its_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, Image(STACK[:, 0], "ZYX", channels=("DAPI",)))
    assert read(tmp_path / name).channels == ("DAPI",)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.zarr"])
def test_an_image_without_names_gets_none(tmp_path: Path, name: str) -> None:
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    write(tmp_path / name, Image(STACK, "ZCYX"))
    assert read(tmp_path / name).channels == ()


def test_another_programs_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "other.ome.tif"
    tifffile.imwrite(path, STACK, metadata={"axes": "ZCYX", "Channel": {"Name": list(NAMES)}})
    assert read(path).channels == NAMES
    labels = [f"{name}" for _ in range(2) for name in NAMES]
    tifffile.imwrite(
        tmp_path / "fiji.tif", STACK, imagej=True, metadata={"axes": "ZCYX", "Labels": labels}
    )
    assert read(tmp_path / "fiji.tif").channels == NAMES


def test_labels_of_slices_are_not_taken_for_channels(tmp_path: Path) -> None:
    labels = [f"slice {i}" for i in range(6)]
    tifffile.imwrite(
        tmp_path / "fiji.tif", STACK, imagej=True, metadata={"axes": "ZCYX", "Labels": labels}
    )
    assert read(tmp_path / "fiji.tif").channels == ()


def test_a_strangers_name_is_cut_and_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "other.ome.tif"
    tifffile.imwrite(
        path, STACK, metadata={"axes": "ZCYX", "Channel": {"Name": ["A" * 5000, "a\u200bb", "c"]}}
    )
    assert read(path).channels == ("A" * 100, "ab", "c")


def test_the_answer_has_the_names() -> None:
    noisy = np.random.default_rng(0).poisson(20, (2, 24, 24)).astype(np.uint16)
    answer = denoise(
        Image(noisy, "CYX", channels=("DAPI", "GFP")), BlindSpot(steps=2), device="cpu"
    )
    assert answer.channels == ("DAPI", "GFP")


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"channels names 3 channels; an image ZCYX of .* has 2"):
        Image(STACK[:, :2], "ZCYX", channels=NAMES)
    with pytest.raises(ValueError, match="has 0"):
        Image(np.zeros((8, 8, 3)), "YXC", channels=NAMES)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.zarr"])
def test_a_name_that_no_header_can_hold_costs_nothing_else(tmp_path: Path, name: str) -> None:
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    odd = Image(STACK, "ZCYX", (2.0, 1.0, 0.5, 0.5), channels=("a\x0bb", "\ufffe", "\ud800d"))
    write(tmp_path / name, odd)
    back = read(tmp_path / name)
    assert back.channels == ("ab", "", "d")
    sizes = dict(zip(back.axes, back.scale, strict=True))
    assert sizes == dict(zip(odd.axes, odd.scale, strict=True))


def test_names_are_texts() -> None:
    for names in ("abc", (1, 2, 3), (None, "a", "b"), (b"q", "a", "b")):
        with pytest.raises(ValueError, match="give a name for each channel"):
            Image(STACK, "ZCYX", channels=names)  # type: ignore[arg-type]


@pytest.mark.parametrize("axes", ["YX", "CYX", "TZCYX"])
def test_one_plane_keeps_its_name(tmp_path: Path, axes: str) -> None:
    pixels = STACK[0, 0].reshape((1,) * (len(axes) - 2) + (16, 16))
    for name in ("a.tif", "a.ome.tif"):
        write(tmp_path / name, Image(pixels, axes, channels=("DAPI",)))
        assert read(tmp_path / name).channels == ("DAPI",)
