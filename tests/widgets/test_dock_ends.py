"""How a run in the dock can end: stopped, discarded, broken, closed."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

from napari_dip.widgets.runs.fit_run import FitRun
from napari_dip.widgets.runs.progress import Progress
from napari_dip.widgets.runs.worker import FitRequest

pytestmark = pytest.mark.timeout(120)
WAIT = 40_000


def begun(dock: Any, qtbot: Any) -> Any:
    """Start a long run and wait for its first picture."""
    run = dock.start()
    qtbot.waitUntil(lambda: run.layer is not None, timeout=WAIT)
    return run


def test_stop_keeps_the_answer_of_the_step_at_hand(
    make_dock: Callable[..., Any],
    viewer: Any,
    engine: Any,
    qtbot: Any,
    finish: Callable[[Any], Any],
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    dock.panel.buttons["Stop"].click()
    at = engine.step
    assert dock.panel.message.text() == "Stopping after the step at hand ..."
    dock.panel.show_progress(Progress(step=at, total=100_000))  # one that was on its way
    assert dock.panel.message.text() == "Stopping after the step at hand ..."
    finish(run)
    assert engine.step <= at + 1 and engine.closed == 1
    assert (viewer.layers["cells: Blind spot"].data == engine.step).all()
    assert dock.panel.message.text().startswith("Stopped: the answer of step")


def test_stop_ends_a_paused_run(
    make_dock: Callable[..., Any], engine: Any, qtbot: Any, finish: Any
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    with qtbot.waitSignal(run._worker.paused, timeout=WAIT):
        dock.panel.buttons["Pause"].click()
    assert dock.panel.buttons["Pause"].text() == "Go on"
    at = engine.step
    qtbot.wait(50)
    assert engine.step == at
    dock.panel.buttons["Stop"].click()
    finish(run)
    assert run.answer is not None and engine.step <= at + 1


def test_stop_right_after_pause_is_not_lost(
    make_dock: Callable[..., Any], qtbot: Any, finish: Any
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    dock.toggle_pause()
    dock.stop()
    finish(run)
    assert run.answer is not None


def test_resume_goes_on(make_dock: Callable[..., Any], engine: Any, qtbot: Any) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    with qtbot.waitSignal(run._worker.paused, timeout=WAIT):
        dock.toggle_pause()
    at = engine.step
    dock.toggle_pause()
    qtbot.waitUntil(lambda: engine.step > at, timeout=WAIT)


def test_signals_are_taken_in_turn(viewer: Any, qapp: Any) -> None:
    """Moving a bar of the activity dock lets Qt deliver the next signal during this one."""
    run = FitRun(viewer, FitRequest(None, None, "cpu"))  # type: ignore[arg-type]
    shown: list[int] = []
    run.progressed.connect(lambda progress: shown.append(progress.step))

    class Bar:
        n, total, is_canceled = 0, 9, False

        def update(self, n: int) -> None:
            self.n += n
            if self.n == 1:
                run._on_progress(Progress(step=2, total=9))

    run._bar = Bar()
    run._on_progress(Progress(step=1, total=9))
    assert shown == [1, 2]


def test_discard_leaves_no_layer(
    make_dock: Callable[..., Any],
    viewer: Any,
    engine: Any,
    qtbot: Any,
    finish: Any,
    errors: list[str],
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    at = engine.step
    dock.panel.buttons["Discard"].click()
    finish(run)
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert engine.step <= at + 1 and engine.closed == 1 and errors == []


def test_a_layer_removed_during_the_run_ends_it_with_a_sentence(
    make_dock: Callable[..., Any], viewer: Any, qtbot: Any, finish: Any, errors: list[str]
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    viewer.layers.remove("cells: Blind spot")
    finish(run)
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert errors == [dock.panel.message.text()] and "was removed" in errors[0]
    assert dock.panel.buttons["Run"].isEnabled()


def test_the_source_may_be_removed_during_the_run(
    make_dock: Callable[..., Any], viewer: Any, qtbot: Any
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    viewer.layers.remove("cells")
    dock.stop()
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
    assert [layer.name for layer in viewer.layers] == [
        "cells: Blind spot"
    ] and run.answer is not None


class OutOfMemoryError(RuntimeError):
    """As torch's: a RuntimeError, which napari's generator workers swallow."""


def test_out_of_memory_is_a_sentence_and_the_dock_runs_again(
    make_dock: Callable[..., Any], viewer: Any, engine: Any, finish: Any, errors: list[str]
) -> None:
    dock = make_dock()
    engine.fail_at, engine.error = (
        10,
        OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB."),
    )
    finish(dock.start())
    assert len(errors) == 1 and "ran out of memory" in errors[0] and "\n" not in errors[0]
    assert dock.panel.message.text() == errors[0]
    assert engine.closed == 1
    engine.fail_at = 0
    run = finish(dock.start())
    assert run.failure == "" and (run.layer.data == 30).all()


def test_nan_is_a_sentence(
    make_dock: Callable[..., Any], engine: Any, finish: Any, errors: list[str]
) -> None:
    dock = make_dock()
    engine.fail_at, engine.error = (
        1,
        ValueError("The image holds 3 pixels that are not finite: replace them first."),
    )
    finish(dock.start())
    assert errors == ["The image holds 3 pixels that are not finite: replace them first."]
    assert dock.panel.buttons["Run"].isEnabled()


def test_nothing_is_held_after_a_run(
    make_dock: Callable[..., Any], finish: Any, monkeypatch: Any
) -> None:
    dock = make_dock()
    run = dock.start()
    worker = weakref.ref(run._worker)
    finish(run)
    gc.collect()
    assert worker() is None


def test_closing_the_dock_ends_the_run(
    make_dock: Callable[..., Any], viewer: Any, engine: Any, qtbot: Any
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    dock.close()
    at = engine.step
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
    assert engine.step <= at + 1 and engine.closed == 1
    answer = viewer.layers["cells: Blind spot"]
    assert (answer.data == engine.step).all(), "whole"
    assert answer.metadata["napari_dip"]["step_chosen"] == engine.step, "and recorded"
    viewer.add_image(np.zeros((4, 4)))  # nobody listens any more


def test_a_run_that_napari_ends_leaves_the_dock_ready(
    make_dock: Callable[..., Any], engine: Any, qtbot: Any, finish: Any
) -> None:
    dock = make_dock(steps=100_000)
    run = begun(dock, qtbot)
    run._worker.quit()  # what napari does to running workers when it closes
    finish(run)
    assert engine.closed == 1, "the generator was let go, so the engine gave its memory back"
    assert "ended by napari" in dock.panel.message.text() and dock.panel.buttons["Run"].isEnabled()
