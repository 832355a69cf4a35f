"""What the dock says while a fit runs."""

from __future__ import annotations

from typing import Any

import pytest

from napari_dip.widgets.parts.run_panel import RunPanel
from napari_dip.widgets.runs.progress import Progress


@pytest.fixture
def panel(qtbot: Any) -> RunPanel:
    panel = RunPanel("#262930", "#f0f1f2")
    qtbot.addWidget(panel)
    panel.start()
    return panel


def test_the_best_step_so_far_is_said_where_a_rule_judges(panel: RunPanel) -> None:
    panel.show_progress(Progress(400, 800, 350, points=((399, 0.1, 0.2), (400, 0.1, None))))
    assert panel.message.text() == "Step 400 of 800, best so far 350."
    panel.show_progress(Progress(1401, 2400, 1350, plane=1, planes=3, note="Look out."))
    assert panel.message.text() == "Plane 2 of 3, step 1,401 of 2,400, best so far 1,350. Look out."


def test_without_a_rule_the_step_in_view_is_said(panel: RunPanel) -> None:
    panel.show_progress(Progress(400, 800, 396, points=((400, 0.1, None),)))
    assert panel.message.text() == "Step 400 of 800, in view 396."
    panel.show_progress(Progress(1, 800, 0))
    assert panel.message.text() == "Step 1 of 800."


def test_a_new_run_knows_nothing_of_the_rule_before(panel: RunPanel) -> None:
    panel.show_progress(Progress(4, 8, 4, points=((4, 0.1, 0.2),)))
    panel.start()
    assert panel.message.text() == "Preparing: measuring the noise ..."
    panel.show_progress(Progress(4, 8, 4))
    assert "best" not in panel.message.text()
