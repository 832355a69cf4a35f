"""The hidden folder beside an output where the chunks of a stack lie until they are joined."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from contextlib import suppress
from pathlib import Path


def chunk_folder(target: Path, key: str) -> Path:
    """Return the folder of an output's chunks; `key` holds what they are made from and how.

    Its name is short, since the output's name may be as long as names get.
    """
    return target.with_name(f".{_short_hash(target.name)}-{_short_hash(key)}.chunks")


def delete_chunks(target: Path, keep: Path | None = None) -> None:
    """Delete the chunk folders of an output, but for the one to keep."""
    for folder in target.parent.glob(f".{_short_hash(target.name)}-*.chunks*"):
        if folder != keep:
            delete_folder(folder)


def delete_folder(folder: Path) -> None:
    """Delete a folder that others may be writing to."""
    renamed = folder.with_name(f"{folder.name}-{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.rename(renamed)  # else a file written meanwhile would keep it from being deleted
    shutil.rmtree(renamed, ignore_errors=True)


def _short_hash(text: str) -> str:
    # A name may be no text.
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
