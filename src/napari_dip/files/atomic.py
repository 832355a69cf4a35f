"""Write a file or folder whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# numpy reports a short write without a number
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)


@contextmanager
def atomic_path(target: Path, size: int) -> Iterator[Path]:
    """Give a hidden temporary path beside `target`, which replaces it at the end of the block.

    Parameters
    ----------
    target : Path
        A file, or a folder if a folder is made under the temporary path; what stands there is
        replaced.
    size : int
        Bytes that are about to be written, for the message of a full disk.
    """
    # A suffix that no reader takes for an image, and short: the target's name may be as long as
    # names get.
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
        if not part.is_dir():
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        if target.is_dir() and part.is_dir():
            target.rename(old := part.with_suffix(".old"))
            part.rename(target)
            shutil.rmtree(old)
        else:
            part.replace(target)
    except OSError as error:
        raise OSError(_why_not_written(error, target, size)) from error
    finally:
        with suppress(OSError):  # what went wrong above is what is to be said
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file whole or not at all; see `atomic_path`."""
    with atomic_path(target, len(content)) as part:
        part.write_bytes(content)


def _why_not_written(error: OSError, target: Path, size: int) -> str:
    if error.errno in NO_SPACE:
        free = shutil.disk_usage(target.absolute().parent).free
        return (
            f"{target} was not written: it needs {size:,} bytes and the disk has {free:,} left "
            "(or a limit was reached); make room or choose another disk."
        )
    return f"{target} was not written: {error.strerror or error}; choose a folder you may write to."
