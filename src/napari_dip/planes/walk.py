"""Process an image plane by plane, and put the answers into one stack, Snapshot by Snapshot."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.errors import DenoiseError, lack_of_memory
from napari_dip.images.image import ArrayLike, Image, PlaneIndex
from napari_dip.planes.canvas import Canvas, as_dask
from napari_dip.planes.image_statistics import ImageStatistics, is_blank
from napari_dip.settings import Settings
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.engine.out_of_memory import MemoryPlan
    from napari_dip.noise.unit_range import ColourRanges, UnitRange

    Fit = Callable[[Tensor, UnitRange | ColourRanges, PlaneIndex], Iterator[Step]]
    Finish = Callable[[NDArray[np.float64], PlaneIndex], NDArray[np.float64]]
    ToPixels = Callable[[Step], NDArray[np.floating[Any]] | None]

OUT_OF_MEMORY = {
    "computer": "The computer ran out of memory; crop the image, take fewer channels, or close "
    "other programs.",
    "GPU": "The GPU ran out of memory; crop the image, take fewer channels, or take device cpu.",
}
NO_NOISE = "A plane that has no noise that could be measured is left as it is."
NO_ANSWER = (
    "The work broke: its answer has pixels that are no numbers. Take a smaller learning rate, "
    "another model, or the CPU as device."
)
READ_EVERY = 10  # steps between Snapshots on a GPU, where reading a loss waits for the device


@dataclass(frozen=True)
class PlaneTask:
    """What is done to every plane of an image.

    Attributes
    ----------
    fit : callable
        Takes a plane (C, Y, X) on the device, in the unit range, its `UnitRange` and its index;
        returns the steps of its fit.
    canvas : Image, optional
        What the answer starts as, where not as the source: with as many planes, in the same order.
    finish : callable, optional
        Takes an answer (C, Y, X) in intensities and its index; returns what is shown.
    steps : int or sequence of int, optional
        Steps of every plane, or of each in turn, where not those of the settings. A fit may plan
        others when it begins, see `napari_dip.engine.loop.Step`; the total then follows.
    note : str
        Sentences for the user, beside those of the image's statistics.
    provenance : mapping
        Its part of the provenance, ready for JSON.
    plan : MemoryPlan, optional
        How the run copes with little memory; the fit may ask it how large its tiles may be.
    late_provenance : callable
        Takes the planes so far; returns the part of the provenance known only during the work.
    late_note : callable
        Takes all planes; returns sentences for the user known once the last one has begun.
    """

    fit: Fit
    canvas: Image | None = None
    finish: Finish | None = None
    steps: int | Sequence[int] | None = None
    note: str = ""
    provenance: Mapping[str, object] = field(default_factory=dict)
    plan: MemoryPlan | None = None
    late_provenance: Callable[[list[PlaneIndex]], Mapping[str, object]] = lambda indices: {}
    late_note: Callable[[list[PlaneIndex]], str] = lambda indices: ""


def walk_planes(
    source: Image, how: Settings, task: PlaneTask, device: torch.device, stats: ImageStatistics
) -> Iterator[Snapshot]:
    """Process plane by plane; yield a Snapshot a step, of a float32 stack that starts as the input.

    A stack too large for memory lies in a temporary file; its Snapshots' pixels are then read from
    there by the plane (see `napari_dip.planes.canvas.Picture`). A `DenoiseError` says that the
    computation failed, such as for lack of memory.
    """
    yield from translate_errors(_snapshots(source, how, task, device, stats))


def translate_errors(snapshots: Iterator[Snapshot]) -> Iterator[Snapshot]:
    """Turn torch's errors into `DenoiseError`: napari swallows a RuntimeError."""
    try:
        yield from snapshots
    except (MemoryError, RuntimeError) as error:
        sentence = OUT_OF_MEMORY.get(lack_of_memory(error), f"The computation failed: {error}")
        raise DenoiseError(sentence) from error


def _snapshots(
    source: Image, how: Settings, task: PlaneTask, device: torch.device, stats: ImageStatistics
) -> Iterator[Snapshot]:
    from napari_dip.engine.filters import ended_at_nan, thinned
    from napari_dip.engine.malloc import keep_freed_memory
    from napari_dip.engine.out_of_memory import MemoryPlan, with_fallbacks

    plan = task.plan or MemoryPlan(device)
    indices, canvas = source.plane_indices(), Canvas(task.canvas or source)
    lazy = hasattr(source.pixels, "dask")
    stds = Canvas(_nan_like(canvas.start)) if how.std_from != "none" else None
    note = " ".join(text for text in (*source.remarks, stats.note, task.note) if text)
    whole = {name: of for name, of in source.provenance.items() if name == "part"}
    static = {**_provenance(how, device, stats), **task.provenance, **whole}
    steps = task.steps or how.steps
    planned = [steps] * len(indices) if isinstance(steps, int) else list(steps)
    chosen: list[int] = []
    done = 0  # steps of the planes before
    every = 1 if device.type == "cpu" else READ_EVERY
    with keep_freed_memory(device):
        for number, index in enumerate(indices):
            begin, answer, std = _prepare_plane(source, index, task, plan, stats, canvas)
            for nth, step in enumerate(ended_at_nan(thinned(with_fallbacks(begin, plan), every))):
                if nth == 0 and number == len(indices) - 1:
                    note = f"{note} {task.late_note(indices)}".strip()
                planned[number] = step.planned or planned[number]
                if nth == 0 or step.output is not None:  # once for all planes so far is dear
                    late = task.late_provenance(indices[: number + 1])
                provenance = {
                    **static,
                    **plan.to_json(),
                    **late,
                    "steps_planned": planned[: number + 1],
                    "steps_chosen": [*chosen, step.chosen],
                }
                stack = partial(_stack, number=number, provenance=provenance, lazy=lazy)
                yield Snapshot(
                    step=done + step.index,
                    total=sum(planned),
                    loss=float(step.loss),
                    criterion=step.criterion,
                    chosen=done + step.chosen,
                    plane=number,
                    planes=len(indices),
                    note=" ".join(text for text in (note, step.note) if text),
                    provenance=provenance,
                    make_image=partial(stack, canvas, partial(answer, step)),
                    make_std=partial(stack, stds, partial(std, step)) if stds else None,
                )
                note = ""  # once is enough
            canvas.put(answer(step))
            if stds is not None:
                stds.put(std(step))
            chosen.append(step.chosen)
            done += planned[number]


def _prepare_plane(
    source: Image,
    index: PlaneIndex,
    task: PlaneTask,
    plan: MemoryPlan,
    stats: ImageStatistics,
    canvas: Canvas,
) -> tuple[Callable[[], Iterator[Step]], ToPixels, ToPixels]:
    """Read a plane; return what begins its fit, and what turns a step into answer and deviation."""
    import torch

    unit_range, plane = stats.unit_range(source, index), source.plane(index)
    blank = is_blank(plane)
    noisy = plane if blank else stats.repair(source, index)
    y = torch.as_tensor(np.ascontiguousarray(unit_range.to_unit(noisy)), dtype=torch.float32)
    padding = None if blank else unit_range.padding(noisy)

    def begin() -> Iterator[Step]:
        on_device = y.to(plan.device)  # the plan may have come to another one
        if blank:
            return skip_plane(on_device)
        return task.fit(on_device, unit_range, index)

    def answer(step: Step) -> NDArray[np.floating[Any]] | None:
        if not step.chosen:  # the input, which stands there exactly
            return None
        pixels = unit_range.from_unit(_to_numpy(step.answer))
        if not np.isfinite(pixels).all():  # the loss may be a number all the same
            raise DenoiseError(NO_ANSWER)
        pixels = pixels if padding is None else np.where(padding, noisy, pixels)
        return canvas.start.plane_like(task.finish(pixels, index) if task.finish else pixels)

    def std(step: Step) -> NDArray[np.floating[Any]] | None:
        if blank:  # of no known error: NaN stands there
            return None
        if step.std is None:  # a plane without noise has no error
            return None if step.chosen else np.zeros_like(canvas.start.plane_like(plane))
        middle, half = _to_numpy(step.answer), _to_numpy(step.std)
        # The map back to intensities is curved: a deviation grows by its slope at the answer.
        difference = unit_range.from_unit(middle + half) - unit_range.from_unit(middle - half)
        return canvas.start.plane_like(difference / 2)

    return begin, answer, std


def skip_plane(y: Tensor, note: str = "") -> Iterator[Step]:
    """Return the one step of a plane that stays as it is."""
    from napari_dip.engine.loop import Step

    return iter([Step(1, y.new_zeros(()), y, y, 0, note=note)])


def _to_numpy(image: Tensor) -> NDArray[np.float64]:
    """Return a tensor as float64; to the CPU first, since Apple's GPU has no float64."""
    return np.asarray(image.cpu().double().numpy())


def _nan_like(image: Image) -> Image:
    """Return an image of NaN that takes no memory."""
    return image.with_pixels(np.broadcast_to(np.float32(np.nan), image.shape))


def _stack(
    canvas: Canvas,
    plane: Callable[[], NDArray[np.floating[Any]] | None],
    number: int,
    provenance: dict[str, object],
    lazy: bool,
) -> Image:
    """Return the stack with `plane` as its plane `number`; a copy where it is held in memory.

    Of a source that dask holds it is a dask array, which reads a plane when that is computed.
    """
    picture = canvas.picture(number, plane())
    start = canvas.start
    pixels: ArrayLike = picture
    if lazy:
        pixels = as_dask(picture, start)
    elif not canvas.in_file:
        pixels = np.asarray(picture)
    return start.with_pixels(pixels, provenance={**start.provenance, **provenance})


def _provenance(how: Settings, device: torch.device, stats: ImageStatistics) -> dict[str, object]:
    """Return what made the answer, ready for JSON; noise is a list where channels are several."""
    from napari_dip.engine.device import describe_device

    models = [model for unit_range in stats.unit_ranges for model in unit_range.models]
    noise = [m and {"gain": m.gain, "variance": m.variance} for m in models]
    measured = [
        # Levels in full: three digits would not tell them apart above a large offset.
        {**_rounded(one.to_json()), "levels": list(one.levels)}
        for channel in stats.noises
        for one in channel
    ]
    packages = {name: version(name) for name in ("napari-dip", "torch", "numpy")}
    return {
        "settings": how.to_json(),
        **describe_device(device),
        "noise": noise if len(noise) > 1 else noise[0],
        "measured_noise": measured if len(measured) > 1 else measured[0],
        "noise_is_correlated": stats.noise_is_correlated,
        "planes_with_line_offsets": stats.uneven_lines,
        "hot_pixels": stats.hot_pixels,
        "versions": {"python": platform.python_version(), **packages},
    }


def _rounded(value: Any) -> Any:
    """Round all numbers to three digits: more than is known of a noise, and short in a header."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value
