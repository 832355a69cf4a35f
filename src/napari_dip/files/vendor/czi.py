"""CZI of Zeiss, by pylibCZIrw, the maker's own library (LGPL-3.0)."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.pixel_sizes import Calibration, positive
from napari_dip.files.vendor.scene import (
    Place,
    Scene,
    Unsupported,
    hex_colour,
    parse_xml,
    vendor_format,
)
from napari_dip.images.details import Details

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

_TYPES = {
    "Gray8": "uint8",
    "Gray16": "uint16",
    "Gray32Float": "float32",
    "Bgr24": "uint8",
    "Bgr48": "uint16",
    "Bgr96Float": "float32",
}
# Of OME's Channel, and the element of CZI that holds it.
_NUMBERS = ("EmissionWavelength", "ExcitationWavelength", "PinholeSize")


def open_czi(path: Path) -> list[Scene]:
    """Describe the scenes of a CZI file; tiles of a scene are put together by the library."""
    reader = _open(path)
    boxes = _boxes(reader)
    kinds = {reader.pixel_types[i] for i in reader.pixel_types}
    dtype = np.result_type(*(_TYPES[kind] for kind in kinds))
    colour = {"S": 3} if any(kind.startswith("Bgr") for kind in kinds) else {}
    header = parse_xml(reader.raw_metadata)
    calibration = _calibration(header)
    regions = dict(reader.scenes_bounding_rectangle) or {None: reader.total_bounding_rectangle}
    scenes = []
    for number, region in regions.items():
        box = boxes[number]
        read = partial(_plane, reader, box, number, tuple(region), bool(colour))
        sizes = {a: high - low for a, (low, high) in box.items()}
        names, details = _channels(header, slice(*box.get("C", (0, 1))))
        sizes |= {"Y": region.h, "X": region.w, **colour}
        name = _scene_name(header, number) if len(regions) > 1 else ""
        scenes.append(Scene(name, sizes, dtype, read, calibration, names, details, reader.close))
    return scenes


def _open(path: Path) -> Any:
    """Open a file with the library, but without its copy of each plane to look at the shape."""
    from pylibCZIrw import czi

    class Reader(czi.CziReader):  # type: ignore[misc]
        @classmethod
        def _get_array_from_bitmap(cls, pixel_data: Any) -> NDArray[Any]:
            return np.asarray(pixel_data)

    return Reader(str(path))


def _boxes(reader: Any) -> dict[int | None, dict[str, tuple[int, int]]]:
    """Return from where to where T, Z and C go in each scene.

    Refuses more axes, and planes without any pixels, which the library would return black.
    """
    stack = [a for a in "TZC" if a in reader.total_bounding_box]
    found: dict[int | None, set[tuple[int, ...]]] = {}
    others: dict[str, set[int]] = {}

    def look(number: int, block: Any) -> bool:
        place = block.coordinate.to_dict()
        found.setdefault(place.get("S"), set()).add(tuple(place.get(a, 0) for a in stack))
        for axis, at in place.items():
            others.setdefault(axis, set()).add(at)
        return True

    reader.enumerate_subblocks(look)
    lengths = {axis: len(numbers) for axis, numbers in others.items() if len(numbers) > 1}
    if set(lengths) - set("TZCS"):  # phases, rotations, views
        raise Unsupported.axes(lengths, "TZCS")
    boxes: dict[int | None, dict[str, tuple[int, int]]] = {}
    for scene, places in found.items():
        along = zip(stack, zip(*places, strict=True), strict=True)
        boxes[scene] = {axis: (min(at), max(at) + 1) for axis, at in along}
    count = sum(prod(high - low for low, high in box.values()) for box in boxes.values())
    if missing := count - sum(map(len, found.values())):
        raise Unsupported.missing(missing, count)
    return boxes


def _plane(
    reader: Any,
    box: dict[str, tuple[int, int]],
    scene: int | None,
    region: tuple[int, ...],
    colour: bool,
    place: Place,
) -> NDArray[Any]:
    """Read a plane; the library stores blue first."""
    plane = {a: low + place.get(a, 0) for a, (low, _) in box.items()}
    pixels = reader.read(plane=plane, scene=scene, roi=region)
    return np.asarray(pixels[:, :, ::-1] if colour else pixels[:, :, 0])


def _scene_name(header: Element, number: int | None) -> str:
    scene = header.find(f".//Dimensions/S/Scenes/Scene[@Index='{number}']")
    return f"scene {number}" if scene is None else scene.get("Name") or f"scene {number}"


def _calibration(header: Element) -> Calibration:
    found: Calibration = {}
    for axis in "XYZ":
        metres = positive(header.findtext(f".//Scaling/Items/Distance[@Id='{axis}']/Value"))
        if metres:
            found[axis] = (round(metres * 1e6, 12), "um")
    step = positive(header.findtext(".//Dimensions/T/Positions/Interval/Increment"))
    return found | ({"T": (step, "s")} if step else {})


def _channels(header: Element, taken: slice) -> tuple[tuple[str, ...], Details]:
    """Return the names of some channels, and what else is said of them."""
    names, about = [], []
    for channel in header.findall(".//Information/Image/Dimensions/Channels/Channel")[taken]:
        names.append(channel.get("Name", ""))
        shown = header.find(f".//DisplaySetting/Channels/Channel[@Id='{channel.get('Id')}']")
        colour = channel.findtext("Color") or (shown.findtext("Color") if shown is not None else "")
        found: dict[str, Any] = {"Color": hex_colour(colour)} if hex_colour(colour) else {}
        for key in _NUMBERS:
            if number := positive(channel.findtext(key)):
                found[key] = number
        about.append(found)
    date = (header.findtext(".//Information/Image/AcquisitionDateAndTime") or "")[:40]
    return tuple(names), Details(date=date, channels=tuple(about))


CZI = vendor_format("CZI", (".czi",), "pylibCZIrw", open_czi)
