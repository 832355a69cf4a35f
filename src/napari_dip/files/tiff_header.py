"""What the tags of a TIFF say: plain ones, those of ImageJ, OME, LSM and STK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import tifffile

from napari_dip.files.imagej_display import read_display
from napari_dip.files.ome_xml import ome_calibration, ome_header
from napari_dip.files.pixel_sizes import (
    LENGTHS,
    Calibration,
    convert,
    imagej_calibration,
    positive,
)
from napari_dip.files.provenance import without_record
from napari_dip.images.details import Details
from napari_dip.images.units import clean_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

PRINTERS = (72, 96, 150, 180, 240, 300, 600, 1200)
"""Pixels per inch that stand in files which nobody has measured."""

LARGEST_OF_INCHES = 25.0  # um; larger pixels per inch come from cameras, scanners and printers


@dataclass(frozen=True)
class Header:
    """Sizes, texts that may hold our record, names of channels or planes, how it is shown."""

    calibration: Calibration = field(default_factory=dict)
    texts: Sequence[object] = ()
    channels: tuple[str, ...] = ()
    labels: object = None
    details: Details = field(default_factory=Details)


def read_header(tif: tifffile.TiffFile, number: int = 0) -> Header:
    """Return what the tags say of the image of that number."""
    if tif.is_ome:
        ome = ome_header(tif.ome_metadata or "", number)
        return Header(ome.calibration, ome.comments, ome.channels, details=ome.details)
    if tif.is_imagej:
        metadata = tif.imagej_metadata or {}
        info = metadata.get("Info", "")
        texts = info if isinstance(info, list) else [info]
        count = metadata.get("channels", 1)
        shown = read_display(metadata, count if isinstance(count, int) and 0 < count < 99 else 1)
        calibration = imagej_calibration({**metadata, **_resolution(tif)})
        note = without_record("\n".join(str(text) for text in texts))
        details = replace(shown, note=note)
        return Header(calibration, texts, labels=metadata.get("Labels"), details=details)
    if tif.is_lsm:
        return _lsm(tif.lsm_metadata or {})
    if tif.is_stk:
        return Header(_stk_calibration(tif.stk_metadata or {}))
    return Header(_plain_calibration(tif))


def is_inverted(page: tifffile.TiffPage) -> bool:
    """Return whether zero is shown white."""
    return page.photometric == tifffile.PHOTOMETRIC.MINISWHITE


def _resolution(tif: tifffile.TiffFile) -> dict[str, Any]:
    tags = tif.pages.first.tags
    names = ("XResolution", "YResolution", "ResolutionUnit")
    return {name.lower(): tags.valueof(name) for name in names}


def _plain_calibration(tif: tifffile.TiffFile) -> Calibration:
    """Return the size of pixels per centimetre or inch, or in the unit that the description names.

    Resolutions for printers are none.
    """
    if tif.is_shaped and (shaped := tif.shaped_metadata):
        found = ome_calibration(shaped[0]) or imagej_calibration(
            {**shaped[0], **({"unit": shaped[0]["unit"]} if "unit" in shaped[0] else {})}
        )
        if found:
            return found
    tags = _resolution(tif)
    text = str(getattr(tif.pages.first, "description", ""))[:4096]
    lines = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    unit = clean_unit(lines.get("unit", ""))
    if unit in LENGTHS:
        return imagej_calibration({**lines, "unit": unit, **tags})
    sizes = {"X": positive(tags["xresolution"]), "Y": positive(tags["yresolution"])}
    per = {2: "inch", 3: "cm"}.get(tags["resolutionunit"] or 2)
    found = {}
    for axis, density in sizes.items():
        size = convert(1 / density, per, "um") if density and per else None
        if size is None or size <= 0 or density is None:
            return {}
        dots = 25400 / size
        printed = any(abs(dots / usual - 1) < 0.01 for usual in PRINTERS)
        if printed or (per == "inch" and size > LARGEST_OF_INCHES) or density == 1:
            return {}
        found[axis] = (float(f"{size:.6g}"), "um")
    return found


def _lsm(about: Mapping[str, Any]) -> Header:
    """Return what Zeiss LSM says: sizes in metres, seconds, colours and names of channels."""
    found: Calibration = {}
    for axis in "XYZ":
        if size := positive(about.get(f"VoxelSize{axis}")):
            found[axis] = (float(f"{size * 1e6:.9g}"), "um")
    if step := positive(about.get("TimeIntervall", about.get("TimeInterval"))):
        found["T"] = (step, "s")
    shown = about.get("ChannelColors") or {}
    names = tuple(str(name) for name in shown.get("ColorNames", ()))
    colours = [tuple(int(part) for part in colour[:3]) for colour in shown.get("Colors", ())]
    channels = tuple({"Color": "{:02X}{:02X}{:02X}".format(*colour)} for colour in colours)
    return Header(found, channels=names, details=Details(channels=channels))


def _stk_calibration(about: Mapping[str, Any]) -> Calibration:
    """Return what MetaMorph STK says."""
    found: Calibration = {}
    unit = clean_unit(about.get("CalibrationUnits", ""))
    for axis in "XY":
        size = positive(about.get(f"{axis}Calibration"))
        if size and unit in LENGTHS:
            found[axis] = (size, unit)
    steps = about.get("ZDistance")
    first = positive(float(steps[0])) if steps is not None and len(steps) else None
    if first:
        found["Z"] = (first, "um")
    taken = about.get("TimeCreated")  # milliseconds of a day
    if taken is not None and len(taken) > 1:
        step = (float(taken[-1]) - float(taken[0])) / (1000 * (len(taken) - 1))
        found |= {"T": (step, "s")} if step > 0 else {}
    return found
