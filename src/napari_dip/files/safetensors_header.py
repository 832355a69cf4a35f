"""The header of a safetensors file, read without torch: a length of eight bytes, then JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

LONGEST_HEADER = 16 << 20  # bytes
CHECKPOINT = "-checkpoint"  # what the key of a training's checkpoint ends with


def read_header(path: Path, key: str, what: str) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Read the record and the table of tensors.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        Under which the record stands.
    what : str
        What the file should be, for the sentence that refuses it: "model of napari-dip".

    Returns
    -------
    record, tensors : dict
        What the file says of itself and of each tensor; nothing in them is checked.
    space : int
        How many bytes follow.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a {what} (.safetensors).")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}; check the name and the folder.")
    not_ours = ValueError(
        f"{path.name} is no {what}; give a .safetensors file that it has written."
    )
    if not path.is_file():  # a device or a pipe, whose reading might not end
        raise not_ours
    header, space = _json_header(path, not_ours)
    texts = header.pop("__metadata__", None)
    texts = texts if isinstance(texts, dict) else {}
    if not isinstance(texts.get(key), str):
        if f"{key}{CHECKPOINT}" in texts:
            raise ValueError(
                f"{path.name} is the checkpoint of a training, no {what}: "
                "`napari-dip train --resume` goes on from it."
            )
        raise not_ours
    try:
        record = json.loads(
            texts[key], parse_constant=_finite, parse_float=_finite, parse_int=_small
        )
    except (ValueError, RecursionError):
        raise ValueError(
            f"{path.name} has a damaged record; copy it again from its source."
        ) from None
    if not isinstance(record, dict):
        raise not_ours
    return record, header, space


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _small(digits: str) -> int:
    _finite(digits)  # no float would hold more
    return int(digits)


def _json_header(path: Path, not_ours: ValueError) -> tuple[dict[str, Any], int]:
    """Return the JSON header and how many bytes follow it."""
    total = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if total < 10 or not 2 <= length <= LONGEST_HEADER:
            raise not_ours
        if length > total - 8:
            raise ValueError(f"{path.name} is cut short; copy it again from its source.")
        try:
            header = json.loads(file.read(length).decode("utf-8"))
        except (ValueError, RecursionError):
            raise not_ours from None
    if not isinstance(header, dict):
        raise not_ours
    return header, total - 8 - length
