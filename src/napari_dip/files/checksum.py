"""What a file is known by, whatever its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from napari_dip.files.inputs import files_of_image


def sha256_of_image(path: Path) -> str:
    """Return the sum of an image, which may lie in several files."""
    files = files_of_image(path)
    if len(files) == 1:
        return sha256(path)
    return _of_lines(f"{file.name} {sha256(file)}" for file in sorted(files))


def sha256(path: str | PathLike[str]) -> str:
    """Return a file's SHA-256 in hexadecimal; of a folder that of its files' names and sums."""
    if Path(path).is_dir():
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        return _of_lines(f"{file.relative_to(path).as_posix()} {sha256(file)}" for file in files)
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_lines(lines: Iterable[str]) -> str:
    """Return the sum of lines; names of files may hold bytes that are no text."""
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
