"""From INPUT... and OUT to pairs of files, with every check that can be made before any work starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_dip.batch.checks import check_writable
from napari_dip.errors import UsageError
from napari_dip.files.registry import (
    format_of_name,
    images_under,
    is_image_folder,
    readable_suffixes,
    writable_suffixes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


DONE_BEFORE, BEGUN_BEFORE = "done", "begun"  # what can be known of a job


@dataclass(frozen=True)
class Job:
    """One image to read and the file to write."""

    source: Path
    target: Path
    std: Path | None = None  # the file for the standard deviation, where one is asked for
    done: bool = False  # by an earlier run, from the same content and with the same settings
    begun: bool = False  # by such a run that was cut off: what it left is replaced


def plan(
    inputs: Sequence[Path],
    out: Path,
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    std: bool = False,
    seen: Callable[[Job], str] | None = None,
    pattern: str = "*",
    recursive: bool = True,
) -> list[Job]:
    """Pair every input image with its output.

    Parameters
    ----------
    inputs : sequence of Path
        Images and folders; folders are searched to the bottom, hidden files and folders left out.
    out : Path
        A file for one image, else a folder.
    dtype : {"float32", "same"}
        PNG cannot hold float32, so a PNG in a folder becomes a TIFF then.
    overwrite : bool
        Whether outputs may exist.
    std : bool
        Whether a standard deviation goes beside each output.
    seen : callable, optional
        Asked about each job, where there are several: what it calls `DONE_BEFORE` is left as it is, and what it calls
        `BEGUN_BEFORE` is made anew.
    pattern : str
        Which images of a folder, such as ``*_raw.tif``, or ``day1/*.tif`` for folders of that name.
    recursive : bool
        Whether folders in a folder are searched too.

    Raises
    ------
    UsageError
        With a sentence, when the pairs cannot be made or must not be written.
    """
    for path in inputs:
        if not path.exists():
            raise UsageError(f"There is no file or folder {path}.")
    single = len(inputs) == 1 and _is_image(inputs[0])
    jobs = (
        [_single(inputs[0], out, dtype)]
        if single
        else _many(inputs, out, dtype, pattern, recursive)
    )
    if std:
        jobs = [replace(job, std=std_beside(job.target)) for job in jobs]
    if seen is not None and not single and not overwrite:
        states = [seen(job) for job in jobs]
        jobs = [
            replace(job, done=state == DONE_BEFORE, begun=state == BEGUN_BEFORE)
            for job, state in zip(jobs, states, strict=True)
        ]
    _check_outside_zarr(out if single else out / "image")
    _check_targets(jobs, overwrite)
    check_writable(out.parent if single else out)
    return jobs


def std_beside(target: Path) -> Path:
    """Return the name of the standard deviation of an output."""
    stem = target.stem.removesuffix(".ome") if target.stem.lower().endswith(".ome") else target.stem
    return target.with_name(f"{stem}_std.tif")


def outputs(job: Job) -> list[Path]:
    """List what is written for one image."""
    return [job.target] if job.std is None else [job.target, job.std]


def share(jobs: Sequence[Job], shard: str | None) -> list[Job]:
    """Return the jobs of one of several machines that share them: of shard ``2/8`` every eighth from the second on.

    Raises
    ------
    UsageError
        When the shard is not of the form i/n with 1 <= i <= n.
    """
    if shard is None:
        return list(jobs)
    number, _, count = shard.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(
            f"--shard is {shard!r}; give which of how many, such as 1/8 for the first of eight."
        )
    return list(jobs[int(number) - 1 :: int(count)])


def _single(source: Path, out: Path, dtype: str) -> Job:
    _check_suffix(source)
    if out.is_dir() and not is_image_folder(out):
        raise UsageError(
            f"OUT is a file for one image, but {out} is a folder: give {out / name_of(source, dtype)}."
        )
    kind = format_of_name(out)
    if kind is None or kind.write is None:
        raise UsageError(
            f"OUT is {out}, but images are written as {', '.join(writable_suffixes())}: give it "
            "such an ending."
        )
    if not kind.stores(dtype):
        raise UsageError(
            f"A {kind.name} holds no {dtype}: write {out.with_suffix('.tif')}, or say --dtype same."
        )
    return Job(source, out)


def _many(
    inputs: Sequence[Path], out: Path, dtype: str, pattern: str, recursive: bool
) -> list[Job]:
    if out.exists() and not out.is_dir():
        raise UsageError(
            f"OUT is a folder for several images or a folder of them, but {out} is a file."
        )
    jobs = []
    for path in inputs:
        if not _is_image(path):
            # Those of an OUT inside the folder are results of an earlier run, not inputs.
            nested = out if path.resolve() in out.resolve().parents else None
            found = [
                file
                for file in images_under(path, recursive=recursive, leave_out=nested)
                if file.relative_to(path).match(pattern)
            ]
            if not found:
                which = "" if pattern == "*" else f" that {pattern} fits"
                raise UsageError(
                    f"There is no image{which} in the folder {path}: "
                    f"{', '.join(readable_suffixes())} are read."
                )
            jobs += [
                Job(file, out / file.relative_to(path).parent / name_of(file, dtype))
                for file in found
            ]
        else:
            _check_suffix(path)
            jobs.append(Job(path, out / name_of(path, dtype)))
    return jobs


def _is_image(path: Path) -> bool:
    """Say whether a path can be one image: a file, or a folder in the Zarr format."""
    return path.is_file() or is_image_folder(path)


def name_of(source: Path, dtype: str) -> str:
    """Return the output's name: the input's, but a TIFF where its format cannot hold the values."""
    kind = format_of_name(source)
    fits = kind is not None and kind.stores(dtype)
    return source.name if fits else source.with_suffix(".tif").name


def _check_suffix(source: Path) -> None:
    if format_of_name(source) is None:
        raise UsageError(
            f"{source} is not an image that can be read: {', '.join(readable_suffixes())} are."
        )


def _check_outside_zarr(target: Path) -> None:
    """Refuse a place inside a Zarr image: a file there would spoil it for other programs."""
    for folder in target.absolute().parents:
        if is_image_folder(folder):
            raise UsageError(
                f"{folder} is an image in the Zarr format, not a folder for files: choose another OUT."
            )


def _check_targets(jobs: Sequence[Job], overwrite: bool) -> None:
    """Refuse outputs that would fall on each other, on an input still to be read, or on any file unasked."""
    sources = {job.source.resolve() for job in jobs}
    owner: dict[Path, Path] = {}
    for job, file in [(one, file) for one in jobs for file in outputs(one)]:
        target = file.resolve()
        if target in owner:
            raise UsageError(
                f"{owner[target]} and {job.source} would both be written to {file}: "
                "give a folder above both, or run them apart."
            )
        owner[target] = job.source
        if target == job.source.resolve() and not overwrite:
            raise UsageError(
                f"{file} is the input itself: choose another OUT, or say --overwrite to replace it."
            )
        if target in sources and target != job.source.resolve():
            raise UsageError(
                f"{file}, the output for {job.source}, is another input: choose another OUT."
            )
    taken = [file for job in jobs if not job.done for file in outputs(job) if file.exists()]
    begun = {file for job in jobs if job.begun for file in outputs(job)}
    taken = [file for file in taken if file not in begun]
    if taken and not overwrite:
        more = f" (and {len(taken) - 1} more of the outputs)" if len(taken) > 1 else ""
        raise UsageError(f"{taken[0]}{more} exists: choose another OUT, or say --overwrite.")
    folder = next(
        (target for target in taken if target.is_dir() and not is_image_folder(target)), None
    )
    if folder:
        raise UsageError(
            f"{folder} is a folder where an image would be written: choose another OUT."
        )
