"""What OME-XML says of the files that hold one image together."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path, PurePath

COMPANION = ".companion.ome"
LONGEST = 1 << 28  # bytes of such a file that are read

_NAMES = re.compile(r'\bFileName\s*=\s*"([^"<>]+)"')
_DESCRIBED_BY = re.compile(r'<(?:\w+:)?BinaryOnly\b[^<>]*\bMetadataFile\s*=\s*"([^"<>]+)"')


def names_of_files(xml: str) -> list[str]:
    """Return the names of the files that OME-XML says planes lie in, each once."""
    return list(dict.fromkeys(PurePath(unescape(name)).name for name in _NAMES.findall(xml)))


def described_by(xml: str) -> str | None:
    """Return the name of the file that describes the image, where it is another one."""
    found = _DESCRIBED_BY.search(xml)
    return None if found is None else PurePath(unescape(found[1])).name


def companion_of(path: Path, xml: str) -> Path | None:
    """Return the file of OME-XML alone that describes a TIFF and names it, where it is there.

    `xml` is the TIFF's own, which points to that.
    """
    name = described_by(xml)
    companion = path.with_name(name) if name else path
    is_one = companion.name.lower().endswith(COMPANION) and companion.is_file()
    return companion if is_one and path.name in names_of_files(read_companion(companion)) else None


def read_companion(path: Path) -> str:
    """Read a companion's OME-XML; entities, which OME-XML has not, could fill the memory."""
    content = path.read_bytes() if path.stat().st_size <= LONGEST else b""
    xml = content.decode("utf-8", "replace")
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml or "<OME" not in xml.replace("<ome:OME", "<OME"):
        raise ValueError(f"{path.name} holds no OME-XML; copy it again.")
    return xml


def tiff_of(path: Path) -> Path:
    """Return a TIFF itself, or of a companion the first of the TIFFs that it names.

    Raises
    ------
    ValueError
        If none of them is there.
    """
    if not path.name.lower().endswith(COMPANION):
        return path
    names = names_of_files(read_companion(path))
    found = [path.with_name(name) for name in names if is_tiff(path.with_name(name))]
    if not found:
        raise ValueError(
            f"{path.name} describes an image in {len(names)} files, none of which is beside it: "
            "put them there."
        )
    return found[0]


def is_tiff(path: Path) -> bool:
    """Return whether there is a TIFF file of that name, no companion of OME-XML alone."""
    return path.suffix.lower() in (".tif", ".tiff", ".btf") and path.is_file()
