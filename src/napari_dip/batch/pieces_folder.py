"""The hidden folder beside an output where the pieces of a large stack lie until they are joined."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from contextlib import suppress
from pathlib import Path


def pieces_folder(target: Path, key: str) -> Path:
    """Name the folder of the pieces by the output, and by a key of what they are made from and how.

    It is short, since the output's name may be as long as names get.
    """
    return target.with_name(f".{_short(target.name)}-{_short(key)}.pieces")


def delete_pieces(target: Path, keep: Path | None = None) -> None:
    """Delete the pieces of an output that were made from other content or with other settings than those to keep."""
    for folder in target.parent.glob(f".{_short(target.name)}-*.pieces*"):
        if folder != keep:
            delete_folder(folder)


def delete_folder(folder: Path) -> None:
    gone = folder.with_name(f"{folder.name}-{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.rename(
            gone
        )  # at once: a file written meanwhile would keep the folder from being deleted
    shutil.rmtree(gone, ignore_errors=True)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[
        :16
    ]  # a name may be no text
