"""One large stack as several tasks: pieces of it, each written to a file that all workers see, and then put together.

A stack is divided where that leaves the answer as it is: where no plane needs the answer of another. What a survey of
the whole stack finds goes with every piece. The pieces lie in a hidden folder beside the output, whose name holds what
they are made from and how; a run that was killed finds there which are done.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.api import iter_chunk
from napari_dip.batch.dask.division import Division, stamp_of
from napari_dip.batch.jobs import DONE_BEFORE, outputs
from napari_dip.batch.one_file import done_before, worked
from napari_dip.batch.pieces_folder import delete_pieces, pieces_folder
from napari_dip.batch.report import recognised
from napari_dip.batch.task import Task, made_by
from napari_dip.errors import DenoiseError
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.files.registry import format_of_name
from napari_dip.files.target import check_room, check_target
from napari_dip.methods.registry import METHODS
from napari_dip.planes.chunk import ChunkedStack
from napari_dip.planes.image_statistics import measure_image
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from napari_dip.batch.jobs import Job
    from napari_dip.batch.one_file import Follow, Outcome
    from napari_dip.images.image import ArrayLike, Image

LARGE = 256 << 20  # bytes of the float32 answer from which a stack is worth the files
PIECES_A_WORKER = 4  # so that one which is slow or lost holds up little


def divided(
    job: Job, task: Task, image: Image, source: dict[str, str], workers: int, large: int = LARGE
) -> Division | None:
    """Divide a stack, as an earlier run did where that was killed; None where it is not worth it or changes the answer.

    Raises
    ------
    ValueError
        For a stack that cannot be denoised.
    OSError
        If the disk has no room for the pieces beside the answer.
    """
    wanted = PIECES_A_WORKER * max(workers, 1)
    stacked = [i for i, letter in enumerate(image.axes) if letter in "TZ" and image.shape[i] > 1]
    how = task.settings
    apart = task.model is not None or (
        task.begin is None and how.method in METHODS and not METHODS[how.method].warm_steps(how)
    )
    if not apart or not stacked or prod(image.shape) * 4 < large:
        return None
    folder = _folder(job, task, source)
    delete_pieces(job.target, keep=folder)
    _check_room(job, task, image, folder)
    stamp = stamp_of(job.source)
    division = Division.kept(folder, source, stamp)
    if division is None:
        axis = max(
            stacked, key=lambda i: min(image.shape[i], wanted)
        )  # the outermost that gives enough of them
        length = image.shape[axis]
        count = min(length, wanted)
        bounds = tuple(length * number // count for number in range(count + 1))
        division = Division(
            folder,
            axis,
            bounds,
            measure_image(image, stabilise=bool(getattr(how, "stabilise", False))),
            source,
            stamp=stamp,
        )
        division.keep()
    return division


def _folder(job: Job, task: Task, source: Mapping[str, str]) -> Path:
    made = {
        **made_by(task),
        "source": dict(source),
        "std": task.std,
        "version": version("napari-dip"),
    }
    return pieces_folder(job.target, json.dumps(made, sort_keys=True, default=str))


def _check_room(job: Job, task: Task, image: Image, folder: Path) -> None:
    kinds, pixels = 1 + (job.std is not None), prod(image.shape)
    there = sum(file.stat().st_size for file in folder.glob("*.tif"))
    answers = (
        pixels * (image.dtype.itemsize if task.dtype == "same" else 4) + (kinds - 1) * pixels * 4
    )
    check_room(
        job.target,
        answers + max(kinds * pixels * 4 - there, 0),
        " with the pieces it is put together from",
    )


def one_piece(division: Division, number: int, job: Job, task: Task, follow: Follow) -> bool:
    """Do one piece, unless it is done; `follow` is called with the whole image.

    Returns
    -------
    bool
        False where it is not wanted any more: another piece has failed, or another run is at work on the output.

    Raises
    ------
    DenoiseError
        If the file is not the one any more that was divided.
    """
    answer, std = division.files(number)
    if not division.folder.exists():
        return False
    if _sound(answer) and (_sound(std) or not std.exists()):
        return True
    notes: list[str] = []
    try:
        image = read(job.source, axes=task.axes)
        _check_unchanged(division, job)
        final, _ = follow(image, notes)
        _check_unchanged(division, job)
        told = {name: getattr(final, name) for name in ("provenance", "step", "chosen", "loss")} | {
            "notes": notes
        }
        if (
            job.std is not None and final.std is not None
        ):  # first: where the answer stands, all of it does
            write(std, replace(final.std, provenance=told), overwrite=True)
        write(answer, replace(final.image, provenance=told), overwrite=True)
    except Exception as error:
        if not division.folder.exists():
            return False
        if isinstance(error, OSError):  # the pieces may be of use once the disk is well again
            raise
        division.drop()
        if not isinstance(error, DenoiseError):  # other content may be what broke it
            _check_unchanged(division, job)
        raise
    return True


def _check_unchanged(division: Division, job: Job, *, thorough: bool = False) -> None:
    if not division.made_from(job.source, thorough=thorough):
        raise DenoiseError(f"{job.source} changed while it was worked on; run it again.")


def _sound(file: Path) -> bool:
    """Say whether a piece is there and can be read: a file system that broke down may have left half of it."""
    try:
        return "provenance" in read_provenance(file) and read(file).shape != ()
    except (OSError, ValueError):
        return False


def narrowed(task: Task, division: Division, number: int) -> Task:
    """Return what is done to one piece: the same, to a part of the image."""
    return replace(task, begin=partial(task.begin or iter_chunk, chunk=division.chunk(number)))


def put_together(division: Division, job: Job, task: Task) -> Outcome:
    """Write the file whose pieces are done, beside them first: half of it, left by a kill, then goes with them.

    Raises
    ------
    DenoiseError
        If the pieces are gone, or the file is not the one any more that they were made from.
    """
    inside = division.folder / f"whole-{secrets.token_hex(4)}"  # another run may be there too
    there = job
    found = format_of_name(job.target)
    if found is not None and not found.folder_signs:
        there = replace(
            job, target=inside / job.target.name, std=job.std and inside / job.std.name, begun=True
        )

    def follow(image: Image, notes: list[str]) -> tuple[Snapshot, bool]:
        return _joined(division, image, notes, std=job.std is not None), False

    try:
        image = read(job.source, axes=task.axes)
        _check_unchanged(division, job, thorough=True)
        outcome = worked(there, task, follow, image, division.source)
        for made, file in zip(
            reversed(outputs(there)), reversed(outputs(job)), strict=True
        ):  # the answer last
            if made != file:
                check_target(file, task.overwrite or job.begun)
                os.replace(made, file)  # noqa: PTH105
    except Exception as error:
        if isinstance(error, FileExistsError) or not division.whole():
            return gone(job, task, error)
        if isinstance(error, DenoiseError):
            division.drop()
        raise
    names = {"output": str(job.target), **({} if job.std is None else {"std": str(job.std)})}
    return replace(
        outcome, record={**outcome.record, **names, "seconds": time.time() - division.begun}
    )


def gone(job: Job, task: Task, error: Exception | None = None) -> Outcome:
    """Return what there is to tell where the pieces are gone: that another run has done the file.

    Raises
    ------
    DenoiseError
        Where it has not.
    """
    if recognised(made_by(task))(job) == DONE_BEFORE:
        return replace(done_before(job), notes=("Another run has done it.",))
    if isinstance(error, FileExistsError):
        raise error
    raise DenoiseError(
        f"The pieces of {job.source} are gone, perhaps since another run works on {job.target}; "
        "run it again once that has ended."
    )


def _joined(division: Division, image: Image, notes: list[str], std: bool) -> Snapshot:
    """Return what the last snapshot would be, had the stack been worked on as a whole."""
    pieces: list[Any] = [
        read_provenance(division.files(number)[0]) for number in range(division.count)
    ]
    made: dict[str, object] = {}
    for piece in pieces:
        made |= piece["provenance"]
        notes += [note for note in piece["notes"] if note not in notes]
    indices = image.plane_indices()
    places = [place for index in indices if isinstance(place := index[division.axis], int)]
    for name in ("steps_planned", "steps_chosen"):
        counts = [iter(piece["provenance"][name]) for piece in pieces]
        made[name] = [next(counts[bisect_right(division.bounds, place) - 1]) for place in places]
    last = pieces[-1]
    before = sum(sum(piece["provenance"]["steps_planned"]) for piece in pieces[:-1])

    def whole(kind: int) -> Image:
        def opened(number: int) -> ArrayLike:
            return read(division.files(number)[kind]).pixels

        pixels = ChunkedStack(image.shape, division.axis, division.bounds, opened)
        return image.with_pixels(pixels, provenance={**image.provenance, **made})

    return Snapshot(
        step=before + last["step"],
        total=sum(sum(piece["provenance"]["steps_planned"]) for piece in pieces),
        loss=last["loss"],
        criterion=None,
        chosen=before + last["chosen"],
        plane=len(indices) - 1,
        planes=len(indices),
        note="",
        provenance=made,
        make_image=partial(whole, 0),
        make_std=partial(whole, 1) if std else None,
    )
