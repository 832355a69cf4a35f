"""Read OME-Zarr 0.4 and 0.5: images, plates, collections of images; plain Zarr arrays too.

Needs the package zarr (``pip install "napari-dip[zarr]"``). Pixels are read by the plane, never
whole. Metadata are read as JSON, without zarr: so nothing that a file names is run.

References
----------
Moore et al., OME-Zarr: a cloud-optimized bioimaging file format with international community
support, Histochemistry and Cell Biology 2023, doi:10.1007/s00418-023-02209-1.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_dip.files.asked_axes import take_axes
from napari_dip.files.channel_names import fitting_names, names_from_omero
from napari_dip.files.format import Format
from napari_dip.files.ome_zarr_writer import import_zarr, write_zarr
from napari_dip.files.pixel_sizes import positive, scale_and_units
from napari_dip.files.provenance import KEY, read_provenance
from napari_dip.files.series import Series, choose_series
from napari_dip.files.zarr_codecs import UnsafeZarr, check_array, read_json
from napari_dip.files.zarr_pixels import ZarrPixels, plain_store
from napari_dip.images.details import Details
from napari_dip.images.image import LETTERS, Image, printable_name
from napari_dip.images.units import clean_unit

_BROKEN = (KeyError, IndexError, TypeError, AttributeError, ValueError, OSError, RuntimeError)


def read_zarr(path: Path, axes: str | None = None, series: int | str | None = None) -> Image:
    """Read the finest level of an OME-Zarr image, or a plain Zarr array; pixels stay on disk."""
    found = list_zarr_series(path)
    chosen = choose_series(found, series, path.name)
    name = path.name.split(".")[0] or path.stem
    if _is_array(path):
        return Image(_open_array(path, path), axes or "", name=name)
    if len(found) > 1:
        name = f"{name} {printable_name(found[chosen].name) or chosen}"
    folder, number = path, chosen
    if inner := _inner_folders(path):
        folder, number = inner[chosen], 0
    attributes = _attributes(folder)
    ome = attributes.get("ome", attributes)
    scales = ome["multiscales"][number]
    array = _open_array(_level(folder, scales), path)
    said = found[chosen].axes
    if axes is None and (set(said) - set(LETTERS) or len(array.shape) != len(said)):
        raise ValueError(
            f"{path.name} has axes {said}; T, Z, C, Y and X are known: name them with `axes`."
        )
    pixels, letters, remarks = take_axes(array, said, axes, path.name)
    names = [str(axis["name"]).upper() for axis in scales["axes"]]
    units = [clean_unit(axis.get("unit") or "") for axis in scales["axes"]]
    sizes, shifts = _scale(scales, len(names))
    calibration = dict(zip(names, zip(sizes, units, strict=True), strict=True))
    origin = {a: shift for a, shift in zip(names, shifts, strict=True) if shift and a in letters}
    return Image(
        pixels,
        letters,
        **scale_and_units(calibration, letters),
        name=name,
        provenance=read_provenance([attributes.get(KEY, "")]),
        channels=fitting_names(names_from_omero(ome), letters, pixels.shape),
        details=Details(channels=_omero_channels(ome), origin=origin),
        remarks=remarks,
    )


def list_zarr_series(path: Path) -> list[Series]:
    """Return what images a Zarr folder holds: its own, or those of a plate or collection."""
    if _is_array(path):
        return [Series("", "", tuple(_open_array(path, path).shape))]
    inner = _inner_folders(path)
    names = [folder.relative_to(path).as_posix() for folder in inner]
    found = []
    try:
        for number, folder in enumerate(inner or [path]):
            attributes = _attributes(folder)
            scales = attributes.get("ome", attributes)["multiscales"]
            for one in scales[:1] if inner else scales:
                letters = "".join(str(axis["name"]).upper() for axis in one["axes"])
                shape = tuple(_open_array(_level(folder, one), path).shape)
                name = names[number] if inner else str(one.get("name", ""))
                found.append(Series(name, letters, shape))
    except UnsafeZarr:
        raise
    except _BROKEN:
        found = []
    if not found:
        raise ValueError(
            f"{path.name} holds no OME-Zarr image: give the folder of one image in it."
        )
    return found


def images_of_zarr(path: Path) -> list[Path]:
    """Return the folders of the images in a plate or collection; of an image its own."""
    return [path] if _is_array(path) else _inner_folders(path) or [path]


def read_zarr_provenance(path: Path) -> dict[str, Any]:
    """Return what made a Zarr image of ours, empty for others."""
    try:
        return read_provenance([_attributes(path).get(KEY, "")])
    except ValueError:
        return {}


def _is_array(path: Path) -> bool:
    if (path / ".zarray").exists():
        return True
    try:
        record = read_json(path / "zarr.json")
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("node_type") == "array"


def _attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a group, empty where it has none."""
    try:
        if (path / "zarr.json").exists():
            attributes = read_json(path / "zarr.json").get("attributes", {})
        else:
            attributes = read_json(path / ".zattrs") if (path / ".zattrs").exists() else {}
    except (OSError, ValueError, AttributeError):
        raise ValueError(_damaged(path)) from None
    return attributes if isinstance(attributes, dict) else {}


def _inner_folders(path: Path) -> list[Path]:
    """Return the images of a plate, a well or a bioformats2raw collection, none of other folders.

    Raises
    ------
    ValueError
        If the list of them is damaged, or leads out of the folder.
    """
    attributes = _attributes(path)
    ome = attributes.get("ome", attributes)
    try:
        if "plate" in ome:
            wells = [_inside(path, well["path"]) for well in ome["plate"]["wells"]]
            return [image for well in wells for image in _inner_folders(well)]
        if "well" in ome:
            return [_inside(path, image["path"]) for image in ome["well"]["images"]]
        if "bioformats2raw.layout" in ome and "multiscales" not in ome:
            return _collected(path)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise ValueError(_damaged(path)) from None
    return []


def _collected(path: Path) -> list[Path]:
    """Return the images that bioformats2raw lists, or those numbered from 0 on."""
    listed = _attributes(path / "OME") if (path / "OME").is_dir() else {}
    series = listed.get("ome", listed).get("series")
    if isinstance(series, list):
        return [_inside(path, one) for one in series]
    numbers = sorted(int(one.name) for one in path.iterdir() if one.name.isdecimal())
    return [path / str(number) for number in numbers]


def _inside(folder: Path, place: Any) -> Path:
    """Return a place that a file names, which must lie in its folder."""
    parts = PurePosixPath(str(place)).parts
    if not parts or any(part in ("..", "/") or ":" in part or "\\" in part for part in parts):
        raise ValueError(_damaged(folder))
    return folder.joinpath(*parts)


def _level(folder: Path, scales: Any) -> Path:
    """Return where the pixels of the finest level lie."""
    return _inside(folder, scales["datasets"][0]["path"])


def _open_array(path: Path, owner: Path) -> Any:
    """Open an array of a folder whose codecs are known; see `napari_dip.files.zarr_codecs`."""
    zarr = import_zarr()
    try:
        check_array(path)
        return ZarrPixels(zarr.open_array(plain_store(path), mode="r"), owner)
    except UnsafeZarr as error:
        raise UnsafeZarr(f"{owner.name} {error}; convert it with another program.") from None
    except _BROKEN:
        raise ValueError(_damaged(owner)) from None


def _damaged(path: Path) -> str:
    return f"{path.name} is a damaged Zarr folder; copy it again from its source."


def _scale(scales: Any, ndim: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return size and place of the first pixel: those of a level, then those of all levels."""
    size, shift = np.ones(ndim), np.zeros(ndim)
    for node in (scales["datasets"][0], scales):
        for step in node.get("coordinateTransformations") or ():
            if step.get("type") == "scale":
                factors = np.asarray([positive(s) or 1.0 for s in step["scale"]], dtype=float)
                size, shift = size * factors, shift * factors
            if step.get("type") == "translation":
                shift = shift + np.nan_to_num(np.asarray(step["translation"], dtype=float))
    return tuple(size.tolist()), tuple(shift.tolist())


def _omero_channels(ome: Any) -> tuple[dict[str, Any], ...]:
    """Return the colours and windows of channels, as `Details` has them."""
    try:
        channels = list(ome["omero"]["channels"])
    except (KeyError, TypeError):
        return ()
    found: list[dict[str, Any]] = []
    for channel in channels:
        about: dict[str, Any] = {}
        try:
            colour = str(channel.get("color", "")).lstrip("#").upper()
            if len(colour) == 6 and set(colour) <= set("0123456789ABCDEF"):
                about["Color"] = colour
            if channel.get("inverted") is True:
                about["Inverted"] = True
            window = channel.get("window") or {}
            ends = float(window["start"]), float(window["end"])
            if np.isfinite(ends).all():
                about["Range"] = ends
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        found.append(about)
    return tuple(found)


OME_ZARR = Format(
    "OME-Zarr",
    (".zarr",),
    read_zarr,
    write_zarr,
    list_series=list_zarr_series,
    read_provenance=read_zarr_provenance,
    folder_signs=(".zarray", ".zgroup", "zarr.json", ".zattrs"),
    images_in=images_of_zarr,
    options=("compression", "ome_zarr"),
)
