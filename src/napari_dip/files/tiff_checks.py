"""What tifffile reads without a word although the file is damaged: strips that are not there.

It fills strips of no bytes with zeros, reads strips from wherever an offset points to, and makes
room for as many planes as a header says.
"""

from __future__ import annotations

import re
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tifffile

MOST_PLANES = 10_000_000  # of one image; tifffile keeps a list of them
_SIZES = re.compile(r"\bSize([ZCT])\s*=\s*[\"'](\d+)[\"']")
_UNCOMPRESSED = 1


def check_planes(xml: str) -> None:
    """Refuse OME-XML that asks for more planes than any file has.

    Raises
    ------
    ValueError
        Without a sentence: whoever calls says which file it is.
    """
    for pixels in xml.split("<Pixels")[1:]:
        head = pixels.partition(">")[0]
        sizes = [digits for _, digits in _SIZES.findall(head)]
        if any(len(digits) > 9 for digits in sizes) or prod(map(int, sizes)) > MOST_PLANES:
            raise ValueError("too many planes")


def check_segments(series: tifffile.TiffPageSeries) -> None:
    """Refuse strips or tiles that are empty, lie in one another, or hold other sizes than said.

    Raises
    ------
    ValueError
        Without a sentence: whoever calls says which file it is.
    """
    key, spans, heads = series.keyframe, set(), []
    plain = key.compression == _UNCOMPRESSED and not key.parent.is_stk
    needed = _bytes_of_segment(key)
    # ImageJ's planes follow the first one, whatever their own tags say.
    in_one = series.kind == "imagej" and series.dataoffset is not None
    for page in [key] if in_one else series.pages:
        if page is None:
            continue
        counts = page.databytecounts
        if any(count == 0 for count in counts) or any(at < 8 for at in page.dataoffsets):
            raise ValueError("no bytes")
        # An uncompressed segment that holds many more rows than the image is said to have.
        if plain and len(counts) == 1 and counts[0] > 1.2 * needed:
            raise ValueError("more bytes than pixels")
        spans |= {
            (at, min(count, needed) if plain else count)
            for at, count in zip(page.dataoffsets, counts, strict=False)
        }
        heads.append((page.offset, 6))
    if series.is_multifile:
        return
    ends = [(at, at + count) for at, count in sorted([*spans, *heads])]
    if any(end > following for (_, end), (following, _) in pairwise(ends)):
        raise ValueError("segments in one another")


def _bytes_of_segment(key: tifffile.TiffPage) -> int:
    """Return how many bytes an uncompressed strip or tile has."""
    if key.is_tiled:
        height, width = key.tilelength, key.tilewidth
    else:
        height, width = min(key.rowsperstrip, key.imagelength), key.imagewidth
    samples = key.samplesperpixel if key.planarconfig == 1 else 1
    return -(-width * samples * key.bitspersample // 8) * height
