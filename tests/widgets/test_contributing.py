"""The recipes of CONTRIBUTING.md are true: each is run as it stands, from outside the package."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from napari_dip import DIP, BlindSpot, Image, denoise, iter_denoise, last, read, train, write
from napari_dip.cli.commands import build
from napari_dip.files import registry as formats
from napari_dip.methods import registry
from napari_dip.settings import FitSettings, PatchDIP, Settings, knob, knobs
from napari_dip.settings import network_registry as networks

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
RNG = np.random.default_rng(0)
NOISY = RNG.poisson(60, (40, 52)).astype(np.float32)


def block(name: str) -> str:
    """The code after a marker of CONTRIBUTING.md."""
    (found,) = re.findall(rf"<!-- recipe: {name} -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which modules are imported."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def follow_recipe(place: Path, name: str, scope: Any) -> Any:
    """Do what a recipe says, with a module outside of the package; return that module."""
    line = block(f"{name}, its line")
    (where,) = re.findall(r'"(napari_dip[\w.]+):', line)  # module of the object that it names
    module = where.rpartition(".")[2]
    text = re.sub(rf"{where}\b", module, block(name))
    (place / f"{module}.py").write_text(text, "utf-8")
    made = __import__(module)
    exec(line.replace(where, module), vars(scope))
    return made


@pytest.fixture
def method(place: Path) -> Iterator[type[Settings]]:
    made = follow_recipe(place, "method", registry)
    yield made.Diffusion
    del registry.METHODS["diffusion"], sys.modules["diffusion"]


@pytest.fixture
def trained(place: Path) -> Iterator[Any]:
    made = follow_recipe(place, "trained", registry)
    yield made.Smoothing
    del registry.TRAINED["smoothing"], sys.modules["smoothing"]


@pytest.fixture
def network(place: Path) -> Iterator[str]:
    follow_recipe(place, "network", networks)
    yield "flat"
    networks.unregister_network("flat")
    del sys.modules["flat"]


def flags(verb: str, name: str) -> set[str]:
    arguments = build([verb, "--method", name])[verb].assemble_argument_collection()
    return {flag for argument in arguments for flag in argument.names}


def docs_table(method: type[Settings]) -> str:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generated
    finally:
        sys.path.pop(0)
    return str(generated.settings_table(method))


def test_a_method_denoises_and_keeps_the_laws(method: type[Settings]) -> None:
    stack = RNG.poisson(60, (2, 24, 30)).astype(np.uint16)
    image = Image(stack, "TYX", scale=(2.0, 0.5, 0.5))
    snapshots = list(iter_denoise(image, method(), device="cpu"))
    for snapshot in snapshots:
        assert (snapshot.image.shape, snapshot.image.axes) == (stack.shape, "TYX")
        assert snapshot.image.scale == image.scale
        assert np.isfinite(np.asarray(snapshot.image.pixels)).all()
    final = snapshots[-1]
    assert final.provenance["settings"] == {
        "method": "diffusion",
        "seed": 0,
        "steps": 4,
        "rate": 0.5,
    }
    assert final.provenance["steps_chosen"] == [4, 4]
    assert np.asarray(final.image.pixels).std() < 0.7 * stack.std()
    with pytest.raises(ValueError, match="rate = 2"):
        method(rate=2)


def test_a_method_has_flags_a_docs_row_and_a_form(method: type[Settings], qtbot: Any) -> None:
    from napari_dip.widgets.parts.method_box import MethodBox
    from napari_dip.widgets.parts.settings_form import SettingsForm

    assert {"--rate", "--steps", "--seed", "--preset"} <= flags("denoise", "diffusion")
    assert "| `rate` | `0.5` | > 0, ≤ 1 |" in docs_table(method)
    form, box = SettingsForm(method), MethodBox("cpu")
    qtbot.addWidget(form)
    qtbot.addWidget(box)
    assert form.settings() == method()
    assert box.method.findData("diffusion") >= 0


def test_a_method_is_tiled_where_memory_is_short(
    method: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = denoise(NOISY, method(), device="cpu")
    monkeypatch.setattr("napari_dip.engine.tiled_fit.LEAST", 24 * 24)
    monkeypatch.setattr("napari_dip.engine.free_memory.free_memory", lambda device: 0)
    final = last(iter_denoise(NOISY, method(), device="cpu"))
    assert "tiles" in str(final.provenance["for_lack_of_memory"])
    error = np.asarray(final.image.pixels) - whole
    assert np.abs(error).max() < 0.1 * NOISY.std()


def test_a_stack_is_divided_as_the_record_says(method: type[Settings]) -> None:
    from napari_dip.api import iter_chunk
    from napari_dip.planes.chunk import Chunk
    from napari_dip.planes.image_statistics import measure_image

    image = Image(RNG.poisson(60, (5, 20, 22)).astype(np.float32), "TYX")
    whole = denoise(image, method(), device="cpu")
    chunk = Chunk(0, 2, 4, measure_image(image, stabilise=False))
    part = last(iter_chunk(image, method(), "cpu", chunk)).image
    assert np.array_equal(np.asarray(part.pixels), np.asarray(whole.pixels)[2:4])
    assert registry.METHODS["diffusion"].warm_steps(method()) == 0


def test_a_name_is_taken_once(method: type[Settings]) -> None:
    with pytest.raises(ValueError, match="already"):
        registry.register(registry.METHODS, registry.Method(method, "diffusion:fit"))


def test_a_trained_method_trains_is_applied_and_has_flags(trained: Any) -> None:
    how = trained(steps=6, filter_share=0.5, channels=4, filter_channels=4, crop=16, batch=2)
    model = train([NOISY], how, device="cpu")
    assert model.settings.method == "smoothing"
    assert denoise(NOISY, model, device="cpu").shape == NOISY.shape
    assert {"--width", "--filter-share"} <= flags("train", "smoothing")
    assert "`width`" in docs_table(trained)


@pytest.mark.parametrize("cls", [DIP, PatchDIP])
def test_a_network_of_z_is_a_choice_of_every_method_that_fits_one(
    network: str, cls: type[FitSettings]
) -> None:
    how = cls(net=network, steps=3, channels=4)
    assert denoise(NOISY, how, device="cpu").shape == NOISY.shape
    (knob,) = (knob for knob in knobs(cls) if knob.name == "net")
    assert network in knob.annotation.__args__
    assert network in docs_table(cls)


def test_a_format_is_read_and_never_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", [*formats.FORMATS])
    follow_recipe(place, "format", formats)
    np.savetxt(place / "a.numbers", NOISY)
    assert np.array_equal(np.asarray(read(place / "a.numbers")), NOISY)
    with pytest.raises(ValueError, match="no suffix that can be written"):
        write(place / "b.numbers", Image(NOISY))


def test_a_knob_is_one_line(qtbot: Any) -> None:
    from napari_dip.widgets.parts.settings_form import SettingsForm

    scope: dict[str, Any] = {"BlindSpot": BlindSpot, "knob": knob, "ClassVar": ClassVar}
    exec(f"class WithKnob(BlindSpot):\n{block('knob')}", scope)
    changed = scope["WithKnob"]
    form = SettingsForm(changed)
    qtbot.addWidget(form)
    assert form.settings() == changed() and form.box("margin").value == 4
    assert "| `margin` | `4` | ≥ 0 | pixels |" in docs_table(changed)
    assert changed(margin=2).to_json()["margin"] == 2


def test_a_dock_option_reaches_the_run(viewer: Any, qtbot: Any) -> None:
    scope: dict[str, Any] = {}
    exec(compile(block("dock option"), "CONTRIBUTING.md", "exec", dont_inherit=True), scope)
    layer = viewer.add_image(NOISY, name="cells")
    dock = scope["NamingDock"](viewer)
    qtbot.addWidget(dock)
    source = dock.input.source()
    assert dock.request(source, BlindSpot()).result == "clean"
    assert layer.name == "cells"
    dock.shut_down()


def test_a_network_is_gone_with_its_record(place: Path) -> None:
    with pytest.raises(ValueError, match="'flat'"):
        DIP(net="flat")
    assert not torch.cuda.is_initialized()
