"""Damaged and hostile inputs, given to the command line: a sentence ends each of them.

    python benchmarks/fuzz.py [--only WORD] [--every N] [--list]

Every input of `fuzz_inputs.py` goes through the command line in this process, one after the other,
and is judged: no traceback, no "bug in napari-dip", no raw control character printed, no more than
20 seconds and 2 GB, nothing left of an input that failed, no part of an image taken for the whole,
no value that is not finite where the exit code is 0. What fails is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import sys
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from fuzz_inputs import Case, all_cases

from napari_dip import read
from napari_dip.cli import main

LONGEST = 20  # seconds
MOST = 2 << 30  # bytes that an input may add to the memory of the process
FORMATTING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # kinds of characters that a terminal obeys


class TooLong(BaseException):
    """An input took more than `LONGEST` seconds; nothing on the way may catch it."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise `TooLong` after some seconds."""

    def ring(number: int, frame: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)  # such as that of a test


def judge(case: Case, folder: Path) -> tuple[list[str], str]:
    """Run one input; return what is wrong, and what was printed."""
    words = case.make(folder)
    there = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    said, faults, code = io.StringIO(), [], None
    memory = peak_memory()
    with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
        warnings.simplefilter("default")
        try:
            with limited(LONGEST):
                code = main(words)
        except TooLong:
            faults.append(f"no answer after {LONGEST} s")
        except BaseException as error:  # noqa: BLE001 - it would have been a traceback
            faults.append(f"traceback: {type(error).__name__}: {str(error)[:200]}")
    text = said.getvalue()
    if peak_memory() - memory > MOST:
        faults.append(f"{(peak_memory() - memory) / 1e9:.1f} GB")
    if "Traceback" in text or "Warning: " in text:
        faults.append("a traceback or a warning with a path of code")
    if "bug in napari-dip" in text:
        faults.append("a damaged file is called a bug")
    if any(unicodedata.category(c) in FORMATTING for c in text.replace("\n", "")):
        faults.append("control characters are printed")
    if code not in (0, 1, 2, None):
        faults.append(f"exit code {code}")
    if code and not text.strip():
        faults.append("no sentence")
    if code == 0 and case.refused:
        faults.append("was not refused")
    if code == 0 and "name:" not in case.name and words[0] == "denoise":
        faults += judge_answer(case, folder, Path(words[1]))
    left = [path for path in folder.rglob("*") if path not in there]
    if code and left:
        faults.append(f"left behind: {[path.name for path in left]}")
    return faults, text


def judge_answer(case: Case, folder: Path, source: Path) -> list[str]:
    """Return what is wrong with the answer to an input that was taken."""
    answer = np.asarray(read(folder / "out.tif").pixels)
    faults = [] if np.isfinite(answer).all() else ["values that are not finite"]
    if case.truth is None:
        return faults
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.squeeze(np.asarray(read(source).pixels))
    if found.shape != case.truth.shape or answer.size != case.truth.size:
        return [*faults, f"{found.shape} of {case.truth.shape} were read in silence"]
    if not np.array_equal(found, case.truth):
        return [*faults, "other values were read in silence"]
    return faults


def peak_memory() -> int:
    """Return the most bytes that this process has had in memory."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(cases: list[Case], *, listed: bool = False) -> int:
    """Judge inputs one after the other, print the faults, and return how many have any."""
    failed, slowest = 0, (0.0, "")
    first = tempfile.mkdtemp(prefix="fuzz-")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        main(cases[0].make(Path(first)))  # what is loaded once is not counted
    shutil.rmtree(first)
    for case in cases:
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        begun = time.monotonic()
        faults, text = judge(case, folder)
        slowest = max(slowest, (time.monotonic() - begun, case.name))
        failed += bool(faults)
        if faults or listed:
            print(f"{case.name}: {'; '.join(faults) or 'fine'}")
            print("".join(f"    {ascii(line)[1:-1][:300]}\n" for line in text.splitlines()[:6]))
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{len(cases)} inputs, {failed} with a fault; the slowest took {slowest[0]:.1f} s: "
        f"{slowest[1]}"
    )
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="inputs whose name holds this word")
    parser.add_argument("--every", type=int, default=1, help="every n-th input")
    parser.add_argument("--list", action="store_true", help="print what was said to each")
    given = parser.parse_args()
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (4 * MOST, hard))
    chosen = [case for case in all_cases() if given.only in case.name][:: given.every]
    if not chosen:
        parser.error(f"no input has {given.only!r} in its name")
    sys.exit(1 if run(chosen, listed=given.list) else 0)
