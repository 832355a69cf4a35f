"""The names of channels, as OME, ImageJ and OME-Zarr keep them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import printable_name

if TYPE_CHECKING:
    from napari_dip.images.image import Image


def fitting_names(names: Iterable[object], axes: str, shape: Sequence[int]) -> tuple[str, ...]:
    """Return the printable part of names that are as many as the channels, else none."""
    if len(axes) != len(shape):
        return ()
    found = tuple(printable_name("" if name is None else str(name)) for name in names)
    count = 0 if axes.endswith("C") else shape[axes.index("C")] if "C" in axes else 1
    return found if len(found) == count and any(found) else ()


def names_from_labels(labels: object, axes: str, shape: Sequence[int]) -> tuple[str, ...]:
    """Read ImageJ's labels, one a plane: those that are the same in all planes of a channel."""
    labels = [labels] if isinstance(labels, str) else labels  # as tifffile has a single one
    if not isinstance(labels, list | tuple) or axes.endswith("C"):
        return ()
    lengths = {a: n for a, n in zip(axes, shape, strict=True) if a not in "YXS"}
    if int(np.prod(list(lengths.values()), dtype=int)) != len(labels):
        return ()
    names: dict[int, set[str]] = {}
    for place, label in zip(np.ndindex(*lengths.values()), labels, strict=True):
        channel = dict(zip(lengths, place, strict=True)).get("C", 0)
        names.setdefault(channel, set()).add(str(label))
    same = (found.pop() if len(found) == 1 else "" for found in names.values())
    return fitting_names(same, axes, shape)


def imagej_labels(image: Image) -> list[str]:
    """Return ImageJ's labels, one a plane in its order; none where the channels have no names."""
    if not image.channels:
        return []
    axes = [a for a in "TZC" if a in image.axes]
    places = np.ndindex(*(image.shape[image.axes.index(a)] for a in axes))
    return [image.channels[place[axes.index("C")] if "C" in axes else 0] for place in places]


def names_from_omero(attributes: Any) -> list[object]:
    """Return OME-Zarr's channel labels, none where they are `default_names`."""
    try:
        labels = [channel.get("label", "") for channel in attributes["omero"]["channels"]]
    except (KeyError, TypeError, AttributeError):
        return []
    return [] if labels == default_names(len(labels)) else labels


def default_names(count: int) -> list[object]:
    """Number channels that have no names."""
    return [f"C{i}" for i in range(count)]
