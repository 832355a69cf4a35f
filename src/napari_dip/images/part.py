"""A part of an image: some of its channels, time points and planes; read lazily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_dip.images.lazy_array import LazyArray, as_slice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.images.details import Details

Places = int | str | None
AnyImage = TypeVar("AnyImage", bound=Any)  # an Image, whose class imports this file
AXES = {"channel": "C", "time": "T", "plane": "Z"}
WORDS = {"channel": "channel", "time": "time point", "plane": "plane", "series": "image"}


@dataclass(frozen=True)
class Part:
    """Which part of a file is wanted; None is all there is.

    Attributes
    ----------
    series : int or str, optional
        Which image of a file that holds several: number or name.
    channel : int or str, optional
        Numbers from 0 on, or names.
    time, plane : int or str, optional
        Places along T and Z, such as ``3`` or ``"0, 3, 2:10"``. One alone takes the axis away.
    """

    series: Places = None
    channel: Places = None
    time: Places = None
    plane: Places = None

    def given(self) -> dict[str, int | str]:
        """Return what is asked for, as `napari_dip.read` takes it."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}

    def of_image(self) -> dict[str, int | str]:
        """Return the same without the series, as `napari_dip.Image.take` takes it."""
        return replace(self, series=None).given()

    def along(self, axes: str) -> Part:
        """Return what of it asks for places along these axes, and the series."""
        return replace(self, **{what: None for what, axis in AXES.items() if axis not in axes})


WHOLE = Part()


def take_part(image: AnyImage, wanted: Mapping[str, int | str]) -> AnyImage:
    """Return the channels, time points and planes that are wanted; what is left out is a remark.

    Parameters
    ----------
    image : Image
        The whole.
    wanted : mapping
        Of `Part.given`, without ``series``.

    Raises
    ------
    ValueError
        For what the image does not have.
    """
    keys: dict[int, int | Sequence[int]] = {}
    details = image.details
    taken: dict[str, Any] = {}
    names = image.channels
    for what, text in wanted.items():
        axis = image.axes.find(AXES[what])
        length = image.shape[axis] if axis >= 0 else 1
        of = names if what == "channel" else ()
        try:
            chosen = find_places(text, length, what, of, image.name)
        except ValueError:
            if axis >= 0:
                raise
            raise ValueError(
                f"{image.name or 'The image'} has the axes {image.axes} and one {WORDS[what]}: "
                f"leave {what} out, or give 0."
            ) from None
        if axis < 0:
            continue
        keys[axis] = chosen
        places = [chosen] if isinstance(chosen, int) else list(chosen)
        details = details.take(AXES[what], places)
        if what == "channel":
            names = tuple(names[i] for i in places) if names else ()
            if image.is_rgb and not isinstance(chosen, int) and len(places) < length:
                raise ValueError("Of the colours of an RGB image one can be taken, or all.")
        if len(places) < length:
            taken[what] = {"taken": format_places(places), "of": length}
            if what == "channel" and names:
                taken[what]["names"] = list(names)
    if not keys:
        return image
    return note_part(_with_keys(image, keys, details, channels=names), taken)


def _with_keys(
    image: AnyImage, keys: Mapping[int, int | Sequence[int]], details: Details, **more: Any
) -> AnyImage:
    """Return the image with places along its axes; one place takes the axis away."""
    kept = [i for i in range(len(image.axes)) if not isinstance(keys.get(i), int)]
    scale, origin = list(image.scale), dict(details.origin)
    for i, places in keys.items():
        letter = image.axes[i]
        if isinstance(places, int) or letter == "C":
            continue
        origin[letter] = origin.get(letter, 0.0) + places[0] * scale[i]
        if (even := as_range(places)) and image.units[i] != "pixel":
            scale[i] *= even.step
    part: AnyImage = image.with_pixels(
        _pixels(image.pixels, keys),
        axes="".join(image.axes[i] for i in kept),
        scale=tuple(scale[i] for i in kept),
        units=tuple(image.units[i] for i in kept),
        details=replace(details, origin={a: at for a, at in origin.items() if at}),
        **more,
    )
    return part


def note_part(image: AnyImage, taken: Mapping[str, Any]) -> AnyImage:
    """Return the image with what of a whole it is, as a remark and in its provenance.

    `taken` has for each kind of thing what is ``taken``, ``of`` how many, and their ``names``.
    """
    if not taken:
        return image
    before = image.provenance.get("part")
    part = {**(before if isinstance(before, dict) else {}), **taken}
    remarks = (*image.remarks, left_out(taken))
    return replace(image, provenance={**image.provenance, "part": part}, remarks=remarks)


def left_out(taken: Mapping[str, Any]) -> str:
    """Say what was taken of how much, as a remark."""
    return f"Only a part was taken: {describe_part(taken)} (counted from 0); the rest is left out."


def describe_part(taken: Mapping[str, Any]) -> str:
    """Return what was taken of how much, as `note_part` keeps it; nothing of what is no such."""
    said = []
    for what, one in taken.items():
        if what not in WORDS or not isinstance(one, Mapping):  # a file may hold anything
            continue
        names = one.get("names") or ()
        named = f" ({', '.join(map(str, names))})" if names else ""
        several = "s" if not str(one.get("taken")).isdecimal() else ""
        said.append(f"{WORDS[what]}{several} {one.get('taken')}{named} of {one.get('of')}")
    return ", ".join(said)


def find_places(
    text: int | str, length: int, what: str, names: Sequence[str] = (), file: str = ""
) -> int | Sequence[int]:
    """Return the one place that is named, or several in their order.

    Parameters
    ----------
    text : int or str
        Numbers from 0 on (from the end, where negative), names, and ranges without their end, such
        as ``"0, 3, 2:10"``.
    length : int
        How many there are.
    what : str
        Of what: a key of `WORDS`.
    names : sequence of str
        Their names, where they have some.
    file : str
        Where, for the message.

    Raises
    ------
    ValueError
        For what is not there.
    """
    whole = str(text).strip()
    if (named := _place_of_name(whole, names)) is not None:
        return named
    found: set[int] = set()
    for word in whole.split(","):
        places = _places_of(word.strip(), length, names)
        if not places:
            there = f"0 to {length - 1}" if length > 1 else "0 alone"
            called = f" ({', '.join(names)})" if any(names) else ""
            raise ValueError(
                f"{file or 'The image'} has no {WORDS[what]} {word.strip()!r}: there is "
                f"{there}{called}; give {what} numbers, a range such as 2:10, or several with "
                "commas."
            )
        if len(places) == 1 and whole == word and ":" not in word:
            return places[0]
        found.update(places)
    return sorted(found)


def _place_of_name(word: str, names: Sequence[str]) -> int | None:
    """Return the place of a name that only one has; small letters will do where that is so too."""
    for wanted, given in ((word, list(names)), (word.lower(), [name.lower() for name in names])):
        if wanted and given.count(wanted) == 1:
            return given.index(wanted)
    return None


def _places_of(word: str, length: int, names: Sequence[str]) -> Sequence[int]:
    if (named := _place_of_name(word, names)) is not None:
        return [named]
    try:
        numbers = [int(n) if n.strip() else None for n in word.split(":")]
        if len(numbers) == 1 and numbers[0] is not None:
            return [range(length)[numbers[0]]]
        return range(length)[slice(*numbers)] if 1 < len(numbers) < 4 else ()
    except (ValueError, IndexError):
        return ()


def format_places(places: Sequence[int]) -> str:
    """Write places as `find_places` takes them."""
    runs = [
        [place for _, place in run] for _, run in groupby(enumerate(places), lambda p: p[1] - p[0])
    ]
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}:{r[-1] + 1}" for r in runs)


def _pixels(pixels: Any, keys: Mapping[int, int | Sequence[int]]) -> Any:
    """Index pixels without reading them: numpy and dask give views of slices by themselves."""
    slices = {axis: as_range(key) for axis, key in keys.items() if not isinstance(key, int)}
    has_views = isinstance(pixels, np.ndarray) or hasattr(pixels, "dask")
    if has_views and all(key is not None for key in slices.values()):
        index: list[Any] = [slice(None)] * len(pixels.shape)
        for axis, key in keys.items():
            places = slices.get(axis)
            index[axis] = key if places is None else as_slice(places)
        return pixels[tuple(index)]
    dropped = tuple(axis for axis, key in keys.items() if isinstance(key, int))
    chosen = {axis: [key] if isinstance(key, int) else key for axis, key in keys.items()}
    return PartOf(pixels, chosen, dropped)


def as_range(places: Sequence[int]) -> range | None:
    """Return evenly spaced places as a range, None for others."""
    if isinstance(places, range):
        return places
    steps = {b - a for a, b in pairwise(places)}
    if len(steps) > 1 or not places or 0 in steps:
        return None
    step = steps.pop() if steps else 1
    return range(places[0], places[-1] + step, step)


class PartOf(LazyArray):
    """Places along axes of an array-like, read when they are wanted.

    Parameters
    ----------
    pixels : array-like
        The whole.
    places : mapping
        By axis, those that are taken; of other axes all are.
    dropped : sequence of int
        Axes of one place that are left out of the shape.
    """

    def __init__(
        self,
        pixels: Any,
        places: Mapping[int, Sequence[int]],
        dropped: Sequence[int] = (),
    ) -> None:
        self.base = pixels
        lengths = [len(places.get(i, range(n))) for i, n in enumerate(pixels.shape)]
        self._kept = [i for i in range(len(lengths)) if i not in dropped]
        self.shape, self.dtype = tuple(lengths[i] for i in self._kept), np.dtype(pixels.dtype)
        self._places = [places.get(i, range(n)) for i, n in enumerate(pixels.shape)]

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        wanted = dict(zip(self._kept, ranges, strict=True))
        taken = [
            places[as_slice(wanted.get(axis, range(1)))] for axis, places in enumerate(self._places)
        ]
        return self._gather(taken).reshape([len(places) for places in ranges])

    def _gather(self, taken: Sequence[Sequence[int]]) -> NDArray[Any]:
        """Read places that are evenly spaced at once, and others one by one."""
        evenly = [as_range(places) for places in taken]
        for axis, places in enumerate(evenly):
            if places is None:
                parts = [
                    self._gather([*taken[:axis], range(i, i + 1), *taken[axis + 1 :]])
                    for i in taken[axis]
                ]
                return np.concatenate(parts, axis)
        key = tuple(as_slice(places) for places in evenly if places is not None)
        return np.asarray(self.base[key])
