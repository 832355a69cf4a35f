"""What axes are called elsewhere: by napari's labels, xarray's dims."""

from __future__ import annotations

NAMES = {
    "T": {"t", "time", "frame", "frames"},
    "Z": {"z", "depth", "plane", "slice"},
    "C": {"c", "ch", "channel", "channels", "band", "rgb"},
    "Y": {"y", "row", "rows", "height"},
    "X": {"x", "column", "columns", "width"},
}


def letter_of(name: object) -> str:
    """Return the letter of an axis by its name, an empty text for one that is not known."""
    word = str(name).strip().lower()
    return next((letter for letter, names in NAMES.items() if word in names), "")
