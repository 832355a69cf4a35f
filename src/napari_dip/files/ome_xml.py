"""What OME-XML says of an image: sizes, names, colours, wavelengths, times, positions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from napari_dip.files.pixel_sizes import (
    LENGTHS,
    OME_SPELLING,
    TIMES,
    Calibration,
    Tags,
    positive,
)
from napari_dip.files.provenance import without_record
from napari_dip.images.details import Details
from napari_dip.images.image import printable_name
from napari_dip.images.units import clean_unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from napari_dip.images.image import Image

_OF_CHANNELS = (
    *("AcquisitionMode", "ContrastMethod", "EmissionWavelength", "EmissionWavelengthUnit"),
    *("ExcitationWavelength", "ExcitationWavelengthUnit", "Fluor", "IlluminationType"),
    *("NDFilter", "PinholeSize", "PinholeSizeUnit", "PockelCellSetting"),
)
_OF_PLANES = (
    *("DeltaT", "DeltaTUnit", "ExposureTime", "ExposureTimeUnit", "PositionX", "PositionXUnit"),
    *("PositionY", "PositionYUnit", "PositionZ", "PositionZUnit"),
)


@dataclass(frozen=True)
class OmeHeader:
    """What the header says of one image, and the comments in the file."""

    calibration: Calibration = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    details: Details = field(default_factory=Details)
    comments: tuple[str, ...] = ()


def ome_attributes(calibration: Calibration) -> Tags:
    """Return OME's PhysicalSize and TimeIncrement, leaving out units that OME does not know."""
    attributes: Tags = {}
    for axis, (size, unit) in calibration.items():
        is_length = unit in LENGTHS or (unit == "pixel" and size != 1)
        if axis in "XYZ" and is_length:
            name = f"PhysicalSize{axis}"
        elif axis == "T" and unit in TIMES:
            name = "TimeIncrement"
        else:
            continue
        attributes |= {name: size, f"{name}Unit": OME_SPELLING.get(unit, unit)}
    return attributes


def ome_calibration(attributes: Mapping[str, object]) -> Calibration:
    """Read a calibration off the attributes of OME's Pixels element."""
    names = {axis: (f"PhysicalSize{axis}", "um") for axis in "XYZ"} | {"T": ("TimeIncrement", "s")}
    found: Calibration = {}
    for axis, (name, default) in names.items():
        size = positive(attributes.get(name))
        if size:
            found[axis] = (size, clean_unit(attributes.get(f"{name}Unit", default)))
    return found


def ome_header(xml: str, number: int = 0) -> OmeHeader:
    """Read the header of an image; an empty one where it is damaged."""
    # OME-XML has neither of these; entities can be made to fill the memory.
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        return OmeHeader()
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        return OmeHeader()
    comments = tuple(node.text or "" for node in root.iterfind(".//{*}CommentAnnotation/{*}Value"))
    images = [one for one in root.iterfind(".//{*}Image") if one.find("{*}Pixels") is not None]
    if number >= len(images):
        return OmeHeader(comments=comments)
    image = images[number]
    pixels = image.find("{*}Pixels")
    assert pixels is not None
    channels = pixels.findall("{*}Channel")
    names = tuple(node.get("Name", "") for node in channels)
    details = Details(
        date=printable_name(image.findtext("{*}AcquisitionDate") or ""),
        channels=tuple(_channel(node) for node in channels),
        planes=_planes(pixels),
        note=without_record(image.findtext("{*}Description") or ""),
    )
    return OmeHeader(ome_calibration(pixels.attrib), names, details, comments)


def ome_details(image: Image) -> dict[str, Any]:
    """Return what tifffile writes of an image's names and details."""
    lengths = [image.shape[image.axes.index(a)] if a in image.axes else 1 for a in "TZC"]
    if image.is_rgb:
        lengths[2] = 1
    about = image.details.channels
    many = [dict(one) for one in about] if len(about) == lengths[2] else [{}] * lengths[2]
    names = image.channels or ("",) * lengths[2]
    channels = [
        {key: one[key] for key in _OF_CHANNELS if key in one}
        | ({"Name": name} if name else {})
        | ({"Color": _signed(one["Color"])} if "Color" in one else {})
        for one, name in zip(many, names, strict=True)
    ]
    places = [(t, z, c) for t, z, c in np.ndindex(*lengths)]
    planes = [
        {key: value for key, value in image.details.planes.get(at, {}).items() if key in _OF_PLANES}
        for at in places
    ]
    found: dict[str, Any] = {}
    if any(channels):
        found["Channel"] = channels
    if any(planes):
        found["Plane"] = planes
    if image.details.note:
        found["Description"] = image.details.note
    if image.details.date:
        found["AcquisitionDate"] = image.details.date
    return found


def _channel(node: Element) -> dict[str, Any]:
    found: dict[str, Any] = _kept(node, _OF_CHANNELS)
    try:
        colour = int(node.attrib["Color"]) & 0xFFFFFFFF  # red, green, blue, opacity
        found["Color"] = f"{colour >> 8:06X}"
    except (KeyError, ValueError):
        pass
    return found


def _planes(pixels: Element) -> dict[tuple[int, int, int], dict[str, Any]]:
    found = {}
    for node in pixels.iterfind("{*}Plane"):
        kept = _kept(node, _OF_PLANES)
        try:
            t, z, c = (int(node.get(f"The{axis}", "0")) for axis in "TZC")
        except ValueError:
            continue
        if kept:
            found[t, z, c] = kept
    return found


def _kept(node: Element, names: tuple[str, ...]) -> dict[str, Any]:
    """Return attributes as they are, but for what cannot be printed."""
    texts = {name: printable_name(node.get(name, "")) for name in names}
    return {name: text for name, text in texts.items() if text}


def _signed(colour: str) -> int:
    """Return a colour as OME counts it: 32 bits with a sign, opaque."""
    value = (int(colour, 16) << 8) | 0xFF
    return value - (1 << 32) if value >= 1 << 31 else value
