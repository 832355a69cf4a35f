"""What parts of a stack have recorded, as the stack as a whole would have recorded it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_dip.planes.neighbours import NEARBY, neighbours_note
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari_dip.images.image import Image

OF_A_PLANE = ("steps_planned", "steps_chosen", "neighbours_used")  # lists of one entry a plane
ENDS = ("provenance", "step", "chosen", "loss")  # of a snapshot, that a part records


def record_of_part(final: Snapshot, notes: Sequence[str]) -> dict[str, Any]:
    """Return what is kept of the work on a part, ready for JSON."""
    return {name: getattr(final, name) for name in ENDS} | {"notes": list(notes)}


def join_parts(
    records: Sequence[Mapping[str, Any]],
    parts_of_planes: Iterable[int],
    planes: int,
    make: Callable[[int], Image],
    *,
    std: bool,
) -> Snapshot:
    """Return the snapshot of a stack as far as its parts go, as if it were worked on as a whole.

    Parameters
    ----------
    records, parts_of_planes
        See `join_provenance`.
    planes : int
        How many the stack has.
    make : callable
        Returns the answer of the stack for 0, and its deviation for 1.
    std : bool
        Whether there is a deviation.
    """
    numbers = list(parts_of_planes)
    provenance = join_provenance(records, numbers)

    def whole(kind: int) -> Image:
        image = make(kind)
        return replace(image, provenance={**image.provenance, **provenance})

    return Snapshot(
        criterion=None,
        plane=len(numbers) - 1,
        planes=planes,
        note="",
        provenance=provenance,
        make_image=partial(whole, 0),
        make_std=partial(whole, 1) if std else None,
        **join_steps(records),
    )


def join_provenance(
    records: Sequence[Mapping[str, Any]], parts_of_planes: Iterable[int]
) -> dict[str, Any]:
    """Return the provenance of a stack.

    Parameters
    ----------
    records : sequence of mapping
        Of the parts, see `record_of_part`.
    parts_of_planes : iterable of int
        The number of the part that holds each plane, in the order of planes.
    """
    provenance: dict[str, Any] = {}
    for record in records:
        provenance |= record["provenance"]
    numbers = list(parts_of_planes)
    for name in OF_A_PLANE:
        if name in provenance:
            counts = [iter(record["provenance"][name]) for record in records]
            found = [next(counts[number], None) for number in numbers]
            provenance[name] = [one for one in found if one is not None]  # of planes not done, none
    if "neighbours_of_same_noise" in provenance:
        same = (record["provenance"]["neighbours_of_same_noise"] for record in records)
        provenance["neighbours_of_same_noise"] = sum(same)
    return provenance


def join_steps(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the numbers of a stack's last snapshot: steps done and planned, the step chosen."""
    planned = [sum(record["provenance"]["steps_planned"]) for record in records]
    before, last = sum(planned[:-1]), records[-1]
    return {
        "step": before + last["step"],
        "total": sum(planned),
        "chosen": before + last["chosen"],
        "loss": last["loss"],
    }


def join_notes(
    records: Iterable[Mapping[str, Any]], provenance: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return each note once; that on neighbours, at the end of one, counts all planes."""
    said = [note for record in records for note in record["notes"]]
    notes = dict.fromkeys(own_note(note) for note in said)
    if any(NEARBY in note for note in said):
        notes[neighbours_note(provenance)] = None
    return tuple(note for note in notes if note)


def own_note(note: str) -> str:
    """Return a note without what it says of the neighbours of a part's planes."""
    return note.partition(NEARBY)[0].strip()
