"""The dock "Restore": what each task asks for, and where its answer lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_dip.widgets.docks.restore import FOUND, LABELS, SHAPES, RestoreWidget
from napari_dip.widgets.layers.region import RECTANGLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)
WAIT = 40_000
UM = ("um", "um")


@pytest.fixture
def make_restore(viewer: Any, errors: list[str], qtbot: Any) -> Iterator[Callable[..., Any]]:
    """Give a function that opens the dock on a task, with a fit that is over at once."""
    docks = []

    def make(task: str) -> Any:
        dock = RestoreWidget(viewer)
        qtbot.addWidget(dock)
        dock.method_box.method.setCurrentIndex(dock.method_box.method.findData(task))
        for name, value in (("steps", 2), ("channels", 4), ("scales", 2)):
            dock.method_box.form.box(name).value = value
        docks.append(dock)
        return dock

    yield make
    for dock in docks:
        run = dock.run
        dock.shut_down()
        if run is not None:
            qtbot.waitUntil(lambda run=run: not run.running, timeout=WAIT)


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape or (20, 30)).astype(np.uint16)


def test_labels_mark_what_is_filled(make_restore: Any, viewer: Any, finish: Any) -> None:
    data = image()
    viewer.add_image(data, name="cells", scale=(0.2, 0.1), units=UM)
    labels = np.zeros(data.shape, np.uint8)
    labels[4:7, 8:12] = 3
    viewer.add_labels(labels, scale=(0.2, 0.1), units=UM)
    dock = make_restore("inpaint")
    dock.page.where.setCurrentText(LABELS)
    finish(dock.start())
    filled = viewer.layers["cells: filled"]
    assert np.array_equal(filled.data != data, labels > 0)
    assert tuple(filled.scale) == (0.2, 0.1)
    assert filled.metadata["napari_dip"]["missing_pixels"] == 12


def test_shapes_mark_what_is_filled_wherever_their_layer_lies(
    make_restore: Any, viewer: Any, finish: Any
) -> None:
    data = image(3, 20, 30)
    cells = viewer.add_image(data, name="cells", scale=(1, 0.5, 0.5), translate=(0, 10, 20))
    corners = [(3.6, 7.6), (3.6, 11.4), (6.4, 11.4), (6.4, 7.6)]
    viewer.add_shapes([np.array([cells.data_to_world((1, *corner)) for corner in corners])])
    viewer.layers.selection.active = cells
    dock = make_restore("inpaint")
    dock.page.where.setCurrentText(SHAPES)
    finish(dock.start())
    changed = viewer.layers["cells: filled"].data != data
    wanted = np.zeros((20, 30), bool)
    wanted[4:7, 8:12] = True
    assert np.array_equal(changed, np.broadcast_to(wanted, data.shape))


def test_an_ellipse_on_a_crop_is_round(make_restore: Any, viewer: Any, finish: Any) -> None:
    cells = viewer.add_image(image(40, 40), name="cells")
    box = np.array([[9.5, 9.5], [9.5, 30.5], [30.5, 30.5], [30.5, 9.5]])
    shapes = viewer.add_shapes([box + 2], shape_type="ellipse")
    shapes.add(
        np.array([[4.5, 4.5], [4.5, 35.5], [35.5, 35.5], [35.5, 4.5]]), shape_type="rectangle"
    )
    viewer.layers.selection.active = cells
    dock = make_restore("inpaint")
    dock.input.region.setCurrentText(RECTANGLE)
    source = dock.input.source()
    shapes.selected_data = {1}
    assert source.shape == (31, 31)
    from napari_dip.widgets.layers.masks import mask_from_shapes

    shapes.selected_data = {1}
    shapes.remove_selected()
    mask = mask_from_shapes(shapes, cells, source)
    area = np.pi * (10.5**2)
    assert mask.sum() == pytest.approx(area, rel=0.05)
    rows, columns = np.nonzero(mask)
    assert (rows.mean(), columns.mean()) == pytest.approx((17, 17), abs=0.1)


def test_found_pixels_are_filled_and_the_rest_is_denoised_where_asked(
    make_restore: Any, viewer: Any, finish: Any
) -> None:
    data = image().astype(np.float32)
    data[3, 4] = np.nan
    viewer.add_image(data, name="cells", contrast_limits=(0, 200))
    dock = make_restore("inpaint")
    assert dock.page.where.currentText() == FOUND
    dock.page.keep.setChecked(False)
    finish(dock.start())
    filled = viewer.layers["cells: filled"].data
    assert np.isfinite(filled).all() and not np.array_equal(filled[5:], data[5:])


@pytest.mark.parametrize("factor", [2, 3])
def test_an_enlarged_image_covers_the_same_place(
    factor: int, make_restore: Any, viewer: Any, finish: Any
) -> None:
    look = {"scale": (0.2, 0.1), "translate": (3, 4), "rotate": 20, "units": UM}
    viewer.add_image(image(), name="cells", **look)
    dock = make_restore("upscale")
    dock.page.factor.setCurrentText(str(factor))
    finish(dock.start())
    cells, large = viewer.layers
    assert large.name == f"cells: x{factor}"
    assert large.data.shape == (20 * factor, 30 * factor)
    np.testing.assert_allclose(large.scale, np.array(cells.scale) / factor)
    for corner in ((-0.5, -0.5), (19.5, 29.5)):  # outer edges
        edge = (np.array(corner) + 0.5) * factor - 0.5
        np.testing.assert_allclose(large.data_to_world(edge), cells.data_to_world(corner))


def test_a_colour_image_with_alpha_is_enlarged(make_restore: Any, viewer: Any, finish: Any) -> None:
    data = np.random.default_rng(0).integers(0, 255, (12, 14, 4), dtype=np.uint8)
    viewer.add_image(data, name="cells", rgb=True)
    finish(make_restore("upscale").start())
    large = viewer.layers["cells: x2"]
    assert large.data.shape == (24, 28, 4) and large.data.dtype == np.uint8
    assert np.array_equal(large.data[::2, ::2, 3], data[..., 3])


def test_a_guide_is_asked_for_and_cut_like_the_image(
    make_restore: Any, viewer: Any, finish: Any
) -> None:
    viewer.add_image(image(), name="bright")
    dim = viewer.add_image(image(2, 20, 30), name="dim")
    viewer.add_image(image(5, 6), name="small")
    viewer.layers.selection.active = dim
    dock = make_restore("guided")
    dock.page.guide.setCurrentText("dim")
    assert "is the image itself" in dock.panel.message.text() and dock.start() is None
    dock.page.guide.setCurrentText("small")
    assert "shape (5, 6)" in dock.panel.message.text() and not dock.panel.buttons["Run"].isEnabled()
    dock.page.guide.setCurrentText("bright")
    assert dock.panel.message.text() == ""
    finish(dock.start())
    restored = viewer.layers["dim: restored"]
    assert restored.data.shape == (2, 20, 30)
    assert restored.metadata["napari_dip"]["guide"] == "bright"


def test_the_guide_is_another_layer_than_the_image(make_restore: Any, viewer: Any) -> None:
    green, red = (viewer.add_image(image(), name=name) for name in ("green", "red"))
    dock = make_restore("guided")
    assert (dock.input.layers.layer, dock.page.guide.layer) == (red, green)
    dock.input.layers.setCurrentText("green")
    assert dock.page.guide.layer == red
    assert dock.panel.buttons["Run"].isEnabled()


def test_each_task_shows_its_questions(make_restore: Any, viewer: Any) -> None:
    viewer.add_image(image(), name="cells")
    dock = make_restore("inpaint")
    dock.show()
    inpaint, upscale, guided = (dock.pages[name] for name in ("inpaint", "upscale", "guided"))
    assert inpaint.where.isVisible() and inpaint.keep.isVisible() and not inpaint.labels.isVisible()
    inpaint.where.setCurrentText(LABELS)
    assert inpaint.labels.isVisible() and not inpaint.shapes.isVisible()
    dock.method_box.method.setCurrentIndex(1)
    assert upscale.factor.isVisible() and upscale.down.isVisible() and not inpaint.where.isVisible()
    dock.method_box.method.setCurrentIndex(2)
    assert guided.guide.isVisible() and not upscale.factor.isVisible()
    dock.method_box.method.setCurrentIndex(3)
    assert (
        dock.page.module.isVisible()
        and dock.page.layer.isVisible()
        and not guided.guide.isVisible()
    )


def test_what_is_missing_is_said_before_a_run(
    make_restore: Any, viewer: Any, errors: list[str], finish: Any
) -> None:
    viewer.add_image(image(), name="cells")
    dock = make_restore("inpaint")
    dock.page.where.setCurrentText(LABELS)
    assert "no Labels layer" in dock.panel.message.text() and dock.start() is None
    dock.page.where.setCurrentText(SHAPES)
    assert "no Shapes layer" in dock.panel.message.text() and dock.start() is None
    dock.page.where.setCurrentText(FOUND)
    finish(dock.start())
    assert "nothing was changed. No missing pixel was found" in dock.panel.message.text()
    assert np.array_equal(viewer.layers["cells: filled"].data, viewer.layers["cells"].data)


def test_features_of_a_network_in_a_file_are_inverted(
    make_restore: Any, viewer: Any, finish: Any, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    torch.jit.save(torch.jit.trace(net.eval(), torch.rand(1, 1, 20, 30)), tmp_path / "net.pt")
    viewer.add_image(image(), name="cells")
    dock = make_restore("invert")
    assert dock.start() is None and "Name the network" in dock.panel.message.text()
    dock.page.module.path = tmp_path / "net.pt"
    dock.page.layer.setText("0")
    assert finish(dock.start()).failure == ""
    assert viewer.layers["cells: from features"].data.shape == (20, 30)
    dock.page.layer.setText("7")
    assert "there are 0, 1" in finish(dock.start()).failure
