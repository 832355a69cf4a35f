"""Process the planes of an image one by one, and put the answers into one stack, Snapshot by Snapshot."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.errors import DenoiseError, lack_of_memory
from napari_dip.images.image import Image, PlaneIndex
from napari_dip.noise.hot_pixels import replace_hot_pixels
from napari_dip.planes.canvas import Canvas
from napari_dip.planes.image_statistics import ImageStatistics, is_blank
from napari_dip.settings import Settings
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_dip.engine.loop import Step
    from napari_dip.engine.out_of_memory import Plan
    from napari_dip.noise.anscombe import UnitRange

    Fit = Callable[
        [Tensor, UnitRange, PlaneIndex], Iterator[Step]
    ]  # fits one plane (C, Y, X), in the unit range
    Finish = Callable[[NDArray[np.float64], PlaneIndex], NDArray[np.float64]]
    ToPixels = Callable[[Step], NDArray[np.floating[Any]] | None]

SHORT = {
    "computer": "The computer ran out of memory; crop the image, take fewer channels, or close other programs.",
    "GPU": "The GPU ran out of memory; crop the image, take fewer channels, or take device cpu.",
}
NO_NOISE = "A plane that has no noise that could be measured is left as it is."
READ_EVERY = 10  # steps between Snapshots on a GPU, where reading a loss waits for the device


@dataclass(frozen=True)
class Work:
    """What is done to every plane.

    Attributes
    ----------
    fit : callable
        Takes a plane (C, Y, X) on the device, in the unit range, its `UnitRange` and its index;
        returns the steps of its fit.
    canvas : Image, optional
        What the answer starts as, where it is not the source: with as many planes, in the same
        order.
    finish : callable, optional
        Takes an answer (C, Y, X) in intensities and its index; returns what is shown.
    steps : int or sequence of int, optional
        Steps a plane, or of each plane in turn, where not those of the settings. A fit may plan
        others when it begins, see `napari_dip.engine.loop.Step`; the total then follows.
    note : str
        What a user should know before, beside what the image's statistics say.
    record : mapping
        Its part of the provenance, ready for JSON.
    plan : Plan, optional
        How the run copes with the memory there is; the fit may ask it how large its tiles may be.
    late_record : callable
        Returns the part of the provenance that is known only on the way.
    """

    fit: Fit
    canvas: Image | None = None
    finish: Finish | None = None
    steps: int | Sequence[int] | None = None
    note: str = ""
    record: Mapping[str, object] = field(default_factory=dict)
    plan: Plan | None = None
    late_record: Callable[[], Mapping[str, object]] = dict


def walk_planes(
    source: Image, how: Settings, work: Work, device: torch.device, stats: ImageStatistics
) -> Iterator[Snapshot]:
    """Process plane by plane; the answers land in one float32 stack that starts as the input.

    A stack too large to be held in memory lies in a temporary file; its Snapshots' pixels are then
    read from there by the plane (see `napari_dip.planes.canvas.Picture`).

    Parameters
    ----------
    source : Image
        The noisy image.
    how : Settings
        For the number of steps and the provenance.
    work : Work
        What is done to every plane.
    device : torch.device
        Where the planes are put.
    stats : ImageStatistics
        Of `source`, as `measure_image` returns them.

    Yields
    ------
    Snapshot
        One a step.

    Raises
    ------
    DenoiseError
        If the computation fails, such as for lack of memory.
    """
    yield from with_own_errors(_snapshots(source, how, work, device, stats))


def with_own_errors(snapshots: Iterator[Snapshot]) -> Iterator[Snapshot]:
    """Turn torch's errors into ours: napari swallows a RuntimeError, and running out of memory is one."""
    try:
        yield from snapshots
    except (MemoryError, RuntimeError) as error:
        sentence = SHORT.get(lack_of_memory(error), f"The computation failed: {error}")
        raise DenoiseError(sentence) from error


def _snapshots(
    source: Image, how: Settings, work: Work, device: torch.device, stats: ImageStatistics
) -> Iterator[Snapshot]:
    from napari_dip.engine.filters import thinned
    from napari_dip.engine.malloc import kept_memory
    from napari_dip.engine.out_of_memory import Plan, laddered

    plan = work.plan or Plan(device)
    indices, canvas = source.plane_indices(), Canvas(work.canvas or source)
    stds = Canvas(_unknown(canvas.start)) if how.std_from != "none" else None
    note = " ".join(text for text in (stats.note, work.note) if text)
    record = {**_provenance(how, device, stats), **work.record}
    chosen: list[int] = []
    steps = work.steps or how.steps
    planned = [steps] * len(indices) if isinstance(steps, int) else list(steps)
    done, total = 0, sum(planned)
    every = 1 if device.type == "cpu" else READ_EVERY
    with kept_memory(device):
        for number, index in enumerate(indices):
            begin, answer, std = _prepare(source, index, work, plan, stats, canvas)
            for step in thinned(laddered(begin, plan), every):
                total += (step.planned or planned[number]) - planned[number]
                planned[number] = step.planned or planned[number]
                counts = {
                    "steps_planned": planned[: number + 1],
                    "steps_chosen": [*chosen, step.chosen],
                }
                made = {**record, **plan.told(), **work.late_record(), **counts}
                show = partial(_picture, canvas, number, partial(answer, step), made)
                show_std = (
                    partial(_picture, stds, number, partial(std, step), made) if stds else None
                )
                yield Snapshot(
                    step=done + step.index,
                    total=total,
                    loss=float(step.loss),
                    criterion=step.criterion,
                    chosen=done + step.chosen,
                    plane=number,
                    planes=len(indices),
                    note=step.note or note,
                    provenance=made,
                    make_image=show,
                    make_std=show_std,
                )
                note = ""  # once is enough
            canvas.put(answer(step))
            if stds is not None:
                stds.put(std(step))
            chosen.append(step.chosen)
            done += planned[number]


def _prepare(
    source: Image,
    index: PlaneIndex,
    work: Work,
    plan: Plan,
    stats: ImageStatistics,
    canvas: Canvas,
) -> tuple[Callable[[], Iterator[Step]], ToPixels, ToPixels]:
    """Read a plane; return what begins its fit, and what makes a step's answer and deviation pixels of the stack."""
    import torch

    unit, plane = stats.unit(source, index), source.plane(index)
    blank = is_blank(plane)
    noisy = plane if blank else replace_hot_pixels(plane)[0]
    y = torch.as_tensor(np.ascontiguousarray(unit.to_unit(noisy)), dtype=torch.float32)
    padding = unit.padding(noisy)

    def begin() -> Iterator[Step]:
        here = y.to(plan.device)  # the device that the plan has come to
        return leave_as_it_is(here, std=here) if blank else work.fit(here, unit, index)

    def answer(step: Step) -> NDArray[np.floating[Any]] | None:
        if not step.chosen:  # the input, which stands there exactly
            return None
        pixels = unit.from_unit(_to_numpy(step.answer))
        pixels = pixels if padding is None else np.where(padding, noisy, pixels)
        return canvas.start.plane_like(work.finish(pixels, index) if work.finish else pixels)

    def std(step: Step) -> NDArray[np.floating[Any]] | None:
        if step.std is None:  # a plane without noise is as sure as it gets
            return None if step.chosen else np.zeros_like(canvas.start.plane_like(plane))
        middle, half = _to_numpy(step.answer), _to_numpy(step.std)
        # The map back to intensities is curved: a deviation grows by its slope at the answer.
        slope = unit.from_unit(middle + half) - unit.from_unit(middle - half)
        return canvas.start.plane_like(slope / 2)

    return begin, answer, std


def leave_as_it_is(y: Tensor, note: str = "", std: Tensor | None = None) -> Iterator[Step]:
    """Return the one step of a plane that is not fitted; `std` is what is known of its error."""
    from napari_dip.engine.loop import Step

    return iter([Step(1, y.new_zeros(()), y, y, 0, note=note, std=std)])


def _to_numpy(image: Tensor) -> NDArray[np.float64]:
    """Return a tensor as float64; to the CPU first, since Apple's GPU has no float64."""
    return np.asarray(image.cpu().double().numpy())


def _unknown(image: Image) -> Image:
    """Return an image of NaN that takes no memory."""
    return image.with_pixels(np.broadcast_to(np.float32(np.nan), image.shape))


def _picture(
    canvas: Canvas,
    done: int,
    answer: Callable[[], NDArray[np.floating[Any]] | None],
    made: dict[str, object],
) -> Image:
    """Show the stack with the answer of the plane under work; a copy where that is held in memory anyway."""
    picture = canvas.picture(done, answer())
    pixels = picture if canvas.in_file else np.asarray(picture)
    return canvas.start.with_pixels(pixels, provenance={**canvas.start.provenance, **made})


def _provenance(how: Settings, device: torch.device, stats: ImageStatistics) -> dict[str, object]:
    """Return what made the answer, ready for JSON; the noise is a list where there are several channels."""
    models = [unit.model for unit in stats.units]
    noise = [m and {"gain": m.gain, "variance": m.variance} for m in models]
    names = ("napari-dip", "torch", "numpy")
    return {
        "settings": how.to_json(),
        "device": str(device),
        "noise": noise if len(noise) > 1 else noise[0],
        "noise_is_correlated": stats.noise_is_smooth,
        "hot_pixels": stats.hot_pixels,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in names},
        },
    }
