"""The event that flows from every method to every reader."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from napari_dip.images.image import Image
from napari_dip.images.pictures import facts_of, to_html


@dataclass(frozen=True, eq=False, repr=False)
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
        The step whose answer `image` is, counted like `step`; where a plane has no answer yet, the
        steps before it.
    plane, planes : int
        The plane under work, from 0, and how many there are.
    note : str
        A sentence for the user, such as why the fit went back or ended.
    std : Image or None
        How far off `image` may be: a standard deviation for every pixel, of its axes, scale and
        units, NaN in planes not reached; None where the settings ask for none.
    provenance : dict
        What made the image, ready for JSON: method, settings, seed, device, versions, step chosen.
    measures : mapping of str to float
        Further curves, in training: ``validation``, ``passed``, ``contrast``, ``learning_rate``.
    noisy : Image or None
        In training, what `image` is the denoised preview of.

    Notes
    -----
    Law: `image` has the input's shape, axes, range and units; planes not reached yet show the
    input. It is computed on first use, so a reader that shows four pictures a second pays for four.
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

    def __repr__(self) -> str:
        return f"Snapshot({', '.join(f'{name} {of}' for name, of in self._facts())})"

    def _repr_html_(self) -> str:
        """Show the answer so far, and where the work stands, in a notebook."""
        return to_html([*self._facts(), *facts_of(self.image)], self.image)

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("step", f"{self.step} of {self.total}"), ("loss", f"{self.loss:.4g}")]
        if self.criterion is not None:
            facts.append(("criterion", f"{self.criterion:.4g}"))
        facts.append(("chosen", f"{self.chosen}"))
        if self.planes > 1:
            facts.append(("plane", f"{self.plane + 1} of {self.planes}"))
        return [*facts, *([("note", self.note)] if self.note else [])]

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


class Consumed(NamedTuple):
    """What was read off a stream: its last snapshot, each note once, and whether it was stopped."""

    last: Snapshot
    notes: tuple[str, ...]
    stopped: bool


def consume(
    snapshots: Iterable[Snapshot],
    on_snapshot: Callable[[Snapshot], object] | None = None,
    *,
    on_note: Callable[[str], object] | None = None,
    every: float = 0.0,
    stop: Callable[[], bool] | None = None,
    keep_on_interrupt: bool = False,
) -> Consumed:
    """Read a stream to its end, or until it is stopped, and close it.

    Parameters
    ----------
    snapshots : iterable of Snapshot
        Such as `iter_denoise` returns.
    on_snapshot : callable, optional
        Is called with a snapshot, at most once in `every` seconds.
    on_note : callable, optional
        Is called with each new note at once.
    every : float
        Seconds; 0 calls `on_snapshot` for every snapshot.
    stop : callable, optional
        Is asked after each step whether to stop.
    keep_on_interrupt : bool
        Whether a KeyboardInterrupt stops the stream as `stop` does, once there is a snapshot.

    Raises
    ------
    ValueError
        If the stream is empty.
    """
    final, due, stopped = None, 0.0, False
    notes: dict[str, None] = {}
    try:
        for final in snapshots:
            if final.note and final.note not in notes:
                notes[final.note] = None
                if on_note:
                    on_note(final.note)
            if on_snapshot and time.monotonic() >= due:
                on_snapshot(final)
                due = time.monotonic() + every
            if stop and stop():
                stopped = True
                break
    except KeyboardInterrupt:
        if final is None or not keep_on_interrupt:
            raise
        stopped = True
    finally:
        if hasattr(snapshots, "close"):  # a generator: what it holds is let go, or written
            snapshots.close()
    if final is None:
        raise ValueError("The method gave no answer: raise its number of steps.")
    return Consumed(final, tuple(notes), stopped)


def last(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Run a stream to its end and return its last snapshot, which is the result.

    Raises
    ------
    ValueError
        If the stream is empty.
    """
    return consume(snapshots).last


def last_with_warnings(snapshots: Iterable[Snapshot], stacklevel: int = 3) -> Snapshot:
    """Run a stream to its end as `last` does, and issue its notes as warnings, each once.

    Parameters
    ----------
    snapshots : iterable of Snapshot
        Such as `iter_denoise` returns.
    stacklevel : int
        As of `warnings.warn`; 3 is the caller of the function that calls this one.
    """
    final, notes, _ = consume(snapshots)
    for note in notes:
        warnings.warn(note, stacklevel=stacklevel)
    return final


def with_progress_bar(snapshots: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """Hand a stream on and show its steps by tqdm, in a terminal and in a notebook.

    Raises
    ------
    ValueError
        If tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ValueError("A progress bar needs the package tqdm: pip install tqdm.") from None
    with tqdm(unit="step") as bar:
        for snapshot in snapshots:
            bar.total = snapshot.total
            bar.update(snapshot.step - bar.n)
            yield snapshot


def is_unchanged(provenance: Mapping[str, object]) -> bool:
    """Return whether, by its provenance, every plane of an answer was left as it is."""
    chosen = provenance.get("steps_chosen")
    return isinstance(chosen, list) and not any(chosen)
