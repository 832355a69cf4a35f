"""Whether a PNG holds all the rows that its header says; Pillow fills the others with zeros."""

from __future__ import annotations

import struct
import zlib
from os import SEEK_CUR
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colour
# Where the first pixel of each pass of an interlaced picture lies, and how far the next ones.
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
_PASSES.append((0, 1, 1, 2))
_AT_ONCE = 1 << 20  # bytes


def is_whole(path: Path) -> bool:
    """Return whether the compressed rows of a PNG are as many as its header says."""
    with path.open("rb") as file:
        if file.read(8) != SIGNATURE:
            return True  # none of ours to judge
        kind, head = next(_chunks(file), (b"", b""))
        if kind != b"IHDR" or len(head) != 13:
            return False
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", head)
        wanted = _bytes_of_rows(width, height, depth * _SAMPLES.get(colour, 0), bool(interlaced))
        stream, found = zlib.decompressobj(), 0
        try:
            for data in (content for kind, content in _chunks(file) if kind == b"IDAT"):
                rest = data
                while rest and found < wanted:
                    found += len(stream.decompress(rest, _AT_ONCE))
                    rest = stream.unconsumed_tail
        except zlib.error:
            return False
    return found >= wanted


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk from here on; Pillow looks at the checksums."""
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        content = file.read(length)
        file.seek(4, SEEK_CUR)
        yield kind, content


def _bytes_of_rows(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Return the bytes of all rows, each with one for its filter."""
    passes = _PASSES if interlaced else [(0, 0, 1, 1)]
    total = 0
    for x, y, right, down in passes:
        columns, rows = -(-(width - x) // right), -(-(height - y) // down)
        if columns > 0:
            total += max(rows, 0) * (1 + -(-columns * bits // 8))
    return total
