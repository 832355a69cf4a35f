"""Running out of memory is no error: the work goes on with a cheaper plan.

First the pieces of an image that are worked on at a time are halved, then a trained network
computes in half precision where the device is made for it, then the CPU takes over. Each step down
is noted once, holds for the rest of the run, and is written into the provenance.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Literal

import torch

from napari_dip.engine.loop import Step
from napari_dip.errors import lack_of_memory

LEAST = 128 * 128  # pixels; smaller pieces would be mostly overlap


@dataclass(eq=False)
class MemoryPlan:
    """How a run copes with the memory there is.

    Attributes
    ----------
    device : torch.device
        Where it computes.
    may_reduce : bool
        Whether half precision is safe: a trained network is applied, nothing is fitted.
    limit : int or None
        The most pixels of a piece, learned by running out of memory.
    reduced : bool
        Whether half precision is used.
    changes : list of str
        What was changed, a sentence each.
    used : int
        Pixels of the pieces of the work at hand; 0 where it has none.
    remarks : list of str
        What else was decided for lack of memory, a sentence each.
    """

    device: torch.device
    may_reduce: bool = False
    limit: int | None = None
    reduced: bool = False
    changes: list[str] = field(default_factory=list)
    used: int = 0
    remarks: list[str] = field(default_factory=list)

    def pixels(self, wanted: int) -> int:
        """Return how many pixels a piece may have where `wanted` would be taken."""
        self.used = wanted if self.limit is None else min(wanted, self.limit)
        return self.used

    def side(self, wanted: int) -> int:
        """Return the side of a square piece where `wanted` would be taken."""
        return isqrt(self.pixels(wanted * wanted))

    def remark(self, text: str) -> str:
        """Keep a sentence for the provenance; return it the first time, to be shown."""
        if text in self.remarks:
            return ""
        self.remarks.append(text)
        return text

    def to_json(self) -> dict[str, object]:
        """Return its part of the provenance, ready for JSON; empty where all went as planned."""
        changed: dict[str, object] = {}
        if self.changes:
            changed |= {"device": str(self.device), "out_of_memory": list(self.changes)}
        return changed | ({"for_lack_of_memory": list(self.remarks)} if self.remarks else {})

    def fall_back(self, memory_of: Literal["computer", "GPU"]) -> str:
        """Take the next cheaper plan; return what changed, empty where none spares memory."""
        if self.used > LEAST:
            self.limit = max(LEAST, self.used // 2)
            how = f"in pieces of at most {isqrt(self.limit)} x {isqrt(self.limit)} pixels"
        elif memory_of == "computer":  # half precision spares none of it, and the CPU takes more
            return ""
        elif self.used and self.may_reduce and not self.reduced and self.device.type == "cuda":
            self.reduced = True
            how = "in half precision"
        elif self.device.type != "cpu":
            self.device, self.limit, self.reduced = torch.device("cpu"), None, False
            how = "on the CPU, which is slower"
        else:
            return ""
        self.changes.append(f"The {memory_of} ran out of memory; the work goes on {how}.")
        return self.changes[-1]


def with_fallbacks(begin: Callable[[], Iterator[Step]], plan: MemoryPlan) -> Iterator[Step]:
    """Begin the work, and again with a cheaper plan each time that memory runs out.

    The note of the first step after a change says it. Where nothing cheaper is left, the error is
    raised as it came.
    """
    notes: list[str] = []
    while True:
        plan.used = 0
        try:
            for step in begin():
                if notes:
                    step = replace(step, note=" ".join([*notes, step.note]).strip())
                    notes = []
                yield step
            return
        except (RuntimeError, MemoryError) as error:
            memory_of = lack_of_memory(error)
            if memory_of and plan.device.type == "cpu":
                memory_of = "computer"
            change = plan.fall_back(memory_of) if memory_of else ""
            if not change:
                raise
            notes.append(change)
        step = None  # type: ignore[assignment]  # it holds images
        gc.collect()  # so do the frames of the error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
