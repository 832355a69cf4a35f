"""Keep freed memory between the steps of a fit on the CPU.

A step frees images of many megabytes and the next one asks for the same again. glibc hands such
blocks back to the system at once and gets them back page by page, each page zeroed: a third of the
time of a fit. While a fit runs they are kept; at its end they are handed back.
"""

from __future__ import annotations

import ctypes
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

# mallopt(3): the options' numbers and glibc's defaults
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEPT = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 << 20}
DEFAULTS = {M_MMAP_MAX: 65536, M_TRIM_THRESHOLD: 128 << 10, M_TOP_PAD: 128 << 10}

_lock = threading.Lock()
_users = 0


@contextmanager
def keep_freed_memory(device: torch.device) -> Iterator[None]:
    """Keep freed memory for the next step, on the CPU and with glibc's allocator.

    Never yield to a reader inside a torch context; this is none, and the reader notices nothing.
    """
    global _users
    allocator = _glibc() if device.type == "cpu" else None
    if allocator is None:
        yield
        return
    mallopt, trim = allocator
    with _lock:
        _users += 1
        for option, value in KEPT.items():
            mallopt(option, value)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for option, value in DEFAULTS.items():
                    mallopt(option, value)
                trim(0)


def _glibc() -> tuple[Callable[[int, int], int], Callable[[int], int]] | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    try:
        return library.mallopt, library.malloc_trim
    except AttributeError:
        return None
