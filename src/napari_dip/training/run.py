"""`train` and `iter_train`: noisy images in, Snapshots and a Model out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.images.dataset import Dataset
from napari_dip.images.gather import gather
from napari_dip.planes import translated
from napari_dip.settings import IDDP, N2N, Supervised, Trained
from napari_dip.snapshot import Snapshot, last

if TYPE_CHECKING:
    from napari_dip.engine.patches import Crops
    from napari_dip.model import Model
    from napari_dip.nets.blurred import BlurredUNet
    from napari_dip.training.preview import Preview
    from napari_dip.training.state import State

SAVE_EVERY = 60.0  # seconds between checkpoints
READ_EVERY = 10  # steps between Snapshots on a GPU, where reading a loss waits for the device
NO_NOISE = "Left out, since no noise could be measured in them: {}."
SMOOTH_NOISE = (
    "The noise of neighbouring pixels is correlated in {}: part of it looks like structure and will stay. Train on the "
    "raw data if there are any, bin them by 2 first, or take the preset correlated of iddp."
)


def train(source: Any, how: Trained | None = None, **choices: Any) -> Model:
    """Train a denoiser on noisy images, and return it.

    Parameters
    ----------
    source : path-like, array-like, Image or sequence of these
        Noisy images; see `iter_train`.
    how : IDDP, N2V, Nb2Nb, N2N or Supervised, optional
        Method and settings, ``IDDP()`` by default.
    choices
        The others of `iter_train`.

    Returns
    -------
    Model
        To be given to `denoise`, and to be saved.

    Raises
    ------
    ValueError, OSError
        For data that cannot be trained on, before any work starts.
    DenoiseError
        If training breaks, or collapses and cannot be saved.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dip import IDDP, denoise, train
    >>> noisy = np.random.default_rng(0).poisson(20, (4, 64, 64))
    >>> model = train(noisy, IDDP(steps=2, channels=4))
    >>> denoise(noisy[0], model).shape
    (64, 64)
    """
    model: Model = last(iter_train(source, how, **choices)).model
    return model


def iter_train(
    source: Any,
    how: Trained | None = None,
    *,
    targets: Any = None,
    preview: Any = None,
    device: str = "auto",
    axes: str | None = None,
    samples: Sequence[str] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: float = SAVE_EVERY,
    resume: bool = False,
    description: str = "",
    licence: str = "",
) -> Iterator[Snapshot]:
    """Train step by step.

    Parameters
    ----------
    source : path-like, array-like, Image or sequence of these
        Noisy images: files, folders, patterns such as ``"raw/*.tif"``, arrays. Planes along T and Z are samples of
        their own. Sizes and types may be mixed; files are read a crop at a time.
    how : IDDP, N2V, Nb2Nb, N2N or Supervised, optional
        Method and settings, ``IDDP()`` by default.
    targets : like `source`, optional
        For `N2N` a second capture of each image (else its repeats along T), for `Supervised` its clean image, in the
        same order.
    preview : Image or array-like, optional
        What the Snapshots show denoised; by default the middle of the first plane.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    axes : str, optional
        A letter an axis, where data do not say.
    samples : sequence of str, optional
        For the FMD data set: beginnings of the samples' names, or ``"all"``.
    checkpoint : Path, optional
        A ``.safetensors`` file that is written now and then and at the end.
    checkpoint_every : float
        Seconds between two of them; 0 writes one a step.
    resume : bool
        Whether to go on from that file.
    description, licence : str
        Free texts for the model file.

    Yields
    ------
    Snapshot
        One a step. Its `image` is the preview, `criterion` the validation error: the mean squared error on hidden
        pixels of crops that training leaves out, in units of the noise's variance as it was estimated: near 1 only the
        noise is left. Its `model` is the Model if training stopped there.

    Raises
    ------
    ValueError, OSError
        At the call.
    DenoiseError
        During the work, if it breaks, or collapses and cannot be saved.
    """
    how = IDDP() if how is None else how
    if not isinstance(how, Trained):
        raise ValueError(f"how is {how!r}; give settings of a trained method, such as IDDP() or N2V(steps=400).")
    from napari_dip.engine.device import pick_device
    from napari_dip.training.preview import Preview
    from napari_dip.training.state import State

    chosen = pick_device(device)
    data = gather(
        source,
        targets,
        targets_are_clean=isinstance(how, Supervised),
        repeats=isinstance(how, N2N),
        together=how.colours == "together",
        axes=axes,
        samples=samples,
    )
    data, blank = data.with_noise(how.stabilise)
    state = State(how, data.channels, chosen)
    crops = _crops(data, how, state)
    if checkpoint is not None and resume:
        state.load(checkpoint, data.mark())
    shown = Preview.of(data, how) if preview is None else Preview.of_image(preview, how, data.channels)
    texts = {"description": description, "licence": licence}
    save = None if checkpoint is None else Saver(partial(state.save, checkpoint, data.mark()), checkpoint_every)
    return translated(_run(state, data, crops, shown, save, texts, blank))


def _crops(data: Dataset, how: Trained, state: State) -> Crops:
    from napari_dip.engine.patches import Crops

    second = "capture" if isinstance(how, N2N) else "clean" if isinstance(how, Supervised) else ""
    return Crops(
        data,
        how.crop,
        stabilise=how.stabilise,
        second=second,
        held_out_share=how.held_out_share,
        generator=state.generator,
    )


def named(names: list[str]) -> str:
    """Name the first three, and say how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _run(
    state: State,
    data: Dataset,
    crops: Crops,
    shown: Preview,
    save: Saver | None,
    texts: dict[str, str],
    blank: list[str],
) -> Iterator[Snapshot]:
    from napari_dip.engine.filters import thinned
    from napari_dip.engine.ladder import Plan
    from napari_dip.engine.memory import kept_memory
    from napari_dip.training.steps import Progress, training_steps_anywhere

    smooth = data.smooth_noise()
    remarks = [SMOOTH_NOISE.format(", ".join(smooth[:3]))] if smooth else []
    note = " ".join([NO_NOISE.format(named(blank)), *remarks] if blank else remarks)
    record = {"settings": state.settings.described(), "device": str(state.device)}
    progress, plan, statistics = Progress(), Plan(state.device), dict[str, Any]()
    every = 1 if state.device.type == "cpu" else READ_EVERY
    try:
        with kept_memory(state.device):
            for step in thinned(training_steps_anywhere(state, crops, progress, plan), every):
                if not statistics:
                    statistics = data.statistics(state.settings.stabilise, bool(smooth))
                net = state.answer()
                training = {"steps": step.index, "data": data.summary(), "device": str(state.device)}
                yield Snapshot(
                    step=step.index,
                    total=state.settings.steps,
                    loss=float(step.loss),
                    criterion=step.criterion,
                    chosen=step.index,
                    plane=0,
                    planes=1,
                    note=" ".join(text for text in (note, step.note) if text),
                    provenance={**record, **plan.told(), "steps": step.index},
                    make_image=partial(shown.denoised, net),
                    measures=dict(progress.measures),
                    noisy=shown.noisy,
                    make_model=partial(_model, net, state, statistics, training, texts),
                )
                note = ""
                if save:
                    save.now_and_then()
    except GeneratorExit:  # Stop, between two steps
        if save and state.step:
            save.write()
        raise
    state.watch.at_the_end(state.settings.steps)
    if save:
        save.write()


class Saver:
    """Write a checkpoint when the last one is old."""

    def __init__(self, write: Callable[[], None], every: float) -> None:
        self.write, self.every, self.last = write, every, time.monotonic()

    def now_and_then(self) -> None:
        """Write one if it is time."""
        if time.monotonic() - self.last >= self.every:
            self.write()
            self.last = time.monotonic()


def _model(
    net: BlurredUNet, state: State, statistics: dict[str, Any], training: dict[str, Any], texts: dict[str, str]
) -> Model:
    from napari_dip.model import Model, versions

    training = {**training, "versions": versions()}
    return Model(deepcopy(net).cpu(), state.settings, state.channels, statistics, training, **texts)
