"""The pictures kept during a run, thinned out so that any number of steps fits into a bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 24
BYTES = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Iterate:
    """One kept picture, the step it is the answer of, and what made it."""

    step: int
    picture: NDArray[Any]
    provenance: dict[str, object]


@dataclass(eq=False)
class Kept:
    """A row of iterates; when it is full every other one goes, and from then on half as many come in.

    Parameters
    ----------
    most : int
        Pictures kept at most (and never more than fit into a gigabyte, but at least three).
    """

    most: int = MOST
    row: list[Iterate] = field(default_factory=list)
    every: int = 1
    seen: int = 0

    def add(
        self,
        step: int,
        picture: NDArray[Any],
        provenance: dict[str, object],
        *,
        final: bool = False,
    ) -> None:
        """Offer a picture; the final one is always kept and replaces an earlier one of the same step."""
        if final:
            self.row = [iterate for iterate in self.row if iterate.step != step]
            self.row.append(Iterate(step, picture, dict(provenance)))
            return
        taken = self.seen % self.every == 0 and all(iterate.step != step for iterate in self.row)
        self.seen += 1
        if not taken:
            return
        self.row.append(Iterate(step, picture, dict(provenance)))
        most = max(3, min(self.most, BYTES // max(picture.nbytes, 1)))
        if len(self.row) > most:
            self.row = self.row[::2]
            self.every *= 2

    def stack(self) -> NDArray[Any]:
        """Return the pictures along a new first axis."""
        return np.stack([iterate.picture for iterate in self.row])
