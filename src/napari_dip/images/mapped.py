"""Memory-mapped pixels: let go of what was read, so that memory does not grow with the file."""

from __future__ import annotations

import mmap
from typing import Any


def forget(pixels: Any) -> None:
    """Let go of the pages of a memory-mapped array that were read or written: they stay in the file."""
    while pixels is not None and not isinstance(pixels, mmap.mmap):
        if isinstance(pixels, memoryview):
            pixels = pixels.obj
        else:
            pixels = getattr(pixels, "base", None)
    if pixels is not None and hasattr(pixels, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        pixels.madvise(mmap.MADV_DONTNEED)
