"""Freed memory is kept during a fit on the CPU, and given back after it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from napari_dip.engine import malloc as memory
from napari_dip.engine.malloc import keep_freed_memory

ON_GLIBC = platform.libc_ver()[0] == "glibc"


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not ON_GLIBC, reason="only glibc's allocator is told anything")
def test_memory_is_given_back_at_the_end():
    size = 64 << 20
    before = resident()
    with keep_freed_memory(torch.device("cpu")):
        for _ in range(4):
            torch.ones(size, dtype=torch.uint8)
        assert resident() - before > size // 2
    assert resident() - before < size // 2


@pytest.mark.skipif(not ON_GLIBC, reason="only glibc's allocator is told anything")
def test_the_last_of_several_fits_gives_the_memory_back(monkeypatch):
    told = []
    monkeypatch.setattr(
        memory, "_glibc", lambda: (lambda option, value: told.append((option, value)), told.append)
    )
    cpu = torch.device("cpu")
    with keep_freed_memory(cpu), keep_freed_memory(cpu):
        pass
    assert told == [*memory.KEPT.items(), *memory.KEPT.items(), *memory.DEFAULTS.items(), 0]


def test_another_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    with keep_freed_memory(torch.device("cpu")):
        assert memory._users == 0
