"""Text on stdout and stderr, the JSON object, and the exit codes."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO

DONE, FAILED, MISUSED = 0, 1, 2
WORDS = {  # how options and remedies of a UsageError are called here
    "out": "OUT",
    "device": "--device",
    "axes": "--axes",
    "shard": "--shard",
    "mask": "--mask",
    "guide": "--guide",
    "other output": "choose another OUT",
    "overwrite": "say --overwrite",
    "replace input": "say --overwrite to replace it",
    "same dtype": "say --dtype same",
    "local workers": "use --workers",
}


@dataclass(frozen=True)
class Output:
    """Where text goes: results to stdout, all else to stderr; with JSON only it goes to stdout.

    Parameters
    ----------
    as_json : bool
        Whether one JSON object is the result.
    quiet : bool
        Whether progress is left out.
    silent : bool
        Whether nothing is printed: of several processes that train together, only the first speaks.
    """

    as_json: bool = False
    quiet: bool = False
    silent: bool = False

    def print(self, text: str) -> None:
        """Print a line of the result for a human."""
        if not self.silent:
            print_line(text, sys.stderr if self.as_json else sys.stdout)

    def note(self, text: str) -> None:
        """Print what is no result, to stderr."""
        if not self.silent:
            print_line(text, sys.stderr)

    def print_json(self, record: dict[str, Any]) -> None:
        """Print the JSON object where one was asked for."""
        if self.as_json:
            print_line(json.dumps(_plain(record), allow_nan=False), sys.stdout)

    def fail(self, sentence: str, code: int) -> int:
        """Print why nothing (more) is done and return the exit code."""
        self.note(f"napari-dip: {sentence}")
        self.print_json({"error": sentence})
        return code


@contextmanager
def warnings_as_notes(output: Output) -> Iterator[None]:
    """Print warnings as remarks, without the line of code; drop those for developers."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category is UserWarning:
            output.note(" ".join(str(message).split()))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def print_line(text: str, stream: TextIO | None) -> None:
    """Print a line, what a terminal would obey escaped: names and headers may hold anything.

    So are letters that the stream can't hold, as a log file on Windows.
    """
    if stream is None:  # closed by whoever started the program
        return
    code, text = getattr(stream, "encoding", None) or "utf-8", printable(text)
    try:
        print(text.encode(code, "backslashreplace").decode(code), file=stream, flush=True)
    except (OSError, ValueError):  # a reader that went away, a full disk, a closed stream
        discard(stream)  # the work goes on


def printable(text: str) -> str:
    """Escape control characters, line breaks, and what turns the direction of writing."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def discard(stream: TextIO) -> None:
    """Send a stream nowhere from now on: its reader has seen enough, such as `head`."""
    with suppress(OSError, ValueError):  # such as one that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, str):  # a numpy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
