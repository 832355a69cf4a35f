"""The formats TIFF (plain and ImageJ) and OME-TIFF."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_dip.files.format import Format

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from napari_dip.files.series import Series
    from napari_dip.images.image import Image


def _read(path: Path, axes: str | None, series: int | str | None = None) -> Image:
    from napari_dip.files.tiff_reader import read_tiff

    return read_tiff(path, axes, series)


def _list_series(path: Path) -> list[Series]:
    from napari_dip.files.tiff_reader import list_tiff_series

    return list_tiff_series(path)


def _files_of(path: Path) -> list[Path]:
    from napari_dip.files.tiff_reader import list_tiff_files

    return list_tiff_files(path)


def _read_provenance(path: Path) -> dict[str, Any]:
    from napari_dip.files.tiff_reader import read_tiff_provenance

    return read_tiff_provenance(path)


def _write(path: Path, image: Image, dtype: np.dtype[Any], *, ome: bool, **options: str) -> int:
    from napari_dip.files.tiff_writer import write_tiff

    return write_tiff(path, image, dtype, ome=ome, **options)


def _check(image: Image, dtype: np.dtype[Any]) -> None:
    from napari_dip.files.tiff_writer import check_tiff

    check_tiff(dtype)


TIFF = Format(
    "TIFF",
    (".tif", ".tiff", ".btf"),
    _read,
    partial(_write, ome=False),
    _check,
    _list_series,
    _read_provenance,
    files_of=_files_of,
    options=("compression",),
)
OME_TIFF = replace(
    TIFF,
    name="OME-TIFF",
    suffixes=(".ome.tif", ".ome.tiff", ".ome.btf"),
    write=partial(_write, ome=True),
)
COMPANION = replace(TIFF, name="OME companion", suffixes=(".companion.ome",), write=None)
LSM = replace(TIFF, name="LSM", suffixes=(".lsm",), write=None)
STK = replace(TIFF, name="STK", suffixes=(".stk",), write=None)
