"""`train` and `iter_train`: noisy images in, Snapshots and a Model out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.images.nearby import ALONG
from napari_dip.images.part import Part
from napari_dip.methods.registry import TRAINED
from napari_dip.planes.walk import translate_errors
from napari_dip.settings import IDDP, Trained
from napari_dip.snapshot import Snapshot, last_with_warnings, with_progress_bar

if TYPE_CHECKING:
    from napari_dip.data_sets.dataset import Dataset
    from napari_dip.engine.device import Device
    from napari_dip.models.model import Model

SAVE_EVERY = 60.0  # seconds between checkpoints


def train(
    source: Any, how: Trained | None = None, *, progress: bool = False, **choices: Any
) -> Model:
    """Train a denoiser on noisy images, and return it.

    Parameters
    ----------
    source : path-like, array-like, Image or sequence of these
        Noisy images; see `iter_train`.
    how : IDDP, N2V, Nb2Nb, N2N or Supervised, optional
        Method and settings, ``IDDP()`` by default.
    progress : bool
        Whether a bar shows the steps; needs the package tqdm.
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
    snapshots = iter_train(source, how, **choices)
    final = last_with_warnings(with_progress_bar(snapshots) if progress else snapshots)
    model: Model = final.model
    return model


def iter_train(
    source: Any,
    how: Trained | None = None,
    *,
    targets: Any = None,
    preview: Any = None,
    device: Device = "auto",
    axes: str | None = None,
    samples: Sequence[str] | None = None,
    series: int | str | None = None,
    channel: int | str | None = None,
    time: int | str | None = None,
    plane: int | str | None = None,
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
        Noisy images: files, folders, patterns such as ``"raw/*.tif"``, arrays. Planes along T and Z
        are samples of their own; with `how.neighbours` the network sees those around each. Sizes
        and types may be mixed; files are read a crop at a time.
    how : IDDP, N2V, Nb2Nb, N2N or Supervised, optional
        Method and settings, ``IDDP()`` by default.
    targets : like `source`, optional
        For `N2N` a second capture of each image (else its repeats along T), for `Supervised` its
        clean image, in the same order.
    preview : Image or array-like, optional
        What the Snapshots show denoised; by default the middle of the first plane. Of `axes` where
        they fit it, as a plane beside stacks they do not.
    device : str or torch.device
        ``"auto"``, ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    axes : str, optional
        A letter an axis, where data do not say.
    samples : sequence of str, optional
        For the FMD data set: beginnings of the samples' names, or ``"all"``.
    series, channel, time, plane : int or str, optional
        Which part of each file, as for `read`; ``series="all"`` takes every image of a file that
        holds several.
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
        One a step. Its `image` is the preview, `criterion` the validation error: the mean squared
        error on hidden pixels of crops that training leaves out, in units of the noise's variance
        as it was estimated: near 1 only the noise is left. Its `model` is the Model if training
        stopped there.

    Raises
    ------
    ValueError, OSError
        At the call.
    DenoiseError
        During the work, if it breaks, or collapses and cannot be saved.

    Notes
    -----
    Where torch's default process group is set up, its processes share every batch, and `how.batch`
    is that of all of them together: the result is that of one process, up to rounding. All must
    call this with the same arguments and read to the end, or stop at the same step; the first one
    writes the checkpoints.
    """
    how = IDDP() if how is None else how
    _check(how, targets, checkpoint_every)
    target = TRAINED[how.method].target
    from napari_dip.training.crops import Crops
    from napari_dip.training.preview import Preview
    from napari_dip.training.processes import current_group
    from napari_dip.training.snapshots import CheckpointWriter, TrainingRun
    from napari_dip.training.state import State

    group = current_group()
    with group.fail_together():
        group.share(how.batch)
        chosen = group.pick_device(device)
        part = Part(series, channel, time, plane)
        data = _measured_dataset(source, targets, how, axes, samples, part)
        # A target's noise is independent of the image's, however far pixels share it.
        learned = how.start == "blind-spot" and not target
        holes = data.holes(how.stabilise) if learned else (0,)
        state = State(how, data.channels, chosen, holes)
        crops = Crops(
            data,
            how.crop,
            stabilise=how.stabilise,
            second=target,
            held_out_share=how.held_out_share,
            generator=state.generator,
            holes=holes,
        )
        if checkpoint is not None and resume:
            state.load(checkpoint, data.fingerprint())
        if preview is None:
            shown = Preview.from_data(data, how)
        else:
            shown = Preview.from_image(preview, how, data.channels, axes, part)
    group.check_same(settings=how.to_json(), data=data.fingerprint(), checkpoint=state.step)
    checkpoints = None
    if checkpoint is not None and group.is_first:
        save = partial(state.save, checkpoint, data.fingerprint())
        checkpoints = CheckpointWriter(save, checkpoint_every)
    texts = {"description": description, "licence": licence}
    run = TrainingRun(state, data, crops, shown, texts, checkpoints, group)
    return translate_errors(run.snapshots())


def _measured_dataset(
    source: Any,
    targets: Any,
    how: Trained,
    axes: str | None,
    samples: Sequence[str] | None,
    part: Part,
) -> Dataset:
    """Return what is trained on, with its noise measured."""
    target = TRAINED[how.method].target
    data = build_dataset(
        source,
        targets,
        second=target,
        together=how.colours == "together",
        axes=axes,
        samples=samples,
        keep_hot_pixels=how.keeps_hot_pixels,
        part=part,
    )
    # Repeats along T are each other's targets, so that none may be seen beside another.
    along = "Z" if target == "capture" and targets is None else ALONG
    data = data.with_neighbours(how.neighbours, along)
    return data.without_small_planes(how.crop).with_noise(how.stabilise)


def _check(how: Any, targets: Any, checkpoint_every: float) -> None:
    if getattr(how, "method", None) not in TRAINED:
        raise ValueError(
            f"how is {how!r}; give settings of a trained method, such as IDDP() or N2V(steps=400)."
        )
    if targets is not None and not TRAINED[how.method].target:
        raise ValueError(
            f"{how.title} ({how.method}) learns from the noisy images alone and takes no targets: "
            "leave them out, or take the method n2n for second captures, or supervised for clean "
            "images."
        )
    if not checkpoint_every >= 0:  # no number (nan) is not either
        raise ValueError(f"checkpoint_every is {checkpoint_every:g}; give seconds, 0 or more.")
