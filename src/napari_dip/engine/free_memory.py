"""How much memory is free."""

from __future__ import annotations

import os
from math import isqrt
from pathlib import Path

import torch

SHARE = 0.5  # of the free memory that one piece of work may take
UNKNOWN = 2 << 30  # bytes taken for free where the system does not say


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a device, those that torch keeps for later included."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    if device.type == "mps" and hasattr(torch.mps, "recommended_max_memory"):  # torch 2.5
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    known = [n for n in (_available(), _left_to_the_group()) if n is not None]
    return min(known) if known else UNKNOWN


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        return next(
            int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")
        )
    except (OSError, ValueError, StopIteration):
        pass
    try:  # macOS does not say what is free; half of what there is may be hoped for
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _left_to_the_group() -> int | None:
    """Return what a container or a job may still take (cgroup v2); None without a limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        group = next(
            line[3:]
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        )
        own = folder / group.strip("/")
        most, used = ((own / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return None if most == "max" else max(0, int(most) - int(used))
    except (OSError, ValueError, StopIteration):
        return None


def side_that_fits(device: torch.device, bytes_a_pixel: float) -> int:
    """Return the side in pixels of the largest square that free memory allows."""
    return isqrt(int(SHARE * free_memory(device) / bytes_a_pixel))
