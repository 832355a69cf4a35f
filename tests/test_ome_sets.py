"""OME-TIFF files that belong together are one image, done once; its files are named and hashed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import napari_dip as dip
from napari_dip.cli import main
from napari_dip.files.checksum import sha256, sha256_of_image
from napari_dip.files.inputs import files_of_image

QUICK = ["--steps", "2", "--channels", "4", "--device", "cpu", "-q", "--json"]
PIXELS = np.random.default_rng(0).poisson(30, (3, 24, 26)).astype("uint16")
HEAD = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '


def ome_xml(number: int, master: str = "") -> str:
    """Return the OME-XML of a file of three; of all but the first a pointer, if there is one."""
    if master and (number or not master.endswith(".tif")):
        pointer = f'<BinaryOnly MetadataFile="{master}" UUID="urn:uuid:0"/>'
        return f'{HEAD} UUID="urn:uuid:{number}">{pointer}</OME>'
    planes = "".join(
        f'<TiffData FirstZ="{z}" FirstC="0" FirstT="0" IFD="0" PlaneCount="1">'
        f'<UUID FileName="film_{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>'
        for z in range(3)
    )
    pixels = (
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="26" SizeY="24" '
        f'SizeZ="3" SizeC="1" SizeT="1" PhysicalSizeX="0.2"><Channel ID="Channel:0:0"/>{planes}'
        "</Pixels>"
    )
    return f'{HEAD} UUID="urn:uuid:{number}"><Image ID="Image:0" Name="x">{pixels}</Image></OME>'


def save(folder: Path, master: str = "") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"film_{number}.ome.tif" for number in range(3)]
    for number, file in enumerate(files):
        xml = ome_xml(number, master)
        tifffile.imwrite(file, PIXELS[number], description=xml, metadata=None)
    return files


@pytest.mark.parametrize("master", ["", "film_0.ome.tif"])
def test_each_file_knows_the_others(tmp_path: Path, master: str) -> None:
    files = save(tmp_path, master)
    assert [files_of_image(file) for file in files] == [files] * 3
    image = dip.read(files[0])
    np.testing.assert_array_equal(image, PIXELS)
    assert image.remarks == ("The image lies in 3 files, of which film_0.ome.tif is one.",)


@pytest.mark.parametrize("master", ["", "film_0.ome.tif"])
def test_they_are_done_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], master: str
) -> None:
    files, out = save(tmp_path / "in", master), tmp_path / "out"
    dip.write(tmp_path / "in" / "other.tif", dip.Image(PIXELS[0]))

    def run(*inputs: Path) -> list[dict[str, Any]]:
        code = main(["denoise", *map(str, inputs), "-o", str(out), *QUICK])
        assert code == 0
        rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
        return rows

    rows = run(files[0].parent)
    assert [Path(row["output"]).name for row in rows] == ["film_0.ome.tif", "other.tif"]
    assert "lies in 3 files" in rows[0]["note"]
    assert dip.read(out / "film_0.ome.tif").shape == (3, 24, 26)
    # Named one by one, in any order, they are the same image, which is done.
    assert [row["status"] for row in run(*reversed(files))] == ["done before"]


def test_a_change_of_any_file_is_seen(tmp_path: Path) -> None:
    files = save(tmp_path)
    before = sha256_of_image(files[0])
    assert before == sha256_of_image(files[2]) != sha256(files[0])
    tifffile.imwrite(files[1], PIXELS[0], description=ome_xml(1), metadata=None)
    assert sha256_of_image(files[0]) != before


def test_a_file_that_another_describes_is_not_read_alone(tmp_path: Path) -> None:
    files = save(tmp_path, "film_0.ome.tif")
    with pytest.raises(ValueError, match=r"a part of the image that film_0\.ome\.tif describes"):
        dip.read(files[2])


def test_a_companion_that_is_not_read_is_said(tmp_path: Path) -> None:
    files = save(tmp_path, "film.companion.ome")
    (said,) = dip.read(files[1]).remarks
    assert "is a part of an image that film.companion.ome describes, which is not read" in said
    assert files_of_image(files[1]) == [files[1]]


def test_a_set_is_read_by_its_companion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = save(tmp_path / "in", "film.companion.ome")
    companion = tmp_path / "in" / "film.companion.ome"
    xml = ome_xml(9)
    companion.write_text(xml, "utf-8")
    for file in (*files, companion):
        assert files_of_image(file) == [*files, companion]
        image = dip.read(file)
        assert image.axes == "ZYX" and image.scale[-1] == 0.2
        np.testing.assert_array_equal(image, PIXELS)
        assert [one.shape for one in dip.list_series(file)] == [(3, 24, 26)]
    before = sha256_of_image(companion)
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *QUICK]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
    assert [Path(row["output"]).name for row in rows] == ["film_0.ome.tif"]
    assert main(["denoise", str(companion), "-o", str(tmp_path / "one.tif"), *QUICK]) == 0
    assert dip.read(tmp_path / "one.tif").shape == (3, 24, 26)
    companion.write_text(xml.replace("0.2", "0.3"), "utf-8")
    assert sha256_of_image(companion) != before


@pytest.mark.parametrize(
    "xml", [" ", "no xml", '<!DOCTYPE a [<!ENTITY b "c">]><OME/>', "<OME", ome_xml(9)]
)
def test_a_companion_that_cannot_be_used_ends_in_a_sentence(xml: str, tmp_path: Path) -> None:
    (tmp_path / "film.companion.ome").write_text(xml, "utf-8")
    with pytest.raises(ValueError, match=r"film\.companion\.ome (holds no|describes an image)"):
        dip.read(tmp_path / "film.companion.ome")


def test_a_training_sees_each_plane_once(tmp_path: Path) -> None:
    save(tmp_path)
    how = dip.IDDP(steps=1, crop=16, batch=2, channels=4)
    with pytest.warns(UserWarning, match="lies in 3 files"):
        model = dip.train(tmp_path, how, device="cpu")
    assert model.training["data"]["planes"] == 3


def test_a_damaged_file_is_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for content in (b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"no image at all"):
        (tmp_path / "a.tif").write_bytes(content)
        assert files_of_image(tmp_path / "a.tif") == [tmp_path / "a.tif"]
    assert capfd.readouterr() == ("", "")
