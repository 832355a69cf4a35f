"""`Format`: what there is to know about a file format, in one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np

    from napari_dip.files.series import Series
    from napari_dip.images.image import Image


def _no_provenance(path: Path) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Format:
    """A file format of images.

    Attributes
    ----------
    name : str
        What users call it.
    suffixes : tuple of str
        Endings of its files' names, lower case, with the dot.
    read : callable
        Takes the path and the axes asked for (None if the file is to say) and returns an `Image`.
        Of a format with `list_series` it takes the image asked for, too: its number or name, or
        None, and leaves the choice to `napari_dip.files.series.choose_series`. Raises ValueError
        for a damaged file.
    write : callable, optional
        Takes the path, an `Image` and the dtype to store, and returns the number of clipped values.
        The path is a temporary one without suffix. None for a format that is only read.
    check : callable, optional
        Takes an `Image` and a dtype and raises ValueError for what a file could not hold.
    list_series : callable, optional
        Takes the path and returns what images the file holds; None for a format whose files hold
        one each.
    read_provenance : callable
        Takes the path and returns what `write` stored of the image's provenance, empty if nothing.
    dtypes : tuple of str, optional
        The types it can store; any if empty.
    folder_signs : tuple of str
        For formats whose images are folders: names of which at least one lies in such a folder.
    images_in : callable, optional
        Takes such a folder and returns those of the images in it, if it is a collection of images,
        such as a plate; else the folder itself.
    companions : str
        What follows a file's name in that of a folder with more of its content, whose files are no
        images of their own.
    files_of : callable, optional
        Takes the path of a file and returns all files that hold the same image, the one to be read
        first; None for a format whose images are a file or a folder each.
    options : tuple of str
        Which of the options of `napari_dip.files.read_write.write` its `write` takes by name.

    Notes
    -----
    A format's module is imported when the first image is read: it imports its libraries in
    functions.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[..., Image]
    write: Callable[..., int] | None = None
    check: Callable[[Image, np.dtype[Any]], None] | None = None
    list_series: Callable[[Path], Sequence[Series]] | None = None
    read_provenance: Callable[[Path], dict[str, Any]] = _no_provenance
    dtypes: tuple[str, ...] = ()
    folder_signs: tuple[str, ...] = ()
    images_in: Callable[[Path], list[Path]] | None = None
    companions: str = ""
    files_of: Callable[[Path], list[Path]] | None = None
    options: tuple[str, ...] = ()

    def stores(self, dtype: str) -> bool:
        """Return whether it can write pixels of that type ("same": the image's own)."""
        return self.write is not None and (not self.dtypes or dtype in (*self.dtypes, "same"))
