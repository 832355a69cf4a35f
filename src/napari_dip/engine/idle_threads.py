"""Threads of torch that have nothing to do."""

from __future__ import annotations

import os


def let_idle_threads_sleep() -> None:
    """Have OpenMP threads wait by sleeping; called before torch is loaded, which reads this then.

    By themselves they spin, which on busy cores costs many times the processor time of the work. A
    value that the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
