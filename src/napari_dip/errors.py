"""What the engine and its callers raise.

Bad input is a `ValueError` (or an `OSError` for files) raised before any work starts. What breaks during the work
is a `DenoiseError`. It is deliberately not a `RuntimeError`: napari's generator workers swallow those, and
``torch.OutOfMemoryError`` is one.
"""

from __future__ import annotations


class DenoiseError(Exception):
    """The work could not go on; the message says why and what to do."""


class UsageError(Exception):
    """The call itself is wrong; the message says how, and no work was started."""
