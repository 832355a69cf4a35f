"""The axes that a caller names, laid over those that a file says."""

from __future__ import annotations

from typing import Any

from napari_dip.images.image import LETTERS


def take_axes(
    pixels: Any, said: str, asked: str | None, file: str
) -> tuple[Any, str, tuple[str, ...]]:
    """Lay the axes out as the caller wants.

    Parameters
    ----------
    pixels : array-like
        What can be reshaped; axes of one place need be named no more than the file's need.
    said : str
        Letters of ``TZCYX`` where the file says what an axis is, others where it does not.
    asked : str, optional
        What the caller wants; None takes what the file says.
    file : str
        Its name.

    Returns
    -------
    pixels, letters, remarks
        The last is a sentence where what is asked for is not what the file says.
    """
    if not asked or len(said) != len(pixels.shape):
        return pixels, asked.upper() if asked else said, ()
    letters = asked.upper()
    lengths = [(a, n) for a, n in zip(said, pixels.shape, strict=True) if n > 1 or a in "YX"]
    by_letter = dict(lengths)
    if len(letters) != len(lengths):
        if [a for a in letters if a in by_letter] == list(by_letter):
            return pixels.reshape([by_letter.get(a, 1) for a in letters]), letters, ()
        if len(letters) == len(said):
            return pixels, letters, _remark(file, said, letters)
    pixels = pixels.reshape([n for _, n in lengths])  # Image refuses what does not fit
    return pixels, letters, _remark(file, "".join(a for a, _ in lengths), letters)


def new_names(said: str, shape: tuple[int, ...], asked: str) -> dict[str, str]:
    """Return by which letter each axis goes that a caller calls otherwise than the file does."""
    longer = "".join(a for a, n in zip(said, shape, strict=False) if n > 1 or a in "YX")
    known = next((one for one in (longer, said) if len(one) == len(asked)), "")
    pairs = list(zip(known, asked, strict=False))
    return dict(pairs) if any(a != b for a, b in pairs) else {}


def _remark(file: str, said: str, asked: str) -> tuple[str, ...]:
    pairs = list(zip(said, asked, strict=False))
    if len(said) != len(asked) or all(a == b or a not in LETTERS for a, b in pairs):
        return ()
    return (f"{file} says that its axes are {said}; they are taken as {asked}, as asked for.",)
