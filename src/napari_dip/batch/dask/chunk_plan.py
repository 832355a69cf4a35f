"""How a large stack is divided into chunks, and where their answers lie until they are joined."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from napari_dip.batch.chunk_folder import delete_folder
from napari_dip.files.atomic import write_bytes
from napari_dip.files.checksum import sha256_of_image
from napari_dip.planes.chunk import Chunk
from napari_dip.planes.image_statistics import ImageStatistics

PLAN = "plan.json"


@dataclass(frozen=True)
class ChunkPlan:
    """How a stack is divided.

    Attributes
    ----------
    folder : Path
        Where the answers of the chunks lie.
    axis : int
        Along which the stack is divided.
    bounds : tuple of int
        Where each chunk begins, and the end of the last.
    stats : ImageStatistics
        Of the whole stack.
    source : dict
        Name and hash of the file.
    begun : float
        When this run came to the file, in seconds since 1970.
    stamp : tuple of int
        Size and last change of the file at that time, see `file_stamp`.
    """

    folder: Path
    axis: int
    bounds: tuple[int, ...]
    stats: ImageStatistics
    source: dict[str, str]
    begun: float = field(default_factory=time.time, compare=False)
    stamp: tuple[int, ...] = field(default=(), compare=False)

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return len(self.bounds) - 1

    def files(self, number: int) -> tuple[Path, Path]:
        """Return where the answer of a chunk is written, and its standard deviation."""
        name = f"{self.axis}-{self.bounds[number]}-{self.bounds[number + 1]}"
        return self.folder / f"{name}.tif", self.folder / f"{name}_std.tif"

    def is_complete(self) -> bool:
        """Return whether the answers of all chunks are there."""
        return all(self.files(number)[0].exists() for number in range(self.count))

    def is_made_from(self, path: Path, *, thorough: bool = False) -> bool:
        """Return whether a file is what was divided; by size and last change where these agree."""
        if not thorough and file_stamp(path) == self.stamp:
            return True
        return sha256_of_image(path) == self.source["sha256"]

    def chunk(self, number: int) -> Chunk:
        """Return the range of a chunk, with the statistics of the whole stack."""
        return Chunk(self.axis, self.bounds[number], self.bounds[number + 1], self.stats)

    def share(self, number: int) -> float:
        """Return which share of the stack a chunk is."""
        return (self.bounds[number + 1] - self.bounds[number]) / self.bounds[-1]

    def delete(self) -> None:
        """Delete the folder; a chunk at work elsewhere then finds no place for its answer."""
        delete_folder(self.folder)

    def save(self) -> None:
        """Make the folder and write the plan, for a later run with as many workers or others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = TypeAdapter(ChunkPlan).dump_json(self)
        write_bytes(self.folder / PLAN, _digest(content) + b"\n" + content)

    @classmethod
    def load(cls, folder: Path, source: dict[str, str], stamp: tuple[int, ...]) -> ChunkPlan | None:
        """Return the plan of an earlier run, which was killed; None where there is no sound one."""
        try:
            digest, _, content = (folder / PLAN).read_bytes().partition(b"\n")
            if digest != _digest(content):
                return None
            plan = TypeAdapter(ChunkPlan).validate_json(content)
        except (OSError, ValueError):
            return None
        return replace(plan, folder=folder, source=source, stamp=stamp, begun=time.time())


def file_stamp(path: Path) -> tuple[int, ...]:
    """Return number, size and last change of a file, or of all files in a folder together."""
    stats = [file.stat() for file in ([path] if path.is_file() else path.rglob("*"))]
    size = sum(stat.st_size for stat in stats)
    return len(stats), size, max((stat.st_mtime_ns for stat in stats), default=0)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
