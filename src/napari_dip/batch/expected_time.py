"""How long work would take on this machine, from short fits of small images, made once."""

from __future__ import annotations

import math
import time
import warnings
from statistics import median
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from napari_dip.api import iter_chunk
from napari_dip.errors import DenoiseError
from napari_dip.methods.registry import record_of
from napari_dip.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_dip.engine.device import Device
    from napari_dip.images.image import Image
    from napari_dip.settings import Settings

SIDES = {"cpu": (96, 192)}  # pixels, of the two images that are fitted
SIDES_ELSEWHERE = (256, 768)  # a GPU needs as long for fewer pixels
STEPS = 32  # of a fit, as many as a whole fit looks at its image, about
LONGEST = 0.6  # seconds that one of them may take


class Line(NamedTuple):
    """Seconds as a function of the pixels of a plane."""

    start: float
    per_pixel: float

    def at(self, pixels: float) -> float:
        """Return the seconds for so many pixels."""
        return self.start + self.per_pixel * pixels


class Speed(NamedTuple):
    """What was timed: a step, and everything else that is done to a plane."""

    step: Line
    rest: Line


_known: dict[tuple[str, str, bool], Speed] = {}
_one_at_a_time = Lock()


def expected_seconds(
    shape: Sequence[int],
    how: Settings | Model,
    device: Device = "auto",
    *,
    planes: int = 1,
    probe: bool = True,
) -> float | None:
    """Return about how many seconds it takes to denoise an image on this machine.

    Two small synthetic images are denoised once for each choice of settings and device, in at most
    two seconds, whatever the number of steps; what that says is kept as long as the process lives,
    and then the answer takes less than a millisecond. Call it in a thread: it needs no window. A
    fit may end before its last step, and a machine that has other work to do takes longer: the time
    is that of one that has none.

    Parameters
    ----------
    shape : sequence of int
        Of one plane: (Y, X), or (Y, X, C) with the colours that are denoised together.
    how : Settings or Model
        As for `napari_dip.denoise`.
    device : str or torch.device
        As for `napari_dip.denoise`.
    planes : int
        How many planes there are.
    probe : bool
        Whether to time what has not been timed yet.

    Returns
    -------
    float or None
        None where the method can't be tried on one small plane, as a model that needs a stack, and
        without `probe` where it was not timed yet.
    """
    from napari_dip.engine.device import pick_device

    given = how.settings if isinstance(how, Model) else how
    kept = given.model_dump_json(exclude={"steps", "seed"})
    key = f"{given.method} {kept}", str(pick_device(device)), isinstance(how, Model)
    with _one_at_a_time:
        if key not in _known and probe:
            try:
                _known[key] = _time(how, device)
            except (ValueError, DenoiseError):
                return None
    if key not in _known:
        return None
    pixels = float(math.prod(shape))
    return planes * _known[key].rest.at(pixels) + _steps(how, planes) * _known[key].step.at(pixels)


def say_about(seconds: float) -> str:
    """Write an expected duration as no more exact than it is: ``"about 40 s"``."""
    if seconds < 1.5:
        return "about a second"
    units = {"h": 3600, "min": 60, "s": 1}
    unit, length = next((name, n) for name, n in units.items() if seconds >= 1.5 * n)
    value = seconds / length
    nearest = 1 if value < 10 else 5
    return f"about {max(nearest, nearest * round(value / nearest))} {unit}"


def _steps(how: Settings | Model, planes: int) -> int:
    """Return the steps of all planes; those after the first may take fewer."""
    if isinstance(how, Model):
        return planes * how.settings.orientations
    warm: int = record_of(how).warm_steps(how)  # type: ignore[union-attr]
    return how.steps + (planes - 1) * (warm or how.steps)


def _time(how: Settings | Model, device: Device) -> Speed:
    """Denoise two small images, the first one twice: once to load everything."""
    from napari_dip.engine.device import pick_device

    short = how
    if not isinstance(how, Model):
        short = how.model_copy(update={"steps": min(how.steps, STEPS)})
    small, large = SIDES.get(pick_device(device).type, SIDES_ELSEWHERE)
    _time_one(short, device, small, 0.1)
    (step, rest), (long_step, long_rest) = (
        _time_one(short, device, side, LONGEST) for side in (small, large)
    )
    rest_per_pixel = min(max(0.0, (long_rest - rest) / (large**2 - small**2)), long_rest / large**2)
    rest_line = Line(long_rest - rest_per_pixel * large**2, rest_per_pixel)
    if getattr(how, "crop", 0) or getattr(how, "patch", 0):  # a step sees a part of any image
        return Speed(Line(min(step, long_step), 0.0), rest_line)
    return Speed(Line(0.0, long_step / large**2), rest_line)


def _time_one(
    how: Settings | Model, device: Device, side: int, longest: float
) -> tuple[float, float]:
    """Return the seconds of a usual step, and of all else that is done to a plane of that side."""
    from napari_dip.engine.device import pick_device

    # Of this thread alone, so that other work on the computer, such as a run, makes it no longer.
    clock = time.thread_time if pick_device(device).type == "cpu" else time.perf_counter
    began = before = clock()
    durations: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in iter_chunk(_noisy(side), how, device):
            now = clock()
            durations.append(now - before)
            before = now
            if now - began > longest and len(durations) > 2:
                break
    now = clock()
    step = median(durations[1:] or durations)
    return step, max(0.0, now - began - step * len(durations))


def _noisy(side: int) -> Image:
    """Return a disk with photon noise."""
    import numpy as np

    from napari_dip.images.as_image import as_image

    y, x = np.ogrid[:side, :side]
    clean = np.where(np.hypot(y - side / 2, x - side / 2) < side / 3, 40.0, 10.0)
    return as_image(np.random.default_rng(0).poisson(clean).astype(np.float32), "YX")
