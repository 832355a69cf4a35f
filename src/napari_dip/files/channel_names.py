"""The names of channels, as OME, ImageJ and OME-Zarr keep them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from napari_dip.images.image import printable_name

if TYPE_CHECKING:
    from napari_dip.images.image import Image

_ORDER = "TZC"  # of ImageJ's planes


def named(names: Iterable[object], axes: str, shape: Sequence[int]) -> tuple[str, ...]:
    """Return names that fit an image, none where they do not.

    Headers are written by strangers: of a name only what can be printed is kept, and not more than 100 characters.
    """
    found = tuple(printable_name("" if name is None else str(name)) for name in names)
    count = 0 if axes.endswith("C") else shape[axes.index("C")] if "C" in axes else 1
    return found if len(found) == count and any(found) else ()


def names_of_labels(labels: object, axes: str, shape: Sequence[int]) -> tuple[str, ...]:
    """Read the names off ImageJ's labels, one a plane: those that are the same in all planes of a channel."""
    labels = (
        [labels] if isinstance(labels, str) else labels
    )  # as tifffile has it where there is one
    if not isinstance(labels, list | tuple) or axes.endswith("C"):
        return ()
    at = "".join(a for a in axes if a not in "YXS").find("C")
    lengths = [n for a, n in zip(axes, shape, strict=True) if a not in "YXS"]
    places = list(product(*(range(n) for n in lengths)))
    if len(places) != len(labels):
        return ()
    names: dict[int, set[str]] = {}
    for place, label in zip(places, labels, strict=True):
        names.setdefault(place[at] if at >= 0 else 0, set()).add(str(label))
    return named((found.pop() if len(found) == 1 else "" for found in names.values()), axes, shape)


def labels_of(image: Image) -> list[str]:
    """Return ImageJ's labels, one a plane in its order; none where the channels have no names."""
    if not image.channels:
        return []
    axes = [a for a in _ORDER if a in image.axes]
    places = product(*(range(image.shape[image.axes.index(a)]) for a in axes))
    return [image.channels[place[axes.index("C")] if "C" in axes else 0] for place in places]


def omero_names(attributes: Any) -> list[object]:
    """Return the labels of OME-Zarr's channels, none where they are only numbered, as ours are without names."""
    try:
        labels = [channel.get("label", "") for channel in attributes["omero"]["channels"]]
    except (KeyError, TypeError, AttributeError):
        return []
    return [] if labels == unnamed(len(labels)) else labels


def unnamed(count: int) -> list[object]:
    """Return what channels without names are called where they must be called something."""
    return [f"C{i}" for i in range(count)]
