"""How a large stack is divided into pieces, and where they lie until they are put together."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from napari_dip.images.part import Part
from napari_dip.images.stabilise import PoissonGaussian, UnitRange
from napari_dip.images.survey import Survey

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
    found : Survey
        What the whole stack says.
    source : mapping
        Name and hash of the file.
    begun : float
        When this run came to the file, in seconds since 1970.
    """

    folder: Path
    axis: int
    bounds: tuple[int, ...]
    found: Survey
    source: dict[str, str]
    begun: float = field(default_factory=time.time, compare=False)

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return len(self.bounds) - 1

    def files(self, number: int) -> tuple[Path, Path]:
        """Return where the answer of a piece is written, and its standard deviation."""
        name = f"{self.bounds[number]}-{self.bounds[number + 1]}"
        return self.folder / f"{name}.tif", self.folder / f"{name}_std.tif"

    def part(self, number: int) -> Part:
        """Return which part of the stack a piece is."""
        return Part(self.axis, self.bounds[number], self.bounds[number + 1], self.found)

    def share(self, number: int) -> float:
        """Return which share of the stack a piece is."""
        return (self.bounds[number + 1] - self.bounds[number]) / self.bounds[-1]

    def told(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {**asdict(self), "folder": str(self.folder)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Return the division that was told."""
        units = tuple(
            UnitRange(**{**unit, "model": unit["model"] and PoissonGaussian(**unit["model"])})
            for unit in told["found"]["units"]
        )
        found = Survey(**{**told["found"], "units": units})
        return cls(**{**told, "folder": Path(told["folder"]), "bounds": tuple(told["bounds"]), "found": found})

    def drop(self) -> None:
        """Delete the pieces; one at work elsewhere then finds no place for its answer."""
        gone = self.folder.with_name(f"{self.folder.name}-{secrets.token_hex(4)}")
        with suppress(OSError):
            self.folder.rename(gone)  # at once: a file written meanwhile would keep the folder from being deleted
        shutil.rmtree(gone, ignore_errors=True)

    @classmethod
    def kept(cls, folder: Path, source: dict[str, str]) -> Self | None:
        """Return how an earlier run, which was killed, divided the stack; None where there was none."""
        try:
            told = json.loads((folder / DIVISION).read_text("utf-8"))
            return cls.of({**told, "folder": folder, "source": source, "begun": time.time()})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self) -> None:
        """Make the folder and write the division down, for a later run, with as many workers or others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{secrets.token_hex(8)}.part"
        part.write_text(json.dumps(self.told()), "utf-8")
        os.replace(part, self.folder / DIVISION)  # noqa: PTH105
