"""The form hands on what a person edited and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, ClassVar, Literal

import pytest

from napari_dip.methods import registry
from napari_dip.settings import Settings, knob
from napari_dip.widgets.parts.settings_form import SettingsForm

METHODS = registry.settings_classes(registry.METHODS)

pytestmark = pytest.mark.timeout(120)


class Odd(Settings):
    """Knobs that a box of Qt cannot hold exactly, or not at all."""

    method: ClassVar[str] = "odd"
    title: ClassVar[str] = "Odd"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "plain": {},
        "slow": {"rate": 2.5e-5, "kind": "b"},
    }

    steps: int = knob(10, "Steps.", unit="steps", ge=1)
    rate: float = knob(2e-4, "A small rate.", gt=0, le=1)
    third: float = knob(1 / 30, "A third of a tenth.", unit="of z", ge=0, basic=True)
    big: int = knob(10**12, "More than a spin box holds.", ge=1)
    size: int | None = knob(None, "Automatic, or a number.", ge=1)
    widths: tuple[int, ...] = knob((8, 16), "A row of numbers.")
    kind: Literal["a", "b"] = knob("a", "One of two.")
    fast: bool = knob(True, "Yes or no.")


@pytest.mark.parametrize("cls", [*METHODS.values(), Odd], ids=lambda cls: cls.method)
def test_an_untouched_form_gives_each_preset_exactly(cls: type[Settings], qtbot: Any) -> None:
    form = SettingsForm(cls)
    qtbot.addWidget(form)
    for name in cls.presets:
        form.show_preset(name)
        assert form.settings() == cls.preset(name)


@pytest.mark.parametrize("cls", [*METHODS.values(), Odd], ids=lambda cls: cls.method)
def test_every_knob_has_a_box_with_its_help(cls: type[Settings], qtbot: Any) -> None:
    form = SettingsForm(cls)
    qtbot.addWidget(form)
    for name, info in cls.model_fields.items():
        assert form.box(name).tooltip == info.description


def test_small_rates_are_shown_as_they_are(qtbot: Any) -> None:
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    assert form.box("rate").value == pytest.approx(2e-4)
    assert form.box("rate").native.singleStep() <= 1e-4
    form.show_preset("slow")
    assert form.box("rate").value == pytest.approx(2.5e-5)
    assert form.box("kind").value == "b"


def test_only_the_edited_field_changes(qtbot: Any) -> None:
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    form.box("rate").value = 5e-4
    assert form.settings() == Odd(rate=5e-4)
    assert form.settings().third == 1 / 30


def test_lines_of_text_become_values(qtbot: Any) -> None:
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    form.box("size").value = "64"
    form.box("widths").value = "(4, 4)"
    assert (form.settings().size, form.settings().widths) == (64, (4, 4))
    form.box("size").value = ""
    assert form.settings().size is None


def test_a_preset_forgets_the_edits(qtbot: Any) -> None:
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    form.box("fast").value = False
    assert form.settings() == Odd(fast=False)
    form.show_preset("slow")
    assert form.settings() == Odd.preset("slow")


def test_what_cannot_be_is_said_in_a_sentence(qtbot: Any) -> None:
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    form.box("size").value = "-3"
    with pytest.raises(ValueError, match=r"size = -3: .*greater than or equal to 1"):
        form.settings()


def test_a_new_choice_is_announced(qtbot: Any) -> None:
    form = SettingsForm(Odd)
    qtbot.addWidget(form)
    with qtbot.waitSignal(form.changed, timeout=1000):
        form.box("kind").value = "b"


def test_opening_the_dock_leaves_torch_out_and_lets_its_threads_wait_idle() -> None:
    code = (
        "import os, sys\n"
        "from qtpy.QtWidgets import QApplication\n"
        "app = QApplication([])\n"
        "from napari.components import ViewerModel\n"
        "from napari_dip.widgets.docks.denoise import DenoiseWidget\n"
        "dock = DenoiseWidget(ViewerModel())\n"
        "assert 'torch' not in sys.modules, 'torch was loaded'\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
