"""The pixels of a Zarr array, read from plain files only; what zarr cannot decode is damaged."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.lazy_array import LazyArray, as_slice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

LARGEST_FILE = 1 << 32  # bytes of a file that is read at once; parts of larger ones are


class NoPlainFile(OSError):
    """A chunk that is no file: a device or pipe, whose reading would not end, or a folder."""


class ZarrPixels(LazyArray):
    """A Zarr array, read by slices."""

    def __init__(self, array: Any, path: Path) -> None:
        self._array, self._path = array, path
        self.shape, self.dtype = tuple(array.shape), np.dtype(array.dtype)

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        forward = [places if places.step > 0 else places[::-1] for places in ranges]
        try:
            pixels = np.asarray(self._array[tuple(map(as_slice, forward))])
        except NoPlainFile as error:
            raise ValueError(f"{self._path.name} is a damaged Zarr folder: {error}.") from None
        except (OSError, MemoryError):
            raise
        except Exception as error:  # a codec can raise anything
            raise ValueError(
                f"{self._path.name} is a damaged Zarr folder: a chunk cannot be decoded; copy it "
                "again from its source."
            ) from error
        return pixels[tuple(slice(None, None, 1 if r.step > 0 else -1) for r in ranges)]


def plain_store(path: Path) -> Any:
    """Return the store of a Zarr folder that reads plain files only."""
    from zarr.storage import LocalStore

    class PlainStore(LocalStore):
        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            _check_plain(self.root / key, whole=byte_range is None)
            return await super().get(key, prototype, byte_range)

    return PlainStore(path, read_only=True)


def _check_plain(file: Path, *, whole: bool) -> None:
    """Refuse what is there but is no plain file that fits into memory."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISREG(found.st_mode):
        raise NoPlainFile(f"{file.name} in it is no file")
    if whole and found.st_size > LARGEST_FILE:
        raise NoPlainFile(f"{file.name} in it has {found.st_size:,} bytes")
