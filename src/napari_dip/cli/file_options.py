"""The flags that all verbs which work on files share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from napari_dip.cli.flags import FILES, MANY, Axes, Device, Json, Quiet, flag
from napari_dip.cli.output import Output
from napari_dip.cli.part_options import NO_PART, PartOptions
from napari_dip.settings import Settings

if TYPE_CHECKING:
    from napari_dip.batch.task import Task
    from napari_dip.cli.run_on_workers import Workers


@Parameter(name="*")
@dataclass(frozen=True)
class FileOptions:
    """The flags of every verb that works on files, beside its settings."""

    out: Annotated[
        Path,
        flag(
            "A file for one image; a folder for one, several, or a folder, whose tree is kept.",
            "--out",
            "-o",
            group=FILES,
        ),
    ]
    device: Device = "auto"
    axes: Axes = None
    part_options: PartOptions = NO_PART
    dtype: Annotated[
        Literal["float32", "same"],
        flag("Type of the values written; `same` rounds and clips to the input's.", group=FILES),
    ] = "float32"
    compression: Annotated[
        Literal["none", "deflate", "zstd", "lzw"] | None,
        flag(
            "How TIFFs are compressed, without loss; not at all by default. Fiji opens deflate and "
            "lzw by itself, zstd with Bio-Formats. OME-Zarr is compressed unless this is none.",
            group=FILES,
        ),
    ] = None
    ome_zarr: Annotated[
        Literal["0.4", "0.5"] | None,
        flag("Version of OME-Zarr that is written; 0.4 by default.", group=FILES),
    ] = None
    overwrite: Annotated[
        bool,
        flag(
            "Replace files that exist. Without it outputs in a folder that were made from the same "
            "content with the same settings are left as done, so that a run that was cut off goes "
            "on where it stopped.",
            group=FILES,
        ),
    ] = False
    dry_run: Annotated[
        bool,
        flag("Say what would be done and how large it gets, and write nothing.", group=MANY),
    ] = False
    shard: Annotated[
        str | None,
        flag(
            "Do every n-th file from the i-th on, such as 2/8: for several machines or a queue's "
            "array.",
            group=MANY,
        ),
    ] = None
    workers: Annotated[
        int | None,
        flag(
            "Do so many files at once, or chunks of a large stack, each in a process of its own "
            "here; needs the extra distributed.",
            group=MANY,
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        flag(
            "Have the workers of a dask scheduler do the files, such as tcp://host:8786; they must "
            "see the same paths.",
            group=MANY,
        ),
    ] = None
    pattern: Annotated[
        str,
        flag(
            "Which images of a folder, such as `*_raw.tif`; `day1/*.tif` asks for the folder too.",
            group=MANY,
        ),
    ] = "*"
    recursive: Annotated[
        bool, Parameter(help="Whether the folders in a folder are searched too.", group=MANY)
    ] = True
    json: Json = False
    quiet: Quiet = False

    @property
    def output(self) -> Output:
        """Where text goes."""
        return Output(self.json, self.quiet)

    def spread(self) -> "Workers | None":
        """Return where the work is spread to, None where it is not."""
        from napari_dip.cli.run_on_workers import check_workers

        return check_workers(self.workers, self.scheduler)

    def task(self, settings: Settings, **more: Any) -> "Task":
        """Return the work that the flags and `settings` ask for; `more` are other fields."""
        from napari_dip.batch.task import Task

        names = [
            *("device", "axes", "dtype", "compression", "ome_zarr", "overwrite"),
            *("dry_run", "shard", "pattern", "recursive"),
        ]
        given = {name: getattr(self, name) for name in names}
        return Task(settings, **given, part=self.part_options.part, **more)
