"""What OME-XML says of the files that hold one image together."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path, PurePath

_NAMES = re.compile(r'\bFileName\s*=\s*"([^"<>]+)"')
_DESCRIBED_BY = re.compile(r'<(?:\w+:)?BinaryOnly\b[^<>]*\bMetadataFile\s*=\s*"([^"<>]+)"')


def names_of_files(xml: str) -> list[str]:
    """Return the names of the files that OME-XML says planes lie in, each once."""
    return list(dict.fromkeys(PurePath(unescape(name)).name for name in _NAMES.findall(xml)))


def described_by(xml: str) -> str | None:
    """Return the name of the file that describes the image, where it is another one."""
    found = _DESCRIBED_BY.search(xml)
    return None if found is None else PurePath(unescape(found[1])).name


def is_tiff(path: Path) -> bool:
    """Return whether there is a TIFF file of that name, no companion of OME-XML alone."""
    return path.suffix.lower() in (".tif", ".tiff", ".btf") and path.is_file()
