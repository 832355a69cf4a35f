"""What the engine and its callers raise.

Bad input is a `ValueError` (or an `OSError` for files) raised before any work starts. What breaks
during the work is a `DenoiseError`. It is deliberately not a `RuntimeError`: napari's generator
workers swallow those, and ``torch.OutOfMemoryError`` is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

# How torch says, in a plain RuntimeError, that there was too little memory: on Linux and Windows
# that of the computer; Apple's GPU, CUDA, cuDNN and cuBLAS that of the GPU.
_OF_THE_COMPUTER = ("can't allocate memory", "not enough memory", "cannot allocate memory")
_OF_THE_GPU = ("out of memory", "alloc_failed")


class DenoiseError(Exception):
    """The work could not go on; the message says why and what to do."""


class UsageError(Exception):
    """The call itself is wrong, and no work was started.

    It holds facts. What an option is called and what can be done is worded by each face: the
    command line, a dock.

    Parameters
    ----------
    problem : str
        What is wrong: a sentence, or the rest of one that begins with `option`.
    *remedies : str
        What can be done: keys of the words that are given to `explain`, or words that hold in
        every face.
    option : str
        The option that is wrong, by its name in `napari_dip.batch.task.Task`, or ``"out"``.
    """

    def __init__(self, problem: str, *remedies: str, option: str = "") -> None:
        super().__init__(problem, *remedies)
        self.problem, self.remedies, self.option = problem, remedies, option

    def __str__(self) -> str:
        return self.explain({})

    def explain(self, words: Mapping[str, str]) -> str:
        """Return the sentence, given how a face words options and remedies."""
        subject = f"{words.get(self.option, self.option)} " if self.option else ""
        advice = ", or ".join(words.get(remedy, remedy) for remedy in self.remedies)
        return f"{subject}{self.problem}: {advice}." if advice else f"{subject}{self.problem}"


def lack_of_memory(error: BaseException) -> Literal["", "computer", "GPU"]:
    """Return whose memory was too small, of whatever device and library; empty for other errors."""
    if isinstance(error, MemoryError):
        return "computer"
    text = str(error).lower()
    if not isinstance(error, RuntimeError):
        return ""
    if any(sign in text for sign in _OF_THE_COMPUTER):
        return "computer"
    return "GPU" if any(sign in text for sign in _OF_THE_GPU) else ""
