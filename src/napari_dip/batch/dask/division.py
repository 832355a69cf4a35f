"""How a large stack is divided into pieces, and where they lie until they are put together."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from napari_dip.batch.pieces_folder import delete_folder
from napari_dip.files.atomic import write_bytes
from napari_dip.files.checksum import sha256
from napari_dip.noise.anscombe import PoissonGaussian, UnitRange
from napari_dip.planes.chunk import Chunk
from napari_dip.planes.image_statistics import ImageStatistics

DIVISION = "division.json"


@dataclass(frozen=True)
class Division:
    """How a stack is divided.

    Attributes
    ----------
    folder : Path
        Where the pieces lie.
    axis : int
        Along which they do.
    bounds : tuple of int
        Where each begins, and the end of the last.
    stats : ImageStatistics
        What the whole stack says.
    source : mapping
        Name and hash of the file.
    begun : float
        When this run came to the file, in seconds since 1970.
    stamp : tuple of int
        Size and last change of the file at that time, see `stamp_of`.
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
        """How many pieces there are."""
        return len(self.bounds) - 1

    def files(self, number: int) -> tuple[Path, Path]:
        """Return where the answer of a piece is written, and its standard deviation."""
        name = f"{self.axis}-{self.bounds[number]}-{self.bounds[number + 1]}"
        return self.folder / f"{name}.tif", self.folder / f"{name}_std.tif"

    def whole(self) -> bool:
        """Say whether all pieces are there."""
        return all(self.files(number)[0].exists() for number in range(self.count))

    def made_from(self, path: Path, *, thorough: bool = False) -> bool:
        """Say whether the file still is what was divided, by size and last change where these are as they were."""
        return (not thorough and stamp_of(path) == self.stamp) or sha256(path) == self.source[
            "sha256"
        ]

    def chunk(self, number: int) -> Chunk:
        """Return which part of the stack a piece is."""
        return Chunk(self.axis, self.bounds[number], self.bounds[number + 1], self.stats)

    def share(self, number: int) -> float:
        """Return which share of the stack a piece is."""
        return (self.bounds[number + 1] - self.bounds[number]) / self.bounds[-1]

    def told(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {**asdict(self), "folder": str(self.folder)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Return the division that was told."""
        ranges = tuple(
            UnitRange(**{**unit, "model": unit["model"] and PoissonGaussian(**unit["model"])})
            for unit in told["stats"]["unit_ranges"]
        )
        stats = ImageStatistics(**{**told["stats"], "unit_ranges": ranges})
        tuples = {name: tuple(told[name]) for name in ("bounds", "stamp")}
        return cls(**{**told, **tuples, "folder": Path(told["folder"]), "stats": stats})

    def drop(self) -> None:
        """Delete the pieces; one at work elsewhere then finds no place for its answer."""
        delete_folder(self.folder)

    @classmethod
    def kept(cls, folder: Path, source: dict[str, str], stamp: tuple[int, ...]) -> Self | None:
        """Return how an earlier run, which was killed, divided the stack; None where that is not known."""
        try:
            told = json.loads((folder / DIVISION).read_text("utf-8"))
            if told.pop("digest") != _digest(told):
                return None
            return cls.of(
                {**told, "folder": folder, "source": source, "begun": time.time(), "stamp": stamp}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(self) -> None:
        """Make the folder and write the division down, for a later run, with as many workers or others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = self.told()
        content = json.dumps({**told, "digest": _digest(told)})
        write_bytes(self.folder / DIVISION, content.encode())


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return number, size and last change of a file, or of all files in a folder together."""
    stats = [file.stat() for file in ([path] if path.is_file() else path.rglob("*"))]
    return (
        len(stats),
        sum(stat.st_size for stat in stats),
        max((stat.st_mtime_ns for stat in stats), default=0),
    )


def _digest(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
