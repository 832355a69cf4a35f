"""How long a run would take: timed once on small images, then known for any size."""

from __future__ import annotations

import pytest

from napari_dip import DIP, IDDP, BlindSpot, train
from napari_dip.batch import expected_time
from napari_dip.batch.expected_time import Line, Speed, expected_seconds, say_about


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected_time, "_known", {})
    monkeypatch.setattr(expected_time, "SIDES", {"cpu": (32, 64)})
    monkeypatch.setattr(expected_time, "LONGEST", 0.05)


def test_a_choice_is_timed_once_and_then_known_for_every_size() -> None:
    how = DIP(channels=8)
    assert expected_seconds((256, 256), how, "cpu", probe=False) is None
    small = expected_seconds((256, 256), how, "cpu")
    large = expected_seconds((1024, 1024), how, "cpu")
    half = expected_seconds((256, 256), how.model_copy(update={"steps": how.steps // 2}), "cpu")
    colours = expected_seconds((256, 256, 3), how, "cpu")
    assert small and large and half and colours
    assert half <= small <= colours <= large
    assert len(expected_time._known) == 1, "nothing was timed again"


def test_steps_of_crops_take_as_long_however_large_the_image_is() -> None:
    def step(how: BlindSpot | DIP, side: int) -> float:
        few, many = (
            expected_seconds((side, side), how.model_copy(update={"steps": n}), "cpu") or 0
            for n in (400, 800)
        )
        return many - few

    assert step(BlindSpot(), 2048) == pytest.approx(step(BlindSpot(), 256))
    assert step(DIP(channels=8), 2048) == pytest.approx(64 * step(DIP(channels=8), 256))


def test_later_planes_take_fewer_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speed = Speed(step=Line(0.01, 0.0), rest=Line(0.1, 1e-6))
    monkeypatch.setattr(expected_time, "_time", lambda how, device: speed)
    how = BlindSpot(steps=400)
    assert expected_seconds((1000, 1000), how, "cpu") == pytest.approx(4 + 1.1)
    stack = expected_seconds((1000, 1000), how, "cpu", planes=3)
    assert stack == pytest.approx(4 + 2 * how.warm_steps * 0.01 + 3 * 1.1)


def test_a_trained_model_is_timed_by_its_orientations() -> None:
    import numpy as np

    noisy = np.random.default_rng(0).poisson(20, (48, 48)).astype(np.float32)
    model = train(noisy, IDDP(steps=2, channels=4, depth=1, crop=24, batch=1), device="cpu")
    once = expected_seconds((512, 512), model.with_orientations(1), "cpu")
    eight = expected_seconds((512, 512), model.with_orientations(8), "cpu")
    assert once and eight, "both were timed"
    assert len(expected_time._known) == 2


def test_what_is_expected_is_said_in_round_numbers() -> None:
    said = {0.2: "about a second", 7.4: "about 7 s", 41: "about 40 s", 200: "about 3 min"}
    assert {seconds: say_about(seconds) for seconds in said} == said
    assert say_about(3 * 3600) == "about 3 h"
