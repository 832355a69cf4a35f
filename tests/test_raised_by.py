"""A damaged file is not called a bug, and a bug is not called a damaged file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from vendor_files import pixels, write_dv

from napari_dip import read
from napari_dip.batch.jobs import Job
from napari_dip.batch.process_file import process_file
from napari_dip.batch.task import Task
from napari_dip.files import tiff_reader
from napari_dip.settings import BlindSpot
from napari_dip.snapshot import consume

# Such as a slip in this package's own code.
SLIP: dict[str, Any] = {"__name__": "napari_dip.files.slip"}
exec("def slip(*_, **__):\n    return None + 1", SLIP)


def library_slip(*_: Any, **__: Any) -> Any:
    raise TypeError("unsupported operand")


def said_of(path: Path) -> str:
    outcome = process_file(Job(path, path.with_name("out.tif")), Task(BlindSpot()), consume)
    return str(outcome.record["error"])


def test_a_type_error_of_tifffile_is_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), "uint8"))
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", library_slip)
    assert "damaged TIFF" in said_of(tmp_path / "a.tif")


def test_a_type_error_of_ours_is_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), "uint8"))
    monkeypatch.setattr(tiff_reader, "read_header", SLIP["slip"])
    assert "TypeError" in (said := said_of(tmp_path / "a.tif")) and "bug in napari-dip" in said


def test_the_same_holds_for_files_of_microscopes_makers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mrc = pytest.importorskip("mrc")
    write_dv(tmp_path / "a.dv", pixels(1, 1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(mrc, "DVFile", library_slip)
        with pytest.raises(ValueError, match="damaged DV file"):
            read(tmp_path / "a.dv")
    monkeypatch.setattr("napari_dip.files.vendor.dv._plane", SLIP["slip"])
    image = read(tmp_path / "a.dv")
    with pytest.raises(TypeError):
        np.asarray(image.pixels)
