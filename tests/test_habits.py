"""What people are used to: arrays of other libraries, patterns, a bar, short texts, laziness."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import napari_dip as dip
from napari_dip.cli import main
from napari_dip.images.as_image import as_image
from napari_dip.planes import canvas

QUICK = dip.BlindSpot(steps=2, channels=4)
WORDS = ["--steps", "2", "--channels", "4", "--device", "cpu", "-q"]


def noisy(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).poisson(30, shape or (24, 26)).astype("uint16")


class Named:
    """An array with named dimensions, as xarray has them."""

    def __init__(self, pixels: np.ndarray, *dims: str, **coords: Any) -> None:
        self.data, self.dims, self.name, self.coords = pixels, dims, "cells", coords
        self.shape, self.dtype = pixels.shape, pixels.dtype

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]


class Places(np.ndarray):
    """Coordinates along a dimension."""

    attrs: dict[str, str]

    @classmethod
    def of(cls, *places: float, **attrs: str) -> Places:
        made = np.asarray(places).view(cls)
        made.attrs = attrs
        return made


def test_named_dimensions_are_axes() -> None:
    image = as_image(Named(noisy(3, 24, 26), "time", "y", "x"), None)
    assert (image.axes, image.name, image.scale) == ("TYX", "cells", (1, 1, 1))
    where = {
        "y": Places.of(*np.arange(24) * 0.2, units="micrometer"),
        "x": Places.of(*np.arange(26.0) ** 2),  # not evenly spaced
    }
    image = as_image(Named(noisy(24, 26, 3), "y", "x", "channel", **where), None)
    assert image.axes == "YXC" and image.scale == pytest.approx((0.2, 1, 1))
    assert image.units == ("um", "pixel", "pixel")
    assert as_image(Named(noisy(3, 24, 26), "dim_0", "dim_1", "dim_2"), None).axes == "ZYX"
    assert as_image(Named(noisy(3, 24, 26), "wave", "y", "x"), "CYX").axes == "CYX"
    with pytest.raises(ValueError, match=r"dimensions .* hold wave; call them time"):
        as_image(Named(noisy(3, 24, 26), "wave", "y", "x"), None)
    assert dip.denoise(Named(noisy(), "y", "x"), QUICK, device="cpu").shape == (24, 26)


def test_xarray_is_taken() -> None:
    xarray = pytest.importorskip("xarray")
    coords = {"y": np.arange(24) * 0.5, "x": np.arange(26) * 0.5}
    array = xarray.DataArray(noisy(2, 24, 26), coords, ("frame", "y", "x"), "film")
    image = as_image(array, None)
    assert (image.axes, image.name, image.scale) == ("TYX", "film", (1, 0.5, 0.5))


def test_a_device_of_torch_is_a_device() -> None:
    cpu = torch.device("cpu")
    assert np.array_equal(*(dip.denoise(noisy(), QUICK, device=d) for d in (cpu, "cpu")))
    dip.upscale(noisy(), 2, dip.Upscale(steps=1, channels=4), device=cpu)
    how = dip.IDDP(steps=1, crop=16, batch=2, channels=4)
    assert dip.train(noisy(), how, device=cpu).channels == 1


@pytest.mark.parametrize("kind", ["numpy", "torch", "list", "float RGB", "named"])
def test_an_array_is_written(tmp_path: Path, kind: str) -> None:
    pixels = noisy(24, 26, 3) / np.float32(100) if kind == "float RGB" else noisy(3, 24, 26)
    makers = {"torch": torch.as_tensor, "list": np.ndarray.tolist}
    given = makers.get(kind, lambda x: x)(pixels)
    if kind == "named":
        given = Named(pixels, "t", "y", "x")
    dip.write(tmp_path / "a.tif", given)
    again = dip.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(again, np.asarray(pixels, dtype=again.dtype))
    assert again.axes == {"float RGB": "YXC", "named": "TYX"}.get(kind, "ZYX")
    dip.write(tmp_path / "b.tif", noisy(3, 24, 26), axes="CYX")
    assert dip.read(tmp_path / "b.tif").axes == "CYX"


def test_a_bar_shows_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    dip.denoise(noisy(2, 24, 26), QUICK, device="cpu", progress=True)
    assert "4/4" in capsys.readouterr().err
    dip.upscale(noisy(), 2, dip.Upscale(steps=1, channels=4), device="cpu", progress=True)
    assert "1/1" in capsys.readouterr().err
    dip.denoise(noisy(), QUICK, device="cpu")
    assert capsys.readouterr().err == ""


def test_without_tqdm_a_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ValueError, match="pip install tqdm"):
        dip.denoise(noisy(), QUICK, device="cpu", progress=True)


def test_texts_are_short_and_pictures_are_shown() -> None:
    name, um = "<b>cells", ("um",) * 3
    image = dip.Image(noisy(3, 24, 26), "ZYX", (2, 0.1, 0.1), um, name, channels=("GFP",))
    assert repr(image) == (
        "Image(ZYX 3 x 24 x 26, <b>cells, uint16, Z 2 um, Y 0.1 um, X 0.1 um, GFP)"
    )
    html = image._repr_html_()
    assert "data:image/png;base64," in html and "&lt;b&gt;cells" in html and "<b>" not in html
    shot = dip.last(dip.iter_denoise(image, QUICK, device="cpu"))
    assert re.fullmatch(r"Snapshot\(step 6 of 6, loss .*, chosen \d, plane 3 of 3.*\)", repr(shot))
    assert "6 of 6" in shot._repr_html_() and len(shot._repr_html_()) < 20_000


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 5)),
        np.full((4, 5), np.nan),
        np.array([[1e308, -1e308], [np.inf, np.nan]]),
        np.ones((4, 5, 3), "uint8"),
        np.ones((3000, 7), bool),
    ],
)
def test_every_image_has_a_picture(pixels: np.ndarray) -> None:
    assert "data:image/png" in dip.Image(pixels)._repr_html_()


@pytest.mark.parametrize("in_file", [False, True])
def test_dask_in_dask_out(monkeypatch: pytest.MonkeyPatch, in_file: bool) -> None:
    da = pytest.importorskip("dask.array")
    if in_file:
        monkeypatch.setattr(canvas, "IN_FILE_FROM", 1)
    pixels = noisy(3, 24, 26)
    plain = dip.denoise(pixels, QUICK, device="cpu")
    lazy = dip.denoise(da.from_array(pixels, chunks=(1, 24, 26)), QUICK, device="cpu")
    assert isinstance(lazy, da.Array) and lazy.chunksize == (1, 24, 26)
    np.testing.assert_array_equal(lazy.compute(), plain)
    answer, std = dip.denoise(
        dip.Image(da.from_array(pixels)), QUICK, device="cpu", return_std=True
    )
    assert isinstance(answer.pixels, da.Array) and isinstance(std.pixels, da.Array)


def test_one_file_with_a_folder_and_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    dip.write(tmp_path / "in" / "a.tif", dip.Image(noisy()))
    monkeypatch.chdir(tmp_path)
    assert main(["denoise", "in/*.tif", "-o", "new", *WORDS]) == 0
    assert (tmp_path / "new" / "a.tif").exists()
    assert main(["denoise", "in/*.tif", "-o", "new", *WORDS]) == 0  # done before
    assert main(["denoise", "in/*.png", "-o", "new", *WORDS]) == 2
    assert "No file fits the pattern in/*.png" in capsys.readouterr().err.replace("\\", "/")
    dip.write(tmp_path / "in" / "[b].tif", dip.Image(noisy()))  # a name, though a pattern too
    assert main(["denoise", "in/[b].tif", "-o", "new/b.tif", *WORDS]) == 0


def test_targets_follow_one_flag(tmp_path: Path) -> None:
    for name in "abcd":
        dip.write(tmp_path / f"{name}.tif", dip.Image(noisy() + ord(name)))
    a, b, c, d = (str(tmp_path / f"{name}.tif") for name in "abcd")
    words = ["--method", "n2n", "--crop", "16", "--batch", "2", *WORDS]
    out = str(tmp_path / "m.safetensors")
    assert main(["train", a, b, "--targets", c, d, "-o", out, *words]) == 0
    again = ["train", a, b, "--targets", c, "--targets", d, "-o", out, "--overwrite", *words]
    assert main(again) == 0


def test_doctor_lists_what_reads_files_and_the_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("napari_dip.cli.doctor.speed", lambda device: {"seconds": {"dip": 2.0}})
    assert main(["doctor", "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out.splitlines()[-1])
    assert {"zarr", "dask", "imagecodecs"} <= set(report["versions"])
    assert report["memory"]["free"] > 0 and "Memory: " in said.err
