"""Which arrays of a Zarr folder are opened: plain numbers, in chunks of well-known codecs.

A file names the code that decodes it. Some of the names that zarr and numcodecs know run code of
the file's (``pickle``), so a name is looked up here before either of them sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CODECS = {
    *("blosc", "bz2", "crc32c", "delta", "gzip", "lz4", "lzma", "shuffle", "zlib", "zstd"),
    *("bytes", "sharding_indexed", "transpose"),
}
"""Those of version 2 and 3; in the latter the first ten may have the prefix ``numcodecs.``."""

LARGEST_CHUNK = 1 << 31  # bytes; no more fit into one of Blosc's
LARGEST_JSON = 1 << 26  # bytes
_V2_TYPE = re.compile(r"[<>|][biufc]\d{1,2}")
_V3_TYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|complex(64|128)")


class UnsafeZarr(ValueError):
    """An array that is not opened; the text says why."""


def read_json(file: Path) -> Any:
    """Return what a JSON file of a Zarr folder holds; ValueError where it cannot be read."""
    if not file.is_file() or file.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{file.name} is no file that can be read")
    try:
        return json.loads(file.read_bytes())
    except RecursionError:
        raise ValueError(f"{file.name} is nested too deep") from None


def check_array(folder: Path) -> None:
    """Refuse an array that is none of numbers, or names a codec that is not in `CODECS`.

    Raises
    ------
    UnsafeZarr
        With the name of what was refused.
    ValueError, KeyError, TypeError
        If its record is damaged.
    """
    if (folder / "zarr.json").exists():
        record = read_json(folder / "zarr.json")
        kind, codecs = record["data_type"], list(_nested(record["codecs"]))
        chunks = record["chunk_grid"]["configuration"]["chunk_shape"]
        known = _V3_TYPE
        if record.get("storage_transformers"):
            raise UnsafeZarr("has storage transformers")
    else:
        record = read_json(folder / ".zarray")
        compressor = record["compressor"]
        codecs = [*(record["filters"] or ()), *([compressor] if compressor is not None else [])]
        kind, chunks, known = record["dtype"], record["chunks"], _V2_TYPE
    for codec in codecs:
        _check_codec(codec)
    if not isinstance(kind, str) or not known.fullmatch(kind):
        raise UnsafeZarr("holds no plain numbers")
    _check_size(record["shape"], chunks, kind)


def _check_codec(codec: Any) -> None:
    """Refuse a codec of another name, or one whose own types are no numbers."""
    name = codec if isinstance(codec, str) else codec.get("id", codec.get("name"))
    if not isinstance(name, str) or name.removeprefix("numcodecs.") not in CODECS:
        shown = "".join(c for c in str(name) if c.isprintable())[:40]
        raise UnsafeZarr(
            f"is stored with the codec {shown!r}, which is not among those that are read: "
            f"{', '.join(sorted(CODECS))}"
        )
    settings = {} if isinstance(codec, str) else {**codec, **codec.get("configuration", {})}
    types = [settings[key] for key in ("dtype", "astype") if settings.get(key) is not None]
    if any(not _V2_TYPE.fullmatch(str(one)) for one in types):
        raise UnsafeZarr("has a codec for something else than numbers")


def _check_size(shape: Any, chunks: Any, kind: str) -> None:
    """Refuse chunks that hold nothing or more than the memory."""
    bits = int("".join(re.findall(r"\d+", kind)) or 1)
    size = bits if kind[0] in "<>|" else -(-bits // 8)
    for number in (*shape, *chunks):
        if type(number) is not int or number < 0:
            raise ValueError("a length that is no number")
    for number in chunks:
        if number == 0:
            raise UnsafeZarr("has chunks without pixels")
        size *= number
    if size > LARGEST_CHUNK or len(chunks) != len(shape):
        raise UnsafeZarr("has chunks of more than 2 GiB")


def _nested(codecs: Any) -> Iterator[Any]:
    """Walk codecs and those that shards have inside."""
    for codec in codecs:
        yield codec
        inner = codec.get("configuration", {}) if isinstance(codec, dict) else {}
        for key in ("codecs", "index_codecs"):
            yield from _nested(inner.get(key, ()))
