"""Write a file or folder whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# numpy reports a short write without a number
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)
PART, OLD = ".part", ".old"  # what is being written, and the folder that it replaces


@contextmanager
def atomic_path(target: Path, size: int, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a hidden temporary path beside `target`, which takes its place at the end of the block.

    Parameters
    ----------
    target : Path
        A file, or a folder if a folder is made under the temporary path; what stands there is
        replaced.
    size : int
        Bytes that are about to be written, for the message of a full disk.
    overwrite : bool
        Whether a file that stands there by then may be replaced.

    Raises
    ------
    FileExistsError
        If one stands there that may not.
    """
    # A suffix that no reader takes for an image, and short: the target's name may be as long as
    # names get.
    part = target.with_name(f".{secrets.token_hex(4)}-{_this_machine()}-{os.getpid()}{PART}")
    try:
        yield part
        if not part.is_dir():
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        if not overwrite:
            _place(part, target)
        elif target.is_dir() and part.is_dir():
            _exchange(part, target)
        else:
            part.replace(target)
    except FileExistsError:
        raise FileExistsError(
            f"{target} has appeared meanwhile and was not replaced; choose another name, or allow "
            "overwriting."
        ) from None
    except OSError as error:
        if _is_of_another_file(error, part, target):  # such as one that is read meanwhile
            raise
        raise OSError(_why_not_written(error, target, size)) from error
    finally:
        with suppress(OSError):  # what went wrong above is what is to be said
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what writes of processes of this machine that were killed have left in a folder.

    A folder that was about to be replaced is put back.
    """
    if os.name != "posix":  # elsewhere a process cannot be asked for without harm
        return
    for left in folder.glob(f".*-{_this_machine()}-*.*"):
        number = left.stem.rpartition("-")[2]
        if left.suffix not in (PART, OLD) or not number.isdecimal() or _is_alive(int(number)):
            continue
        with suppress(OSError):  # another user's may stay
            for kept in left.iterdir() if left.suffix == OLD else ():
                if not (folder / kept.name).exists():
                    kept.rename(folder / kept.name)
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _this_machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def _place(part: Path, target: Path) -> None:
    """Give a new file or folder its name, unless something has that name by now."""
    if part.is_file():
        try:
            os.link(part, target)  # which replaces nothing
            return  # the temporary name is taken away in the end
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            pass
    if target.exists():
        raise FileExistsError
    part.rename(target)


def _exchange(part: Path, target: Path) -> None:
    """Put a folder in the place of another, which is whole under its name until then and after."""
    try:
        _swap(part, target)
        return  # the old one is taken away under the temporary name
    except (OSError, AttributeError):  # only Linux has that, and not for all file systems
        pass
    old = part.with_suffix(OLD)
    old.mkdir()
    kept = old / target.name  # so that it can be put back after a kill
    try:
        target.rename(kept)
        part.rename(target)
    except OSError:
        if kept.exists():
            kept.rename(target)
        old.rmdir()
        raise
    shutil.rmtree(old)


def _swap(one: Path, other: Path) -> None:
    """Exchange the names of two files or folders at once, as Linux can."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    call = ctypes.CDLL(None, use_errno=True).renameat2
    if call(here, os.fsencode(one), here, os.fsencode(other), exchange):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file whole or not at all; see `atomic_path`."""
    with atomic_path(target, len(content)) as part:
        part.write_bytes(content)


def _is_of_another_file(error: OSError, part: Path, target: Path) -> bool:
    name = error.filename
    return isinstance(name, str) and not name.startswith((str(part), str(target)))


def _why_not_written(error: OSError, target: Path, size: int) -> str:
    if error.errno in NO_SPACE:
        free = shutil.disk_usage(target.absolute().parent).free
        return (
            f"{target} was not written: it needs {size:,} bytes and the disk has {free:,} left "
            "(or a limit was reached); make room or choose another disk."
        )
    return f"{target} was not written: {error.strerror or error}; choose a folder you may write to."
