"""What a dock says when a run has ended with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dip.snapshot import unchanged

if TYPE_CHECKING:
    from napari_dip.widgets.runs.fit_run import Run


def ending(run: Run) -> str:
    """Say how it ended: of what the answer is, and what there is to remark."""
    assert run.answer is not None
    last, stopped = run.answer.last, run.control.stop.is_set()
    if stopped and last.plane + 1 < last.planes:
        rest = last.planes - last.plane - 1
        what = f"{last.plane} of {last.planes} planes are done, one half-way; the other {rest} show the input."
    elif unchanged(run.answer.provenance):
        what = "nothing was changed."
    elif not run.order.fits:
        several = last.planes > 1
        count = last.total // last.planes if several else last.step
        what = f"{f'{last.planes} planes, each the' if several else 'the'} mean of {count} orientations."
    elif last.planes > 1:
        what = f"{last.planes} planes, each the answer of its best step."
    else:
        what = f"the answer of step {last.chosen:,} of {last.step:,}."
    sentences = (
        f"{'Stopped' if stopped else 'Done'}: {what}",
        run.answer.remark,
        last.note,
        run.answer.warning,
    )
    return " ".join(sentence for sentence in sentences if sentence)
