"""From INPUT... and OUT to pairs of files, with every check that can be made before any work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from napari_dip.batch.check_options import check_writable
from napari_dip.errors import UsageError
from napari_dip.files.inputs import one_of_each_image, resolve_pattern, series_numbers
from napari_dip.files.read_write import list_series
from napari_dip.files.registry import (
    format_of,
    format_of_name,
    images_in,
    images_under,
    is_image_folder,
    is_one_image,
    readable_suffixes,
    writable_suffixes,
)
from napari_dip.files.series import choose_series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DONE_BEFORE, BEGUN_BEFORE = "done", "begun"  # what can be known of a job
HOLDS_STD = "the standard deviation of every pixel"  # in the provenance of such a file


@dataclass(frozen=True)
class Job:
    """One image to read and the file to write."""

    source: Path
    target: Path
    std: Path | None = None  # the file for the standard deviation, where one is asked for
    done: bool = False  # by an earlier run, from the same content and with the same settings
    begun: bool = False  # by such a run that was interrupted: what it left is replaced
    series: int | None = None  # which image of the file, where a run does several of them

    @property
    def outputs(self) -> list[Path]:
        """The files that are written."""
        return [self.target] if self.std is None else [self.target, self.std]


def plan_jobs(
    inputs: Sequence[Path],
    out: Path,
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    std: bool = False,
    earlier_state: Callable[[Job], str] | None = None,
    pattern: str = "*",
    recursive: bool = True,
    series: int | str | None = None,
    into_folder: bool = False,
) -> list[Job]:
    """Pair every input image with its output.

    Parameters
    ----------
    inputs : sequence of Path
        Images, folders, and patterns where no file has such a name; folders are searched to the
        bottom, hidden files and folders left out.
    out : Path
        A file for one image, or a folder: one that is there, or a name without an ending.
    dtype : {"float32", "same"}
        PNG cannot hold float32, so a PNG in a folder becomes a TIFF then.
    overwrite : bool
        Whether outputs may exist.
    std : bool
        Whether a standard deviation goes beside each output.
    earlier_state : callable, optional
        Is called with each job: one that it returns `BEGUN_BEFORE` for is gone on with, and one of
        several that it returns `DONE_BEFORE` for is left as it is.
    pattern : str
        Which images of a folder, such as ``*_raw.tif``, or ``day1/*.tif`` for folders of that name.
    recursive : bool
        Whether folders in a folder are searched too.
    series : int or str, optional
        Which images of files that hold several; those of ``"all"`` or a range are jobs of their
        own, and OUT is a folder then.
    into_folder : bool
        Whether OUT is a folder whatever its name.

    Raises
    ------
    UsageError
        When the pairs cannot be made or must not be written.
    """
    try:
        inputs = [path for given in inputs for path in resolve_pattern(given)]
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    chosen = {path: taken for path in inputs if (taken := _images_by_name(path, series))}
    if len(inputs) == 1 and len(chosen.get(inputs[0], ())) == 1:
        inputs, into_folder = chosen[inputs[0]], into_folder or _is_folder_name(out)
        chosen = {inputs[0]: inputs}
    single = len(inputs) == 1 and is_one_image(inputs[0])
    single = single and not into_folder and not _is_folder_name(out)
    if single:
        jobs = [_single_job(inputs[0], out, dtype)]
    else:
        jobs = _folder_jobs(inputs, out, dtype, pattern, recursive, chosen)
    if chosen:  # whose images are known by now
        alone = {image for images in chosen.values() for image in images}
        jobs = [replace(job, series=0) if job.source in alone else job for job in jobs]
    jobs = [one for job in _each_image(jobs, dtype) for one in _each_series(job, series)]
    jobs = _with_own_names(jobs)
    if single and len(jobs) > 1:
        problem = f"is a folder for several images, as the {len(jobs)} of {inputs[0]} are"
        raise UsageError(problem, "give it a name without an ending", option="out")
    if std:
        jobs = [replace(job, std=std_beside(job.target)) for job in jobs]
    if earlier_state is not None and not overwrite:
        states = [earlier_state(job) for job in jobs]
        jobs = [
            replace(job, done=state == DONE_BEFORE and not single, begun=state == BEGUN_BEFORE)
            for job, state in zip(jobs, states, strict=True)
        ]
    _check_outside_zarr(out if single else out / "image")
    _check_distinct(jobs, overwrite)
    _check_free(jobs, overwrite)
    check_writable(out.parent if single else out)
    return jobs


def std_beside(target: Path) -> Path:
    """Return the name of the standard deviation of an output."""
    return target.with_name(f"{_without_suffix(target.name)}_std.tif")


def _without_suffix(name: str) -> str:
    """Return a file's name without its ending, which may be one of two parts, such as .ome.tif."""
    stem = PurePath(name).stem
    return stem[: -len(".ome")] if stem.lower().endswith(".ome") else stem


def output_name(source: Path, dtype: str) -> str:
    """Return the input's name, but that of a TIFF where its format cannot hold the values."""
    kind = format_of_name(source)
    fits = kind is not None and kind.stores(dtype)
    return source.name if fits else source.with_suffix(".tif").name


def _with_own_names(jobs: list[Job]) -> list[Job]:
    """Give the TIFF of a picture, such as a preview, its whole name where a TIFF has its stem."""
    count = Counter(job.target for job in jobs)
    return [
        replace(job, target=job.target.with_name(f"{job.source.name}.tif"))
        if count[job.target] > 1 and job.source.suffix != job.target.suffix
        else job
        for job in jobs
    ]


def take_shard(jobs: Sequence[Job], shard: str | None) -> list[Job]:
    """Return one machine's share of the jobs: of shard ``2/8`` every eighth from the second on."""
    if shard is None:
        return list(jobs)
    number, _, count = shard.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(
            f"is {shard!r}; give which of how many, such as 1/8 for the first of eight.",
            option="shard",
        )
    return list(jobs[int(number) - 1 :: int(count)])


def _is_folder_name(out: Path) -> bool:
    """Return whether OUT is a folder for files: one that is there, or a name without an ending."""
    if out.exists():
        return out.is_dir() and not is_image_folder(out)
    return not out.suffix


def _single_job(source: Path, out: Path, dtype: str) -> Job:
    _check_readable(source)
    kind = format_of_name(out)
    if kind is None or kind.write is None:
        problem = f"is {out}, but images are written as {', '.join(writable_suffixes())}"
        raise UsageError(problem, "give it such an ending", option="out")
    if not kind.stores(dtype):
        raise UsageError(
            f"A {kind.name} holds no {dtype}", f"write {out.with_suffix('.tif')}", "same dtype"
        )
    return Job(source, out)


def _each_image(jobs: Sequence[Job], dtype: str) -> list[Job]:
    """Leave out files of images that other jobs stand for."""
    by_source = {job.source: job for job in jobs}
    if len(by_source) < len(jobs):  # a file given twice, which is refused later
        return list(jobs)
    found = []
    for given, head in one_of_each_image(by_source):
        job = by_source[given]
        if head != given and len(jobs) > 1:
            job = replace(job, target=job.target.with_name(output_name(head, dtype)))
        found.append(replace(job, source=head))
    return found


def _images_by_name(path: Path, series: int | str | None) -> list[Path]:
    """Return those images of a plate or collection that are asked for, by number or name."""
    if series is None or not is_image_folder(path) or is_one_image(path):
        return []
    images = images_in(path)
    numbers = series_numbers(path, series)
    try:
        return [images[n] for n in numbers or [choose_series(list_series(path), series, path.name)]]
    except ValueError as error:
        raise UsageError(str(error)) from error


def _each_series(job: Job, series: int | str | None) -> list[Job]:
    """Return a job for each image of a file that is wanted."""
    if job.series is not None:
        return [job]
    numbers = series_numbers(job.source, series)
    if numbers is None:
        return [job]
    if len(numbers) == 1:
        return [replace(job, series=numbers[0])]
    stem = _without_suffix(job.target.name)
    suffix = job.target.name.removeprefix(stem)
    names = [f"{stem}_series{number}{suffix}" for number in numbers]
    return [
        replace(job, series=number, target=job.target.with_name(name))
        for number, name in zip(numbers, names, strict=True)
    ]


def _folder_jobs(
    inputs: Sequence[Path],
    out: Path,
    dtype: str,
    pattern: str,
    recursive: bool,
    chosen: Mapping[Path, Sequence[Path]],
) -> list[Job]:
    if out.exists() and not out.is_dir():
        problem = f"is a folder for several images or a folder of them, but {out} is a file."
        raise UsageError(problem, option="out")
    kind = format_of_name(out)
    if kind and not out.exists() and not kind.folder_signs:
        problem = f"is a folder for several images, but {out} is named as a file"
        raise UsageError(problem, "give it a name without such an ending", option="out")
    jobs = []
    for path in inputs:
        if is_one_image(path):
            _check_readable(path)
            jobs.append(Job(path, out / output_name(path, dtype)))
            continue
        # Those of an OUT inside the folder are results of an earlier run, not inputs.
        nested = out if path.resolve() in out.resolve().parents else None
        under = images_under(path, recursive=recursive, leave_out=nested)
        images = list(chosen.get(path, under))
        images = [file for file in images if file.relative_to(path).match(pattern)]
        images = [file for file in images if not _is_std(file)]
        if not images:
            which = "" if pattern == "*" else f" that {pattern} fits"
            raise UsageError(
                f"There is no image{which} in the folder {path}: "
                f"{', '.join(readable_suffixes())} are read."
            )
        jobs += [
            Job(file, out / _place(file.relative_to(path)) / output_name(file, dtype))
            for file in images
        ]
    return jobs


def _place(file: Path) -> Path:
    """Return where in the tree a result goes; in that of a plate no folder is named as an image."""
    kinds = (format_of_name(Path(part)) for part in file.parent.parts)
    return Path(
        *(
            Path(part).stem if kind is not None and kind.folder_signs else part
            for part, kind in zip(file.parent.parts, kinds, strict=True)
        )
    )


def _is_std(file: Path) -> bool:
    """Return whether an earlier run has written a file beside an answer, as its deviation."""
    if not file.name.endswith("_std.tif"):
        return False
    from napari_dip.files.read_write import read_provenance

    try:
        return read_provenance(file).get("holds") == HOLDS_STD
    except (OSError, ValueError):  # said when it is read
        return False


def _check_readable(source: Path) -> None:
    if format_of(source) is None:
        raise UsageError(
            f"{source} is not an image that can be read: {', '.join(readable_suffixes())} are; "
            "save other formats as OME-TIFF with Fiji (Bio-Formats)."
        )


def _check_outside_zarr(target: Path) -> None:
    """Refuse a place inside a Zarr image: a file there would spoil it for other programs."""
    for folder in target.absolute().parents:
        if is_image_folder(folder):
            problem = f"{folder} is an image in the Zarr format, not a folder for files"
            raise UsageError(problem, "other output")


def _check_distinct(jobs: Sequence[Job], overwrite: bool) -> None:
    """Refuse outputs that would fall on each other, or on an input that is still to be read."""
    sources = {job.source.resolve() for job in jobs}
    owner: dict[Path, Path] = {}
    for job, file in [(one, file) for one in jobs for file in one.outputs]:
        target, source = file.resolve(), job.source.resolve()
        if target in owner:
            raise UsageError(
                f"{owner[target]} and {job.source} would both be written to {file}",
                "give a folder above both",
                "run them apart",
            )
        owner[target] = job.source
        if target == source and not overwrite:
            raise UsageError(f"{file} is the input itself", "other output", "replace input")
        if target in sources and target != source:
            problem = f"{file}, the output for {job.source}, is another input"
            raise UsageError(problem, "other output")


def _check_free(jobs: Sequence[Job], overwrite: bool) -> None:
    """Refuse to replace files without leave, and folders at all."""
    taken = [
        file
        for job in jobs
        if not job.done and not job.begun
        for file in job.outputs
        if file.exists()
    ]
    if taken and not overwrite:
        more = f" (and {len(taken) - 1} more of the outputs)" if len(taken) > 1 else ""
        raise UsageError(f"{taken[0]}{more} exists", "other output", "overwrite")
    for file in taken:
        if file.is_dir() and not is_image_folder(file):
            problem = f"{file} is a folder where an image would be written"
            raise UsageError(problem, "other output")
