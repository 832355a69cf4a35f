"""The event that flows from every method to every reader."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from napari_dip.images.image import Image


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where the work stands, and the answer if it stopped now.

    Attributes
    ----------
    step : int
        Steps done so far over all planes, from 1.
    total : int
        Steps planned over all planes; the work may end earlier.
    loss : float
        What the optimiser minimises, in units of the (stabilised) image mapped to [0, 1].
    criterion : float or None
        What the stopping rule watches (lower is better), where there is one.
    chosen : int
        The step whose answer `image` is, counted like `step`; where a plane has no answer yet, the steps before it.
    plane, planes : int
        The plane under work, from 0, and how many there are.
    note : str
        A sentence for the user, such as why the fit went back or ended.
    std : Image or None
        How far off `image` may be: a standard deviation for every pixel, of its axes, scale and units, NaN in planes
        not reached; None where the settings ask for none.
    provenance : dict
        What made the image, ready for JSON: method, settings, seed, device, versions, step chosen.
    measures : mapping of str to float
        Further curves, in training: ``validation``, ``passed``, ``contrast``, ``learning_rate``.
    noisy : Image or None
        In training, what `image` is the denoised preview of.

    Notes
    -----
    Law: `image` has the input's shape, axes, range and units; planes not reached yet show the input. It is computed
    on first use, so a reader that shows four pictures a second pays for four.
    """

    step: int
    total: int
    loss: float
    criterion: float | None
    chosen: int
    plane: int
    planes: int
    note: str
    provenance: dict[str, object]
    make_image: Callable[[], Image] = field(repr=False)
    measures: Mapping[str, float] = field(default_factory=dict)
    noisy: Image | None = None
    make_model: Callable[[], Any] | None = field(default=None, repr=False)
    make_std: Callable[[], Image] | None = field(repr=False, default=None)

    @cached_property
    def image(self) -> Image:
        """The answer if the work stopped now."""
        return self.make_image()

    @cached_property
    def model(self) -> Any:
        """The `Model` if training stopped now.

        Raises
        ------
        ValueError
            If nothing is trained.
        """
        if self.make_model is None:
            raise ValueError("Nothing is trained here, so there is no model; see iter_train.")
        return self.make_model()

    @cached_property
    def std(self) -> Image | None:
        """The standard deviation of the answer if the work stopped now."""
        return None if self.make_std is None else self.make_std()


def last(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Run a stream to its end and return its last snapshot, which is the result.

    Raises
    ------
    ValueError
        If the stream is empty.
    """
    final = None
    for final in snapshots:  # noqa: B007
        pass
    if final is None:
        raise ValueError("The stream of snapshots is empty: there is no result.")
    return final


def finished(snapshots: Iterable[Snapshot], stacklevel: int = 3) -> Snapshot:
    """Run a stream to its end as `last`, and turn its remarks into warnings, each once.

    Parameters
    ----------
    stacklevel : int
        As of `warnings.warn`; 3 is the caller of the function that calls this one.
    """

    def heard() -> Iterator[Snapshot]:
        for snapshot in snapshots:
            if snapshot.note:
                notes[snapshot.note] = None
            yield snapshot

    notes: dict[str, None] = {}
    final = last(heard())
    for note in notes:
        warnings.warn(note, stacklevel=stacklevel)
    return final


def unchanged(provenance: Mapping[str, object]) -> bool:
    """Say of an answer by what made it whether every plane was left as it is."""
    chosen = provenance.get("steps_chosen")
    return isinstance(chosen, list) and not any(chosen)
