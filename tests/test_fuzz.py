"""A sample of the inputs of `benchmarks/fuzz_inputs.py`, damaged and hostile, without a fit."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cli_help import fit_quickly

from napari_dip import read
from napari_dip.batch.config import read_config
from napari_dip.errors import UsageError
from napari_dip.files.tiff_checks import check_planes

if sys.platform == "win32":
    pytest.skip("pipes and devices as files, and alarms, are Unix's", allow_module_level=True)

EVERY = 8  # of the inputs
PARTS = 3  # tests that share them


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    fit_quickly(monkeypatch)
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "benchmarks")


@pytest.mark.parametrize("part", range(PARTS))
def test_a_sentence_ends_every_damaged_or_hostile_input(part: int, tmp_path: Path) -> None:
    fuzz = import_module("fuzz")
    cases = list(fuzz.all_cases())[::EVERY]
    assert len(cases) > 50
    for number, case in enumerate(cases[part::PARTS]):
        folder = tmp_path / str(number)
        folder.mkdir()
        faults, said = fuzz.judge(case, folder)
        assert not faults, (case.name, said)


def test_strips_of_no_bytes_or_in_one_another_are_refused(tmp_path: Path) -> None:
    inputs = import_module("fuzz_inputs")
    stack = inputs.pixels(3, 26, 24)
    with tifffile.TiffWriter(tmp_path / "fine.tif") as writer:
        for plane in stack:
            writer.write(plane, contiguous=False, metadata=None, rowsperstrip=7)
    np.testing.assert_array_equal(read(tmp_path / "fine.tif").pixels, stack)
    fine = (tmp_path / "fine.tif").read_bytes()
    offsets, counts = inputs.TAGS["StripOffsets"], inputs.TAGS["StripByteCounts"]
    for code, value in ((offsets, 0), (offsets, 13), (counts, 0)):
        (tmp_path / "a.tif").write_bytes(inputs._with_tag(fine, 1, code, value))
        with pytest.raises(ValueError, match="damaged TIFF"):
            read(tmp_path / "a.tif")


def test_no_room_is_made_for_a_billion_planes() -> None:
    check_planes('<Pixels SizeZ="1000" SizeC="3" SizeT="3000" SizeX="9">')
    for sizes in ('SizeZ="1000000000"', f'SizeT="{"9" * 400}"', 'SizeC="9999" SizeZ="9999"'):
        with pytest.raises(ValueError, match="too many"):
            check_planes(f"<OME><Pixels ID='a' {sizes}><TiffData/></Pixels></OME>")


def test_a_file_of_settings_is_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for content, words in (
        ("seed = " + "[" * 900 + "]" * 900, "nested too deep"),
        ("#" * (2 << 20), "more than"),
    ):
        path.write_text(content)
        with pytest.raises(UsageError, match=words):
            read_config(path)
    (tmp_path / "pipe.toml").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="it is no file"):
        read_config(tmp_path / "pipe.toml")
