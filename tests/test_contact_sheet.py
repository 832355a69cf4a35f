"""A folder run leaves a page with raw, answer, residual and the remarks of each file."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import napari_dip as dip
from napari_dip.batch.contact_sheet import SHEET, SIDE, ContactSheet, pictures_of
from napari_dip.cli import main

WORDS = ["--steps", "2", "--channels", "4", "--device", "cpu", "-q"]


def noisy(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(30, shape).astype("uint16")


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def decode(source: str) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))


@pytest.mark.parametrize(
    ("axes", "shape", "size"),
    [
        ("YX", (40, 50), (40, 50)),
        ("TZYX", (2, 3, 400, 300), (SIDE, SIDE)),
        ("YXC", (30, 31, 3), (30, 31, 3)),
    ],
)
def test_the_pieces_are_as_the_pixels(
    axes: str, shape: tuple[int, ...], size: tuple[int, ...]
) -> None:
    image = dip.Image(noisy(*shape), axes)
    answer = image.with_pixels(np.full(shape, np.float32(30)))
    shown = {what: decode(source) for what, source in pictures_of(image, answer).items()}
    assert list(shown) == ["raw", "answer", "residual"]
    assert all(piece.shape == size for piece in shown.values())
    assert np.ptp(shown["answer"]) == 0 and shown["residual"].std() > 20


def test_the_piece_is_where_the_structure_is() -> None:
    pixels = np.zeros((600, 600), np.float32)
    pixels[450:500, 30:80] = 100
    image = dip.Image(pixels)
    assert decode(pictures_of(image, image)["answer"]).max() > 200


def test_an_enlarged_answer_has_no_residual() -> None:
    image = dip.Image(noisy(300, 310))
    enlarged = dip.Image(np.kron(np.asarray(image), np.ones((2, 2))).astype("float32"))
    shown = pictures_of(image, enlarged)
    assert list(shown) == ["raw", "answer"] and decode(shown["answer"]).shape == (384, 384)


def test_strange_values_have_pictures_too() -> None:
    for value in (np.nan, np.inf, 0):
        image = dip.Image(np.full((9, 9), value, np.float32))
        assert len(pictures_of(image, image)) == 3


def test_a_folder_run_leaves_a_page_that_grows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "day 1").mkdir(parents=True)
    dip.write(folder / "a.tif", dip.Image(noisy(24, 26)))
    dip.write(folder / "day 1" / "b&c.tif", dip.Image(noisy(3, 24, 26), "TYX"))
    (folder / "bad.tif").write_text("no image")
    words = ["denoise", str(folder), "-o", str(out), *WORDS]
    assert main([*words, "--time", "0"]) == 1
    page = Page(out / SHEET)
    assert page.tags.count("section") == 3 and page.tags.count("img") == 6
    assert "b&c.tif" in page.text and "not a TIFF" in page.text
    assert "time point 0 of 3" in page.text
    assert {"a.tif", "day%201/b%26c.tif"} == set(page.links)
    size = (out / SHEET).stat().st_size
    dip.write(folder / "d.tif", dip.Image(noisy(24, 26, seed=1)))
    assert main([*words, "--time", "0"]) == 1  # goes on: what is done keeps its entry
    page = Page(out / SHEET)
    assert page.tags.count("section") == 4 and page.tags.count("img") == 9
    assert (out / SHEET).stat().st_size > size
    capsys.readouterr()


def test_an_entry_holds_no_code_of_a_file(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path / "a.html")
    evil = '<script>"\n</section>\x1b[31m'
    record = {"input": evil, "output": evil, "status": "done", "note": evil, "error": evil}
    for _ in range(2):
        sheet.add(evil, record, {})
    sheet.add("other", {"input": "x", "status": "failed"}, {})
    assert len(re.findall("<section", (tmp_path / "a.html").read_text())) == 3
    sheet.close()
    sheet = ContactSheet(tmp_path / "a.html")
    sheet.add("other", {"input": "y", "status": "done"}, {})
    sheet.close()
    text = (tmp_path / "a.html").read_text()
    assert len(re.findall("<section", text)) == 2
    assert "<script" not in text and "\x1b" not in text and ">x<" not in text


def test_what_another_run_adds_meanwhile_stays(tmp_path: Path) -> None:
    """Two machines may share a folder without shares of its files."""
    page = tmp_path / "a.html"
    one, other = ContactSheet(page), ContactSheet(page)
    for sheet, name in ((one, "a"), (other, "b"), (one, "c"), (other, "d")):
        sheet.add(name, {"input": f"{name}.tif", "status": "done"}, {})
    with page.open("a") as half:
        half.write('<section data-file="e">killed here')
    one.close()
    assert re.findall("<h3>(.)", page.read_text()) == list("abcd")
