"""Name the axes of a TIFF: by what it says, then Z, T and C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_dip.images.image import LETTERS, RGB_SIZES

if TYPE_CHECKING:
    from pathlib import Path

GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)


def without_false_colours(tif: tifffile.TiffFile, page: tifffile.TiffPage, letters: str) -> str:
    """Rename the axis of samples (S) where it isn't colour: C for channels, Q for frames.

    tifffile writes stacks of three or four planes as RGB, one colour after another, unless it is
    told otherwise; only what has three colours of 8 bits is believed to be meant so.
    """
    if "S" not in letters or "C" in letters:
        return letters
    if page.photometric in GREY:
        return letters.replace("S", "C") if page.samplesperpixel > 1 else letters
    apart = tif.is_shaped and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    is_stack = apart and (page.samplesperpixel, page.bitspersample) != (3, 8)
    return letters.replace("S", "Q") if is_stack else letters


def squeeze(pixels: Any, letters: str) -> tuple[Any, str]:
    """Drop singleton axes and turn samples (S) into C: last if colours, else before Y."""
    lengths = [(a, n) for a, n in zip(letters, pixels.shape, strict=True) if n > 1 or a in "YX"]
    letters = "".join(a for a, _ in lengths)
    pixels = pixels.reshape([n for _, n in lengths])
    if letters.endswith("C"):  # channels beside each other, no colours
        pixels, letters = np.moveaxis(pixels, -1, -3), letters[:-3] + "C" + letters[-3:-1]
    if "S" not in letters or "C" in letters:
        return pixels, letters
    at = letters.index("S")
    rest = letters.replace("S", "")
    to = len(rest) if pixels.shape[at] in RGB_SIZES else rest.index("Y")
    return np.moveaxis(pixels, at, to), rest[:to] + "C" + rest[to:]


def name_axes(pixels: Any, letters: str, path: Path) -> tuple[Any, str]:
    """Name what the file leaves unnamed."""
    known = [a for a in letters if a in LETTERS]
    unnamed = [a for a in letters if a not in LETTERS]
    free = [a for a in "ZTC" if a not in letters][: len(unnamed)]
    if len(unnamed) > len(free) or len(set(known)) < len(known):
        raise ValueError(
            f"{path.name} has axes {tuple(pixels.shape)} that are more than T, Z, C, Y and X: "
            "split it into files first."
        )
    names = iter(a for a in "TZC" if a in free)
    return pixels, "".join(a if a in LETTERS else next(names) for a in letters)
