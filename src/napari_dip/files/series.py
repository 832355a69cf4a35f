"""The images of a file that holds several: series of a TIFF, positions, scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_dip.images.image import printable_name

if TYPE_CHECKING:
    from collections.abc import Sequence

LISTED = 8  # images that a sentence names


class SeriesError(ValueError):
    """No image of a file was chosen, or one that is not there."""


class Series(NamedTuple):
    """One of the images in a file.

    Attributes
    ----------
    name : str
        What the file calls it, empty where it does not.
    axes : str
        A letter an axis, as the file says.
    shape : tuple of int
        Length of each axis.
    """

    name: str
    axes: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        name, axes = printable_name(self.name), printable_name(self.axes)
        about = f"({axes} {' x '.join(map(str, self.shape))})".replace("( ", "(")
        return f"{name!r} {about}" if name else about


def choose_series(found: Sequence[Series], wanted: int | str | None, file: str) -> int:
    """Return the number of the image that is wanted; by default of the only one.

    Parameters
    ----------
    found : sequence of Series
        All images of the file.
    wanted : int or str, optional
        The number of one, from 0 on, or its name.
    file : str
        The file's name.

    Raises
    ------
    SeriesError
        If there is no such image, or if there are several and none was named; all are listed.
    """
    if wanted is None and len(found) == 1:
        return 0
    if wanted is None:
        raise SeriesError(
            f"{file} holds {len(found)} images: {_listed(found)}; choose one by number or name "
            "with `series` (--series)."
        )
    text = str(wanted).strip()
    numbers = [i for i, one in enumerate(found) if one.name and one.name == text]
    if text.isdecimal() and int(text) < len(found) and not numbers:
        numbers = [int(text)]
    if len(numbers) != 1:
        many = f"has {len(numbers)} images of the name" if numbers else "holds no image"
        raise SeriesError(
            f"{file} {many} {printable_name(text)!r}: there are {_listed(found)}; give `series` "
            "(--series) the number of one."
        )
    return numbers[0]


def _listed(found: Sequence[Series]) -> str:
    named = [f"{number} {one}" for number, one in enumerate(found[:LISTED])]
    more = [f"{len(found) - LISTED} more"] if len(found) > LISTED else []
    return ", ".join([*named, *more])
