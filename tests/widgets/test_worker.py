"""The generator that the worker runs, read here without Qt."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_dip import api
from napari_dip.errors import DenoiseError
from napari_dip.files.read_write import read
from napari_dip.images.image import Image
from napari_dip.noise.measure import measure_noise
from napari_dip.settings import BlindSpot
from napari_dip.snapshot import Snapshot
from napari_dip.widgets.layers.iterates import Iterates
from napari_dip.widgets.layers.source import Source
from napari_dip.widgets.parts.result_box import verdict_lines
from napari_dip.widgets.runs.progress import Progress
from napari_dip.widgets.runs.worker import Answer, Control, FitRequest, work

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


def source(shape: tuple[int, ...] = (16, 16)) -> Source:
    index = tuple(slice(0, n) for n in shape)
    axes = "ZYX"[-len(shape) :]
    return Source(
        np.zeros(shape), index, axes, (1.0,) * len(shape), ("um",) * len(shape), "cells", False
    )


def drain(stream: Generator[Progress, None, Answer | None]) -> tuple[list[Progress], Answer | None]:
    reports = []
    while True:
        try:
            reports.append(next(stream))
        except StopIteration as end:
            return reports, end.value


def start(
    control: Control, steps: int = 40, **options: Any
) -> Generator[Progress, None, Answer | None]:
    return work(FitRequest(source(), BlindSpot(steps=steps), "cpu", **options), control)


def test_the_end_brings_the_full_answer_and_every_point(engine: Any) -> None:
    control = Control()
    reports, answer = drain(start(control))
    assert answer is not None
    assert (answer.picture == 40).all() and answer.picture.shape == (16, 16)
    assert answer.provenance["step_chosen"] == 40
    assert [p[0] for report in reports for p in report.points] == list(range(1, 41))
    assert engine.closed == 1 and engine.devices == ["cpu"]


@pytest.mark.parametrize(("judged", "said"), [(True, "Noise"), (False, "")])
def test_the_verdict_is_said_with_the_answer_where_it_is_asked_for(judged: bool, said: str) -> None:
    noisy = np.random.default_rng(0).normal(100, 9, (96, 96))
    made = {"measured_noise": measure_noise([noisy]).to_json()}

    def begin(image: Image, **_: Any) -> Any:
        answer = image.with_pixels(0.5 * noisy + 50, provenance=made)
        yield Snapshot(1, 1, 1.0, None, 1, 0, 1, "", made, lambda: answer)

    where = replace(source((96, 96)), data=noisy)
    _, answer = drain(work(FitRequest(where, BlindSpot(), begin=begin, judged=judged), Control()))
    assert answer is not None and ("verdict" in answer.provenance) == judged
    lines = verdict_lines(answer.provenance)
    assert [line.partition(" i")[0] for line in lines[:1]] == ([said] if said else [])
    assert len(lines) == (2 if judged else 0)


def test_no_picture_is_made_before_the_last_was_shown(engine: Any) -> None:
    reports, _ = drain(start(Control(), pictures_per_second=1000.0))
    assert [report.step for report in reports if report.picture is not None] == [1]
    assert engine.realised == [1, 40]


def test_pictures_come_no_faster_than_asked(engine: Any) -> None:
    control = Control()
    pictures = 0
    for report in start(control, steps=60, pictures_per_second=20.0):
        pictures += report.picture is not None
        control.drawn.set()
    assert 2 <= pictures <= 8  # in 0.12 to 0.3 s


def test_stop_keeps_the_step_at_hand(engine: Any) -> None:
    control = Control()
    stream = start(control, steps=10_000)
    while engine.step < 5:
        next(stream)
    control.stop.set()
    at = engine.step
    _, answer = drain(stream)
    assert answer is not None and engine.step <= at + 1
    assert (answer.picture == engine.step).all()
    assert engine.closed == 1


def test_discard_ends_with_nothing(engine: Any) -> None:
    control = Control()
    stream = start(control, steps=10_000)
    while engine.step < 5:
        next(stream)
    control.discard.set()
    at = engine.step
    assert drain(stream)[1] is None
    assert engine.step <= at + 1 and engine.closed == 1


@pytest.mark.parametrize("fail_at", [1, 20])
def test_a_runtime_error_becomes_ours(engine: Any, fail_at: int) -> None:
    engine.fail_at = fail_at
    engine.error = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB.\nmore lines")
    with pytest.raises(
        DenoiseError, match=r"ran out of memory .*Tried to allocate 2 GiB.* choose a smaller"
    ):
        drain(start(Control()))
    assert not issubclass(DenoiseError, RuntimeError)


def test_a_failed_run_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net:
        pass

    alive: list[weakref.ref[Net]] = []

    def failing(image: Any, how: Any, *, device: str = "auto") -> Any:
        net = Net()
        alive.append(weakref.ref(net))
        raise RuntimeError("no")
        yield

    monkeypatch.setattr("napari_dip.api.iter_denoise", failing)
    with pytest.raises(DenoiseError) as caught:
        drain(start(Control()))
    gc.collect()
    assert alive[0]() is None and caught.value is not None


def test_other_errors_pass_as_they_are(engine: Any) -> None:
    engine.fail_at, engine.error = 1, ValueError("The image holds 3 NaN.")
    with pytest.raises(ValueError, match="3 NaN"):
        drain(start(Control()))


def test_an_empty_stream_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_dip.api.iter_denoise", lambda *_, **__: iter(()))
    with pytest.raises(DenoiseError, match="without an answer"):
        drain(start(Control()))


def test_the_answer_is_also_written_and_over_nothing(engine: Any, tmp_path: Path) -> None:
    for _ in range(2):
        assert drain(start(Control(), steps=3, folder=str(tmp_path)))[1].warning == ""  # type: ignore[union-attr]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cells denoised 2.tif",
        "cells denoised.tif",
    ]
    assert (np.asarray(read(tmp_path / "cells denoised.tif").pixels) == 3).all()


def test_a_folder_that_cannot_be_written_costs_no_answer(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    answer = drain(start(Control(), steps=3, folder=str(tmp_path / "file")))[1]
    assert answer is not None and (answer.picture == 3).all()
    assert "was not written" in answer.warning


def test_the_generator_runs_in_any_thread(engine: Any) -> None:
    ends: list[Answer | None] = []
    thread = threading.Thread(target=lambda: ends.append(drain(start(Control(), steps=5))[1]))
    thread.start()
    thread.join(timeout=20)
    assert ends and ends[0] is not None


def test_kept_iterates_are_thinned_evenly() -> None:
    iterates = Iterates(source((4, 4)), max_count=8)
    for step in range(1, 101):
        iterates.follow(0, step, step)
        iterates.offer(0, np.full((4, 4), step))
    iterates.end(np.full((4, 4), 100))
    steps = [iterate.step for iterate in iterates.planes[0].items]
    assert steps[0] == 1 and steps[-1] == 100 and len(steps) <= 9
    assert len(set(np.diff(steps[:-1]).tolist())) == 1


def snapshots(*rows: tuple[int, int, str]) -> Any:
    """Give an engine whose snapshots have these steps, chosen steps and notes."""

    def engine(image: Any, how: Any, *, device: str) -> Any:
        for step, chosen, note in rows:
            yield Snapshot(step, len(rows), 1.0, None, chosen, 0, 1, note, {}, lambda: image)

    return engine


def test_an_answer_that_did_not_change_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(step, 1 if step < 30 else 30, "") for step in range(1, 61)]
    monkeypatch.setattr(api, "iter_denoise", snapshots(*rows))
    control = Control()
    drawn = []
    for report in start(control, pictures_per_second=1e9):
        if report.picture is not None:
            drawn.append(report.chosen)
            control.drawn.set()
    assert drawn == [1, 30]


def test_a_note_is_said_until_the_end_although_the_engine_says_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        (1, 1, "Correlated noise."),
        (2, 2, ""),
        (3, 3, "Went back at 3."),
        (4, 4, "Went back at 4."),
        (5, 5, ""),
    ]
    monkeypatch.setattr(api, "iter_denoise", snapshots(*rows))
    reports, answer = drain(start(Control()))
    assert (
        answer is not None
        and answer.last.note == reports[-1].note == "Correlated noise. Went back at 4."
    )
