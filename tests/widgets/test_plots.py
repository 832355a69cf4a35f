"""The curve takes what the methods give: negative losses, gaps, many planes."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyqtgraph")

from napari_dip.widgets.parts.plots import MAX_POINTS, LossPlot
from napari_dip.widgets.runs.progress import Progress

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def curve(qtbot: Any) -> LossPlot:
    made = LossPlot()
    qtbot.addWidget(made)
    return made


def test_losses_of_any_sign_and_missing_criteria_are_drawn(curve: LossPlot) -> None:
    curve.show_progress(
        Progress(3, 9, 2, points=((1, 0.5, None), (2, -0.5, 0.1), (3, float("nan"), 0.05)))
    )
    assert curve._loss.getData()[1].tolist() == [0.5, -0.5]
    assert curve._criterion.getData()[1].tolist() == [0.1, 0.05]
    assert curve.chosen == 2


def test_an_empty_curve_has_no_figures(curve: LossPlot) -> None:
    def figures() -> list[bool]:
        return [curve._item.getAxis(side).style["showValues"] for side in ("left", "bottom")]

    assert figures() == [False, False] and not curve._item.getAxis("right").isVisible()
    curve.show_progress(Progress(2, 9, 2, points=((1, 0.5, 1.0), (2, 0.4, 0.9))))
    assert figures() == [True, True]
    curve.clear()
    assert figures() == [False, False]


def test_the_right_axis_is_there_where_something_is_judged(curve: LossPlot) -> None:
    curve.show_progress(Progress(2, 9, 2, points=((1, 0.5, None), (2, 0.4, None))))
    assert not curve._item.getAxis("right").isVisible()
    curve.show_progress(Progress(3, 9, 2, points=((3, 0.3, 0.1),)))
    assert curve._item.getAxis("right").isVisible()


def test_a_wide_range_is_drawn_on_a_log_axis(curve: LossPlot) -> None:
    curve.show_progress(Progress(2, 9, 2, points=((1, 1.0, 3.0), (2, 0.001, 2.0))))
    assert curve._loss.getData()[1].tolist() == [0.0, -3.0]
    assert curve._criterion.getData()[1].tolist() == [3.0, 2.0]


def test_a_new_plane_starts_a_new_curve(curve: LossPlot) -> None:
    curve.show_progress(Progress(2, 9, 2, plane=0, planes=2, points=((1, 1, 1), (2, 1, 1))))
    curve.show_progress(Progress(3, 9, 2, plane=1, planes=2, points=((3, 1, 1),)))
    assert [point[0] for point in curve.points] == [3] and curve.chosen is None, (
        "the chosen step is of the plane before"
    )
    curve.clear()
    assert curve.points == []


def test_a_long_run_stays_drawable(curve: LossPlot) -> None:
    for start in range(1, 20_001, 1000):
        curve.show_progress(
            Progress(
                start + 999,
                20_000,
                1,
                points=tuple((i, 1.0, 1.0) for i in range(start, start + 1000)),
            )
        )
    assert MAX_POINTS / 2 <= len(curve.points) <= MAX_POINTS
    assert curve.points[0][0] == 1 and curve.points[-1][0] > 19_000
