"""Running out of memory is no error: the work goes on with a cheaper plan.

First what is worked on at a time is halved: the batch of a gradient step and the strips of a whole
image at once, where memory ran out (`add_gradients`, `in_pieces`), which changes no answer; then
tiles of an image, with which its work begins anew. Then a trained network computes in half
precision where the device is made for it, then the CPU takes over. Each step down is noted once,
holds for the rest of the run, and is written into the provenance.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from napari_dip.engine.device import describe_device, one_on
from napari_dip.engine.loop import Step
from napari_dip.errors import lack_of_memory

LEAST = 128 * 128  # pixels; smaller pieces would be mostly overlap
LEAST_ROWS = 16  # of a strip
T = TypeVar("T")
Net = TypeVar("Net", bound=nn.Module)


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
    parts : int
        In how many parts the batch of a step is computed.
    strips : int
        How many times as many strips a whole image goes through a network in.
    what : str
        Of the sentences: what goes on.
    """

    device: torch.device
    may_reduce: bool = False
    limit: int | None = None
    reduced: bool = False
    changes: list[str] = field(default_factory=list)
    used: int = 0
    remarks: list[str] = field(default_factory=list)
    parts: int = 1
    strips: int = 1
    what: str = "the work goes on"
    told: int = 0  # of the changes

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

    def place(self, net: Net) -> Net:
        """Return a network, or a copy on the CPU where that is left to it."""
        weights = dict(net.named_parameters())
        if self.device.type != "cpu" or all(w.device == self.device for w in weights.values()):
            return net
        moved: dict[int, Tensor] = {id(b): b.to(self.device) for b in net.buffers()}
        for weight in weights.values():  # without a copy on the device that is full
            there = weight.detach().to(self.device)
            moved[id(weight)] = nn.Parameter(there, weight.requires_grad)
        return deepcopy(net, moved)

    def news(self) -> str:
        """Return the changes that were not asked for yet, to be shown."""
        untold, self.told = self.changes[self.told :], len(self.changes)
        return " ".join(untold)

    def to_json(self) -> dict[str, object]:
        """Return its part of the provenance, ready for JSON; empty where all went as planned."""
        changed: dict[str, object] = {}
        if self.changes:
            changed |= {**describe_device(self.device), "out_of_memory": list(self.changes)}
            changed |= {"precision": "float16"} if self.reduced else {}
        return changed | ({"for_lack_of_memory": list(self.remarks)} if self.remarks else {})

    def halve_batch(self, error: BaseException, batch: int) -> bool:
        """Compute a batch in twice as many parts; return False where they are of one each."""
        if not lack_of_memory(error) or self.parts >= batch:
            return False
        self.parts = parts_of(batch, 2 * self.parts)
        how = "with batches in {} parts, whose gradients are added up"
        self._change(error, how, self.parts)
        return True

    def halve_strips(self, error: BaseException) -> bool:
        """Take whole images through a network in twice as many strips; False for other errors."""
        if not lack_of_memory(error):
            return False
        self.strips *= 2
        self._change(error, "with whole images in {} times as many strips", self.strips)
        return True

    def fall_back(self, error: BaseException) -> bool:
        """Take the next cheaper plan; return False where none spares memory."""
        memory_of = self._memory_of(error)
        if not memory_of:
            return False
        if self.used > LEAST:
            self.limit = max(LEAST, self.used // 2)
            how = f"in pieces of at most {isqrt(self.limit)} x {isqrt(self.limit)} pixels"
        elif memory_of == "computer":  # half precision spares none of it, and the CPU takes more
            return False
        elif self.used and self.may_reduce and not self.reduced and self.device.type == "cuda":
            self.reduced = True
            how = "in half precision"
        elif self.device.type != "cpu":
            self._change(error, "on the CPU, which is slower")
            self.device, self.limit, self.reduced = torch.device("cpu"), None, False
            self.parts = self.strips = 1
            return True
        else:
            return False
        self._change(error, how)
        return True

    def _change(self, error: BaseException, how: str, number: int = 0) -> None:
        """Note a change; of a number that changes twice before it was told, the last."""
        text = f"The {self._memory_of(error)} ran out of memory; {self.what} {how}."
        start, _, end = text.partition("{}")
        if number and self.told < len(self.changes):
            last = self.changes[-1]
            if last.startswith(start) and last.endswith(end):
                self.changes.pop()
        self.changes.append(text.format(number) if number else text)

    def _memory_of(self, error: BaseException) -> Literal["", "computer", "GPU"]:
        """Return whose memory was too small; empty for other errors."""
        memory_of = lack_of_memory(error)
        return "computer" if memory_of and self.device.type == "cpu" else memory_of


def with_fallbacks(begin: Callable[[], Iterator[Step]], plan: MemoryPlan) -> Iterator[Step]:
    """Begin the work, and again with a cheaper plan each time that memory runs out.

    The note of the first step after a change says it. Where nothing cheaper is left, the error is
    raised as it came.
    """
    while True:
        plan.used = 0
        try:
            for step in begin():
                if news := plan.news():
                    step = replace(step, note=f"{news} {step.note}".strip())
                yield step
            return
        except (RuntimeError, MemoryError) as error:
            if not plan.fall_back(error):
                raise
        step = None  # type: ignore[assignment]  # it holds images
        _free()


def compute(work: Callable[[], T], plan: MemoryPlan) -> T:
    """Do work that is no stream, and again with a cheaper plan each time that memory runs out."""
    while True:
        plan.used = 0
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not plan.fall_back(error):
                raise
        _free()


def add_gradients(
    losses: Callable[[int], Iterable[Tensor]],
    batch: int,
    parameters: Sequence[nn.Parameter],
    plan: MemoryPlan,
) -> Tensor:
    """Compute the gradients of a step, and again in more parts where memory runs out.

    Parameters
    ----------
    losses : callable
        Takes a number of parts, a divisor of the batch, and computes one loss after the other, of
        which the sum is that of the batch; each time that it is called with the same draws.
    batch : int
        The most parts there may be.
    parameters : sequence of Parameter
        Those that get gradients, without any so far.

    Returns
    -------
    Tensor
        The sum, which needs no gradients any more.
    """
    while True:
        try:
            total: Tensor | None = None
            for loss in losses(parts_of(batch, plan.parts)):
                loss.backward(one_on(loss.device))  # type: ignore[no-untyped-call]
                total = loss.detach() if total is None else total + loss.detach()
            assert total is not None
            return total
        except (RuntimeError, MemoryError) as error:
            if not plan.halve_batch(error, batch):
                raise
        for parameter in parameters:
            parameter.grad = None
        loss = None  # type: ignore[assignment]  # it holds what the gradients need
        _free()


def parts_of(batch: int, wanted: int) -> int:
    """Return the least number of equal parts of a batch that are as many as wanted."""
    return next(n for n in range(min(wanted, batch), batch + 1) if batch % n == 0)


def in_strips(
    work: Callable[[int, int], T],
    height: int,
    rows: int,
    plan: MemoryPlan,
    least: int = LEAST_ROWS,
) -> Iterator[T]:
    """Yield ``work(top, bottom)`` for strips of some rows, of fewer where memory runs out."""
    top = 0
    while top < height:
        some = max(1, min(rows, height) // plan.strips)
        try:
            result = work(top, min(top + some, height))
        except (RuntimeError, MemoryError) as error:
            if some <= least or not plan.halve_strips(error):
                raise
        else:
            yield result
            top += some
            continue
        _free()


def _free() -> None:
    """Let go what the frames of an error held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
