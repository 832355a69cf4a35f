"""What the engine and its callers raise.

Bad input is a `ValueError` (or an `OSError` for files) raised before any work starts. What breaks during the work
is a `DenoiseError`. It is deliberately not a `RuntimeError`: napari's generator workers swallow those, and
``torch.OutOfMemoryError`` is one.
"""

from __future__ import annotations

from typing import Literal

# How torch says, in a plain RuntimeError, that there was too little memory: on Linux and Windows that of the
# computer; Apple's GPU, CUDA, cuDNN and cuBLAS that of the GPU.
_OF_THE_COMPUTER = ("can't allocate memory", "not enough memory", "cannot allocate memory")
_OF_THE_GPU = ("out of memory", "alloc_failed")


class DenoiseError(Exception):
    """The work could not go on; the message says why and what to do."""


class UsageError(Exception):
    """The call itself is wrong; the message says how, and no work was started."""


def lack_of_memory(error: BaseException) -> Literal["", "computer", "GPU"]:
    """Say whose memory was too small, of whatever device and library; empty where an error means something else."""
    if isinstance(error, MemoryError):
        return "computer"
    text = str(error).lower()
    if not isinstance(error, RuntimeError):
        return ""
    if any(sign in text for sign in _OF_THE_COMPUTER):
        return "computer"
    return "GPU" if any(sign in text for sign in _OF_THE_GPU) else ""
