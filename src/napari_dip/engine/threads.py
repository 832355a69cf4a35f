"""How many of torch's threads work on the CPU, and how they wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

THREAD_VALUES = 1 << 21  # of a layer: a thread more costs more than it saves for less


def let_idle_threads_sleep() -> None:
    """Have OpenMP threads wait by sleeping; called before torch is loaded, which reads this then.

    By themselves they spin, which on busy cores costs many times the processor time of the work. A
    value that the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def threads_for(values: int) -> int:
    """Return how many threads a gradient step is worth, of those there are.

    `values` are those of a layer: pixels times channels.

    Threads meet after each operation. In a step of a hundred small ones they wait for each other
    longer than they work, and on busy cores for whatever else runs there.
    """
    import torch

    return min(torch.get_num_threads(), max(1, values // THREAD_VALUES))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
