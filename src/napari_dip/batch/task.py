"""What is done to every file of a run, and by what provenance its outputs are recognised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_dip.errors import UsageError
from napari_dip.files.inputs import ALL, names_several
from napari_dip.images.part import WHOLE, Part, left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dip.batch.jobs import Job
    from napari_dip.images.image import Image
    from napari_dip.planes.chunk import Chunk
    from napari_dip.restore.common import Restoration
    from napari_dip.settings import Settings
    from napari_dip.snapshot import Snapshot


@dataclass(frozen=True)
class Task:
    """What is done to every file.

    Attributes
    ----------
    begin : callable, optional
        Starts the work on an image, called as `iter_denoise`, which it is by default; where planes
        are worked on one by one also as `napari_dip.api.iter_chunk`.
    prepare : callable, optional
        Of a restoration: checks and measures an image, and returns what works on it as a whole or
        by ranges, called with the settings and the device.
    check : callable, optional
        Raises a ValueError for an image that the work cannot be done on.
    outline : callable, optional
        Returns an image of the answer's shape, where that is another.
    made : dict, optional
        What is added to the provenance of the outputs, and expected of those that exist already,
        where `begin` or `prepare` is given.
    model : Path, optional
        The trained model that is applied.
    orientations : {1, 2, 4, 8}, optional
        Flips and quarter turns that the model averages, where not as many as it names.
    restoration : dict, optional
        What else than denoising is done: the verb and its options, see
        `napari_dip.batch.restore_tasks`.
    std : bool
        Whether the standard deviation of every pixel is written beside each output.
    compression, ome_zarr
        How outputs are stored, see `napari_dip.files.read_write.write`.
    keep : bool
        Whether planes of a stack that are done are kept beside its output, so that a run which was
        cut off goes on there.
    pattern, recursive
        Which images of a folder, see `napari_dip.batch.jobs.plan_jobs`.
    part : Part
        Which part of each file; outputs of one part are not taken for those of another.
    """

    settings: Settings
    device: str = "auto"
    axes: str | None = None
    dtype: str = "float32"
    compression: str | None = None
    ome_zarr: str | None = None
    overwrite: bool = False
    dry_run: bool = False
    shard: str | None = None
    begin: Callable[..., Iterator[Snapshot]] | None = None
    prepare: Callable[..., Restoration] | None = None
    check: Callable[[Image], object] | None = None
    outline: Callable[[Image], Image] | None = None
    made: dict[str, object] | None = None
    model: Path | None = None
    orientations: Literal[1, 2, 4, 8] | None = None
    restoration: dict[str, Any] | None = None
    std: bool = False
    keep: bool = True
    pattern: str = "*"
    recursive: bool = True
    part: Part = WHOLE

    def read(self, job: Job) -> Image:
        """Read the part of a job's file that is asked for."""
        from napari_dip.files.read_write import read

        part = self.part if job.series is None else replace(self.part, series=job.series)
        image = read(job.source, axes=self.axes, **part.given())
        taken = image.provenance.get("part")
        if self.part.series != ALL or not isinstance(taken, dict):
            return image
        of_series = {"series": taken.get("series")}
        remarks = tuple(one for one in image.remarks if one != left_out(of_series))
        return replace(image, remarks=remarks)  # the others have jobs of their own

    def snapshots(self, image: Image, chunk: Chunk | None = None) -> Iterator[Snapshot]:
        """Yield the snapshots of the work on an image, or on a chunk of it.

        Bad input is refused before the first. Of a restoration see `prepare`.
        """
        from napari_dip import api

        if self.prepare is not None:
            yield from self.prepare(image, how=self.settings, device=self.device).work(chunk)
        elif chunk is None:
            begin = self.begin or api.iter_denoise
            yield from begin(image, how=self.settings, device=self.device)
        else:
            begin = self.begin or api.iter_chunk
            yield from begin(image, how=self.settings, device=self.device, chunk=chunk)

    def recorded_options(self) -> dict[str, object]:
        """Return what the provenance of an output holds beside the settings."""
        # Which of several images an output holds is in its name: others may be asked for later.
        part = replace(self.part, series=None) if names_several(self.part.series) else self.part
        given = part.given() or None
        return {"values": self.dtype, "axes_given": self.axes, "part_given": given}

    def expected_provenance(self) -> dict[str, object]:
        """Return by what provenance an output is recognised; empty where it cannot be."""
        made = self.made or (
            {} if self.begin or self.prepare else {"settings": self.settings.to_json()}
        )
        return {**made, **self.recorded_options()} if made else {}


def with_model(task: Task, path: Path) -> Task:
    """Apply a trained model instead of a fit.

    Raises
    ------
    UsageError
        If the file is no model.
    """
    from napari_dip.models.model import load_model

    try:
        model = load_model(path)
        if task.orientations is not None:
            model = model.with_orientations(task.orientations)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error

    def begin(
        image: Image, how: Settings, device: str, chunk: Chunk | None = None
    ) -> Iterator[Snapshot]:
        from napari_dip.api import iter_chunk

        return iter_chunk(image, model, device, chunk)

    made: dict[str, object] = {"settings": model.settings.to_json(), "model": model.to_provenance()}
    return replace(task, settings=model.settings, begin=begin, made=made, model=path)
