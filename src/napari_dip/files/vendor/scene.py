"""`Scene`: one image in a vendor's file; what all vendors' formats have in common.

A library is asked for one plane at a time, and only when its pixels are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import finalize
from xml.etree import ElementTree

import numpy as np

from napari_dip.files.asked_axes import new_names, take_axes
from napari_dip.files.channel_names import fitting_names
from napari_dip.files.format import Format
from napari_dip.files.pixel_sizes import Calibration, scale_and_units
from napari_dip.files.raised_by import is_bug
from napari_dip.files.series import Series, choose_series
from napari_dip.images.details import Attributes, Details
from napari_dip.images.image import Image, printable_name
from napari_dip.images.lazy_array import LazyArray, as_slice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Place = dict[str, int]


def _nothing() -> None:
    """Leave a file to the collector of garbage."""


class Unsupported(ValueError):
    """A sound file that is not read; the text says why, after the file's name."""

    @classmethod
    def axes(cls, sizes: Mapping[str, int], known: str) -> Unsupported:
        """Return the refusal of a file with axes that an image here has not."""
        more = ", ".join(f"{printable_name(a)} ({n})" for a, n in sizes.items() if a not in known)
        return cls(f"has more axes than T, Z, C, Y and X: {more}; save them apart as OME-TIFF.")

    @classmethod
    def missing(cls, missing: int, count: int) -> Unsupported:
        """Return the refusal of a file that lacks planes, which its library would make up."""
        return cls(
            f"lacks {missing} of its {count} planes, as after an acquisition that was stopped: "
            "save those that are there as OME-TIFF."
        )


@dataclass(frozen=True)
class Scene:
    """One image in a vendor's file.

    Attributes
    ----------
    name : str
        What the file calls it.
    sizes : dict
        The length of T, Z and C in the file's order, as far as it has them, and of Y and X; of a
        colour image ``S``, the number of colours, last.
    dtype : dtype
        Of a pixel.
    plane : callable
        Takes a place along T, Z and C, and returns that plane: (Y, X) or (Y, X, colours).
    calibration : dict
        Size and unit of a pixel by axis letter.
    channels : tuple of str
        Names of the channels.
    details : Details
        What else the file says.
    close : callable
        Closes the file.
    planes_details : callable
        Returns the `planes` of the details; asked for of the image that is read alone, as a library
        may read them one by one.
    """

    name: str
    sizes: dict[str, int]
    dtype: np.dtype[Any]
    plane: Callable[[Place], NDArray[Any]]
    calibration: Calibration = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    details: Details = field(default_factory=Details)
    close: Callable[[], object] = _nothing
    planes_details: Callable[[], Mapping[tuple[int, int, int], Attributes]] = dict

    @property
    def axes(self) -> str:
        """A letter an axis; those of length 1 are left out, as a TIFF's are."""
        letters = [a for a, n in self.sizes.items() if a in "YX" or (n > 1 and a in "TZC")]
        return "".join(letters) + ("C" if self.sizes.get("S", 1) > 1 else "")

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        stack = tuple(self.sizes[a] for a in self.axes if a != "C" or "S" not in self.sizes)
        return (*stack, self.sizes["S"]) if self.sizes.get("S", 1) > 1 else stack


class ScenePixels(LazyArray):
    """The pixels of a scene: each plane is read when it is wanted.

    The file is closed when nobody has them any more.
    """

    def __init__(self, scene: Scene, damaged: str) -> None:
        self.scene, self.damaged = scene, damaged
        self.shape, self.dtype = scene.shape, scene.dtype
        self._lock = Lock()  # libraries seek in one open file
        finalize(self, scene.close)

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        letters = self.scene.axes
        count = letters.index("Y")
        lengths = [len(places) for places in ranges]
        part = tuple(as_slice(places) for places in ranges[count:])
        if lengths[:count] == [1] * count:  # one plane, without a copy
            return self._plane({a: r[0] for a, r in zip(letters, ranges, strict=False)})[
                (None,) * count + part
            ]
        out = np.empty(lengths, self.dtype)
        for at in np.ndindex(out.shape[:count]):
            place = {a: r[i] for a, r, i in zip(letters, ranges, at, strict=False)}
            out[at] = self._plane(place)[part]
        return out

    def _plane(self, place: Place) -> NDArray[Any]:
        """Return a plane as the library reads it."""
        letters = self.scene.axes
        there = {a: n for a, n in place.items() if letters.index(a) < letters.index("Y")}
        try:
            with self._lock:
                page = np.asarray(self.scene.plane(there), self.dtype)
        except Exception as error:  # a damaged file can raise anything in a library
            if is_bug(error):
                raise
            raise ValueError(self.damaged) from error
        if page.shape != self.shape[letters.index("Y") :]:
            raise ValueError(self.damaged)
        return page


def vendor_format(
    name: str,
    suffixes: tuple[str, ...],
    package: str,
    open_scenes: Callable[[Path], list[Scene]],
    companions: str = "",
) -> Format:
    """Return the record of a format that a library reads.

    Parameters
    ----------
    name, suffixes, companions
        As `Format` has them.
    package : str
        What is to be installed.
    open_scenes : callable
        Opens a file with that library and describes the images in it, without their pixels.
    """
    opened = partial(_scenes, name, package, open_scenes)
    return Format(
        name,
        suffixes,
        partial(_read_scene, opened, name),
        list_series=partial(_list_scenes, opened),
        companions=companions,
        files_of=partial(_files_of, companions) if companions else None,
    )


def _scenes(
    name: str, package: str, open_scenes: Callable[[Path], list[Scene]], path: Path
) -> list[Scene]:
    """Open a file; what goes wrong in the library becomes one sentence."""
    try:
        scenes = open_scenes(path)
    except ImportError:
        raise ValueError(
            f"{path.name} is a file in the format {name}, read with the package {package}: "
            'pip install "napari-dip[vendor]"; or save it as OME-TIFF with Fiji (Bio-Formats '
            "Exporter)."
        ) from None
    except Unsupported as error:
        raise ValueError(f"{path.name} {error}") from None
    except Exception as error:  # a damaged file can raise anything in a library
        if is_bug(error):
            raise
        raise ValueError(_damaged(name, path)) from error
    if not scenes or any(0 in one.shape for one in scenes):
        raise ValueError(_damaged(name, path))
    return scenes


def _files_of(companions: str, path: Path) -> list[Path]:
    """Return a file and those in the folder that belongs to it."""
    folder = path.with_name(path.name + companions)
    return [path, *sorted(one for one in folder.rglob("*") if one.is_file())]


def _damaged(name: str, path: Path) -> str:
    return (
        f"{path.name} could not be read: it is a damaged {name} file, cut short, or of a kind that "
        "the library does not know; copy it again, or save it as OME-TIFF with Fiji."
    )


def _list_scenes(opened: Callable[[Path], list[Scene]], path: Path) -> list[Series]:
    scenes = opened(path)
    scenes[0].close()
    return [Series(one.name, one.axes, one.shape) for one in scenes]


def _read_scene(
    opened: Callable[[Path], list[Scene]],
    kind: str,
    path: Path,
    axes: str | None = None,
    series: int | str | None = None,
) -> Image:
    scenes = opened(path)
    listed = [Series(one.name, one.axes, one.shape) for one in scenes]
    try:
        number = choose_series(listed, series, path.name)
    except ValueError:
        scenes[0].close()
        raise
    scene = scenes[number]
    name = path.name.split(".")[0] or path.stem
    if len(scenes) > 1:
        name = f"{name} {printable_name(scene.name) or number}"
    damaged = _damaged(kind, path)
    try:
        details = replace(scene.details, planes=scene.planes_details())
    except Exception as error:  # as for pixels
        if is_bug(error):
            raise
        raise ValueError(damaged) from error
    if axes is not None:
        details = details.rename(new_names(scene.axes, scene.shape, axes.upper()))
    pixels, letters, remarks = take_axes(ScenePixels(scene, damaged), scene.axes, axes, path.name)
    return Image(
        pixels,
        letters,
        **scale_and_units(scene.calibration, letters),
        name=name,
        channels=fitting_names(scene.channels, letters, pixels.shape),
        details=details,
        remarks=remarks,
    )


def parse_xml(text: str) -> ElementTree.Element:
    """Parse a header; entities, which none of these formats has, could fill the memory."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a header with entities")
    return ElementTree.fromstring(text)


def hex_colour(text: object) -> str:
    """Return six hexadecimal digits of a colour such as ``#FF00FF00``, alpha first, else ''."""
    digits = str(text).lstrip("#").upper()[-6:]
    return digits if len(digits) == 6 and set(digits) <= set("0123456789ABCDEF") else ""
