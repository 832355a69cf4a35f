"""The flags that the verbs which work on files share.

(No ``from __future__ import annotations``: cyclopts reads the annotations, and many are made at run time.)
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from napari_dip.cli.flags import (
    AXES,
    DEVICE,
    DRY_RUN,
    DTYPE,
    JSON,
    OUT,
    OVERWRITE,
    PATTERN,
    QUIET,
    RECURSIVE,
    SCHEDULER,
    SHARD,
    WORKERS,
    flagged,
)
from napari_dip.cli.output import Talk
from napari_dip.settings import Settings

if TYPE_CHECKING:
    from napari_dip.batch.task import Task
    from napari_dip.cli.workers import Spread


@Parameter(name="*")
@dataclass(frozen=True)
@flagged(
    out=OUT,
    device=DEVICE,
    axes=AXES,
    dtype=DTYPE,
    overwrite=OVERWRITE,
    dry_run=DRY_RUN,
    shard=SHARD,
    workers=WORKERS,
    scheduler=SCHEDULER,
    pattern=PATTERN,
    recursive=RECURSIVE,
    json=JSON,
    quiet=QUIET,
)
class Call:
    """The flags of every verb that works on files, beside its settings."""

    out: Path
    device: str = "auto"
    axes: str | None = None
    dtype: str = "float32"
    overwrite: bool = False
    dry_run: bool = False
    shard: str | None = None
    workers: int | None = None
    scheduler: str | None = None
    pattern: str = "*"
    recursive: bool = True
    json: bool = False
    quiet: bool = False

    @property
    def talk(self) -> Talk:
        """Who tells how it goes."""
        return Talk(self.json, self.quiet)

    @property
    def to(self) -> "Spread | None":
        """Where the work is spread to, None where it is not."""
        from napari_dip.cli.workers import spread_of

        return spread_of(self.workers, self.scheduler)

    def task(self, settings: Settings, **more: Any) -> "Task":
        """Return the work that the flags and `settings` ask for; `more` are other fields of `Task`."""
        from napari_dip.batch.task import Task

        names = ("device", "axes", "dtype", "overwrite", "dry_run", "shard", "pattern", "recursive")
        return Task(settings, **{name: getattr(self, name) for name in names}, **more)
