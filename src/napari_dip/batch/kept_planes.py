"""The planes of a stack that are done are kept beside the output until that is whole.

So a run that was killed goes on where it was cut off, be it of a fit, a model or a restoration: the
next one with the same content and settings takes the planes from there. They lie in the folder of
`napari_dip.batch.chunk_folder`, in files of as many planes as take a few seconds. Where a plane
starts from the weights of the one before, those lie beside the last file.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.batch.chunk_folder import chunk_folder, delete_chunks
from napari_dip.batch.join import (
    ENDS,
    join_notes,
    join_parts,
    join_provenance,
    join_steps,
    own_note,
    record_of_part,
)
from napari_dip.files.read_write import read, read_provenance, write
from napari_dip.files.target import has_room
from napari_dip.images.image import Image, PlaneIndex
from napari_dip.methods.registry import METHODS
from napari_dip.planes.chunk import Chunk, ChunkedStack
from napari_dip.planes.image_statistics import ImageStatistics, measure_image
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from napari_dip.batch.jobs import Job
    from napari_dip.batch.task import Task

SHORT, LONG = 2.0, 8.0  # seconds; files of planes that took less get more planes, and fewer above
WEIGHTS = "napari-dip-weights"


def key_of(task: Task, source: dict[str, str]) -> str:
    """Return what the planes of an output are made from and how, as a text."""
    import json

    made = {
        **task.expected_provenance(),
        "source": source,
        "std": task.std,
        "version": version("napari-dip"),
    }
    return json.dumps(made, sort_keys=True, default=str)


def measure_whole(image: Image, task: Task) -> ImageStatistics:
    """Measure the stack that parts are worked on of, as its method asks for."""
    return measure_image(
        image,
        stabilise=bool(getattr(task.settings, "stabilise", False)),
        straighten=True,
        keep_hot_pixels=task.settings.keeps_hot_pixels,
    )


def can_be_kept(job: Job, task: Task, image: Image, folder: Path) -> bool:
    """Return whether planes are done one by one, and the disk has room for them twice."""
    stacked = prod(n for a, n in zip(image.axes, image.shape, strict=True) if a in "TZ")
    fitted = task.begin is None and METHODS.get(task.settings.method) is not None
    by_plane = task.model is not None or task.prepare is not None or fitted
    size = prod(_outline(task, image).shape) * 4 * len(job.outputs)
    return (
        task.keep
        and by_plane
        and stacked > 1
        and has_room(job.target, 2 * size - _size_of_parts(folder))
    )


def keep_planes(job: Job, task: Task, image: Image, source: dict[str, str]) -> Iterator[Snapshot]:
    """Yield the snapshots of the work on an image, and keep each plane of a stack that is done.

    The answer is that of the stack as a whole: all parts get its statistics.
    """
    folder = chunk_folder(job.target, key_of(task, source))
    if not can_be_kept(job, task, image, folder):
        yield from task.snapshots(image)
        return
    delete_chunks(job.target, keep=folder)
    if task.prepare is None:
        stats = measure_whole(image, task)
        walk = _Walk(folder, task, image, stats, partial(task.snapshots, image))
    else:
        made = task.prepare(image, how=task.settings, device=task.device)
        walk = _Walk(folder, task, image, None, made.work, made.unreached)
    yield from walk.snapshots()


def _outline(task: Task, image: Image) -> Image:
    return task.outline(image) if task.outline else image


def _bounds_of_parts(folder: Path) -> dict[int, int]:
    """Return the first plane of each part that lies in a folder, and the one after its last."""
    named = (file.stem.partition("-") for file in folder.glob("*-*.tif"))
    return {
        int(start): int(stop)
        for start, _, stop in named
        if start.isdecimal() and stop.isdecimal()  # others are chunks
    }


def _size_of_parts(folder: Path) -> int:
    return sum(
        file.stat().st_size
        for start, stop in _bounds_of_parts(folder).items()
        for file in folder.glob(f"{start}-{stop}*.tif")
    )


@dataclass
class _Part:
    """Some planes that are done: places along T and Z, counted in the order of storage."""

    start: int
    stop: int
    record: dict[str, Any]
    images: tuple[Image | Path, ...]  # the answer, and its deviation; on disk where there is room

    def pixels(self, kind: int) -> Any:
        image = self.images[kind]
        return image.pixels if isinstance(image, Image) else read(image).pixels


@dataclass
class _Walk:
    """A stack, and which of its planes are done."""

    folder: Path
    task: Task
    image: Image
    stats: ImageStatistics | None  # of the whole, which a restoration has by itself
    work: Callable[[Chunk], Iterator[Snapshot]]
    unreached: Callable[[tuple[Any, ...]], Any] | None = None
    parts: list[_Part] = field(default_factory=list)
    weights: Any = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        axes = [i for i, a in enumerate(self.image.axes) if a in "TZ"]
        self.axes, self.lengths = axes, [self.image.shape[i] for i in axes]
        self.count = prod(self.lengths)
        record = METHODS.get(self.task.settings.method)
        self.is_warm = bool(
            self.task.model is None and record and record.warm_steps(self.task.settings)
        )

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield what the stream of the whole would, at whatever plane it begins."""
        self._find_parts()
        for record in [part.record for part in self.parts]:
            for note in filter(None, map(own_note, record["notes"])):
                yield replace(self._last(), note=note)
        at, size = self.parts[-1].stop if self.parts else 0, 1
        while at < self.count:
            stop = min(at + size, at - at % self.lengths[-1] + self.lengths[-1])
            begun, last = time.monotonic(), None
            notes: dict[str, None] = {}
            in_whole = self._in_whole(at, stop)
            for last in self._begin(at, stop):
                notes[last.note] = None
                yield in_whole(last)
            assert last is not None
            self.parts.append(self._keep(last, at, stop, list(filter(None, notes))))
            seconds = time.monotonic() - begun
            size = size * 2 if seconds < SHORT else max(1, size // 2) if seconds > LONG else size
            at = stop
        yield self._last()

    def _begin(self, start: int, stop: int) -> Iterator[Snapshot]:
        inner, *outer = reversed(list(zip(self.axes, self._place(start), strict=True)))
        chunk = Chunk(
            inner[0],
            inner[1],
            inner[1] + stop - start,
            self.stats,
            {axis: range(place, place + 1) for axis, place in outer},
            carried=self.weights if self.is_warm else None,
        )
        return self.work(chunk)

    def _place(self, number: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(number, self.lengths))

    def _number_of(self, index: PlaneIndex) -> int:
        place = [i for axis, i in enumerate(index) if axis in self.axes and isinstance(i, int)]
        return int(np.ravel_multi_index(place, self.lengths))

    def _files(self, start: int, stop: int) -> tuple[Path, Path, Path]:
        name = f"{start}-{stop}"
        return tuple(self.folder / f"{name}{end}" for end in (".tif", "_std.tif", ".safetensors"))  # type: ignore[return-value]

    def _keep(self, final: Snapshot, start: int, stop: int, notes: list[str]) -> _Part:
        """Write a part, or hold it in memory where that fails: the work goes on all the same."""
        record = record_of_part(final, notes)
        images = [final.image] if final.std is None else [final.image, final.std]
        *files, weights = self._files(start, stop)
        made: tuple[Image | Path, ...] = tuple(files[: len(images)])
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.is_warm:
                _write_weights(weights, self.weights)
            # The answer last: where it stands, all of it does.
            for file, image in reversed(list(zip(files, images, strict=False))):
                write(file, replace(image, provenance=record), overwrite=True)
            for before in self.parts[-1:]:
                self._files(before.start, before.stop)[2].unlink(missing_ok=True)
        except OSError:
            made = tuple(images)
        return _Part(start, stop, record, made)

    def _find_parts(self) -> None:
        """Take what an earlier run has kept, as far as it goes without a gap."""
        starts = _bounds_of_parts(self.folder)
        at, found = 0, []
        while at in starts:
            files = self._files(at, starts[at])
            images = files[:2] if files[1].exists() else files[:1]
            try:
                record = read_provenance(files[0])
                if {*record} != {*ENDS, "notes"}:
                    break
                for image in images:
                    read(image)
            except (OSError, ValueError):  # a file system that broke down may have left half of it
                break
            found.append(_Part(at, starts[at], record, tuple(images)))
            at = starts[at]
        if found and self.is_warm and not self._read_weights(found[-1]):
            return
        self.parts = found

    def _read_weights(self, part: _Part) -> bool:
        from napari_dip.models.safetensors_file import read_tensors

        try:
            tensors = read_tensors(self._files(part.start, part.stop)[2])
        except (OSError, ValueError):
            return False
        for name, tensor in tensors.items():
            channel, seed, visible, weight = name.split("/", 3)
            of_fit = self.weights[int(channel), int(seed)]
            of_fit.setdefault(int(visible), {})[weight] = tensor
        return True

    def _places(self, stop: int) -> list[int]:
        """Return the place of each plane before one, in the order of planes."""
        places = map(self._number_of, self.image.plane_indices())
        return [place for place in places if place < stop]

    def _numbers(self, stop: int) -> Iterator[int]:
        """Yield the number of the part of each plane before a place, in the order of planes."""
        starts = [part.start for part in self.parts]
        yield from (bisect_right(starts, place) - 1 for place in self._places(stop))

    def _in_whole(self, start: int, stop: int) -> Callable[[Snapshot], Snapshot]:
        """Return what turns snapshots of some planes into those of the stack."""
        parts, records = self.parts[:], [part.record for part in self.parts]
        before = join_steps(records)["total"] if records else 0
        # Once for all steps, of which there are many.
        done = [{"provenance": join_provenance(records, self._numbers(start))}] if records else []
        numbers = [len(done) if place >= start else 0 for place in self._places(stop)]

        def in_whole(part: Snapshot) -> Snapshot:
            a_place = part.planes // (stop - start)
            left = (self.count - stop) * a_place * part.total // part.planes
            provenance = join_provenance([*done, record_of_part(part, ())], numbers)

            def make(kind: int) -> Image:
                now = part.std if kind else part.image
                assert now is not None
                image = self._stack([*parts, _Part(start, stop, {}, (now, now))], kind)
                return replace(image, provenance={**image.provenance, **provenance})

            return replace(
                part,
                step=before + part.step,
                total=before + part.total + left,
                chosen=before + part.chosen,
                plane=start * a_place + part.plane,
                planes=self.count * a_place,
                note=own_note(part.note),
                provenance=provenance,
                make_image=partial(make, 0),
                make_std=partial(make, 1) if part.make_std else None,
            )

        return in_whole

    def _last(self) -> Snapshot:
        """Return the snapshot of what is done so far, as if the stack had been done as a whole."""
        records, stop = [part.record for part in self.parts], self.parts[-1].stop
        whole, std = partial(self._stack, self.parts[:]), len(self.parts[0].images) > 1
        planes = len(self.image.plane_indices())
        final = join_parts(records, self._numbers(stop), planes, whole, std=std)
        notes = join_notes(records, final.provenance) if stop == self.count else ()
        return replace(final, note=notes[-1]) if notes else final

    def _stack(self, parts: list[_Part], kind: int) -> Image:
        """Return the stack with what parts hold; elsewhere the input, and NaN for its deviation."""
        bounds = [0, *(part.stop for part in parts)]
        whole = _outline(self.task, self.image)
        unreached = self.unreached or (lambda index: self.image.pixels[index])

        def elsewhere(index: tuple[Any, ...]) -> Any:
            return np.float32(np.nan) if kind else unreached(index)

        def open_part(number: int) -> Any:
            return parts[number].pixels(kind)

        return whole.with_pixels(ChunkedStack(whole.shape, self.axes, bounds, open_part, elsewhere))


def _write_weights(file: Path, weights: Any) -> None:
    from napari_dip.models.safetensors_file import write_tensors

    tensors = {
        f"{channel}/{seed}/{visible}/{name}": tensor
        for (channel, seed), of_fit in weights.items()
        for visible, state in of_fit.items()
        for name, tensor in state.items()
    }
    write_tensors(file, tensors, WEIGHTS, {})
