"""Whose code raised an exception: a damaged file makes libraries raise anything, and bugs do so."""

from __future__ import annotations

import traceback

OURS = __name__.partition(".")[0]
_OF_CODE = (TypeError, AttributeError, NameError, AssertionError)


def is_bug(error: Exception) -> bool:
    """Return whether an exception is no word of a library on a file, but a fault of code of ours.

    That is one that code raises which does not fit its values, from a line of this package. What
    it looks up in a file and does not find, as a KeyError, is the file's.
    """
    if not isinstance(error, _OF_CODE):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == OURS
