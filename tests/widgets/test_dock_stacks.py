"""Stacks in the dock: planes nearby help a plane run alone, and the sliders follow a fit."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import api, train
from napari_dip.denoising import fit_image
from napari_dip.images.image import Image
from napari_dip.planes.chunk import Chunk
from napari_dip.planes.image_statistics import measure_image
from napari_dip.settings import IDDP, BlindSpot
from napari_dip.snapshot import Snapshot, consume, last
from napari_dip.widgets.layers.region import PLANE
from napari_dip.widgets.layers.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(120)
WAIT = 40_000
SMALL = {"channels": 4, "layers": 1, "crop": 16, "batch": 2}
HOW = BlindSpot(**SMALL, steps=8, neighbours=1, through_stack="apart")


def still_field(*planes: int, seed: int = 0) -> np.ndarray:
    """Return planes of one still field with Poisson noise of their own, uint16."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(48, 48)), 2)
    clean = 20 + 60 * np.exp(-((field / field.std()) ** 2))
    return rng.poisson(np.broadcast_to(clean, (*planes, 48, 48))).astype(np.uint16)


def source_of(data: np.ndarray, axes: str, index: tuple[slice, ...]) -> Source:
    ones = (1.0,) * len(axes)
    return Source(data, index, axes, ones, ("um",) * len(axes), "cells", axes.endswith("C"))


@pytest.mark.parametrize(("t", "z"), [(1, 1), (3, 0)])
def test_one_plane_is_fitted_as_it_would_be_in_its_stack(t: int, z: int) -> None:
    from napari_dip.widgets.runs.worker import among_neighbours

    whole, crop = still_field(4, 2), (slice(0, 48), slice(4, 44))
    one = source_of(whole, "TZYX", (slice(t, t + 1), slice(z, z + 1), *crop))
    begin = among_neighbours(one, HOW)
    assert begin is not None
    alone, notes, _ = consume(begin(one.image(), how=HOW, device="cpu"))
    stats = measure_image(one.image(), stabilise=True, straighten=True)
    stack = Image(whole[..., 4:44], "TZYX")
    expected = last(fit_image(stack, HOW, "cpu", stats=stats))
    assert alone.image.shape == (1, 1, 48, 40)
    assert np.array_equal(alone.image.pixels[0, 0], np.asarray(expected.image.pixels)[t, z])
    used = expected.provenance["neighbours_used"]
    assert alone.provenance["neighbours_used"] == [used[2 * t + z]] and "T" in used[2 * t + z]
    assert "Z" in used[2 * t + z]
    assert f"Planes nearby along T and Z that helped: {used[2 * t + z]}." in notes


def test_no_more_than_the_planes_that_may_help_are_read() -> None:
    data = np.zeros((40, 30, 2, 8, 9))
    one = source_of(data, "TZCYX", (*(slice(n, n + 1) for n in (39, 7, 1)), slice(8), slice(9)))
    wider, inside = one.near(2)
    assert wider.shape == (5, 5, 1, 8, 9) and inside == {0: range(4, 5), 1: range(2, 3)}
    assert wider.index[:3] == (slice(35, 40), slice(5, 10), slice(1, 2))
    assert one.near(0)[1] == {} == source_of(data[0, 0, 0], "YX", (slice(8), slice(9))).near(2)[1]


def test_a_neighbour_with_missing_pixels_is_left_out() -> None:
    from napari_dip.widgets.runs.worker import among_neighbours

    data = still_field(3).astype(np.float32)
    data[2, 5, 5] = np.nan
    begin = among_neighbours(source_of(data, "TYX", (slice(1, 2), slice(48), slice(48))), HOW)
    assert begin is not None
    final = last(begin(None, how=HOW, device="cpu"))
    assert final.provenance["neighbours_used"] == ["T-1"]
    assert np.isfinite(final.image.pixels).all()


def test_the_dock_hands_on_the_neighbours_of_a_plane(
    make_dock: Callable[..., Any], viewer: Any, finish: Callable[[Any], Any]
) -> None:
    dock = make_dock(still_field(4), axis_labels=("t", "y", "x"), steps=6)
    dock.input.region.setCurrentText(PLANE)
    viewer.dims.set_point(0, 1)
    run = finish(dock.start())
    assert run.answer.provenance["neighbours_used"] == ["T-1 T+1 T+2"]
    assert "Planes nearby along T that helped: T-1 T+1 T+2." in dock.panel.message.text()
    assert run.layer.data.shape == (1, 48, 48) and run.layer.translate[0] == 1
    dock.method_box.form.box("neighbours").value = 0
    assert dock._check().begin is None


def test_a_model_that_sees_neighbours_is_applied_to_one_plane(
    make_dock: Callable[..., Any], viewer: Any, finish: Callable[[Any], Any], tmp_path: Path
) -> None:
    small = {"channels": 4, "depth": 1, "crop": 16, "batch": 2, "filter_channels": 4}
    how = IDDP(steps=4, filter_layers=1, orientations=1, neighbours=1, **small)
    stack = Image(still_field(4), "TYX")
    model = train(stack, how, device="cpu")
    model.save(tmp_path / "model.safetensors")
    expected = last(api.iter_chunk(stack, model, "cpu", Chunk(0, 2, 3, None))).image
    dock = make_dock(stack.pixels, axis_labels=("t", "y", "x"))
    dock.extra.row.path = tmp_path / "model.safetensors"
    dock.input.region.setCurrentText(PLANE)
    viewer.dims.set_point(0, 2)
    run = finish(dock.start())
    assert not run.failure
    assert np.array_equal(run.layer.data, np.asarray(expected.pixels))


class PlaneByPlane:
    """Stands in for `iter_denoise`: goes on to the next plane when it is told."""

    def __init__(self) -> None:
        self.go_on = [Event() for _ in range(9)]

    def __call__(self, image: Image, how: Any, *, device: str = "auto") -> Iterator[Snapshot]:
        planes = len(image.plane_indices())
        for plane in range(planes):
            assert self.go_on[plane].wait(40)
            yield Snapshot(
                plane + 1, planes, 1.0, None, plane + 1, plane, planes, "", {}, lambda: image
            )


@pytest.fixture
def by_plane(monkeypatch: pytest.MonkeyPatch) -> PlaneByPlane:
    fake = PlaneByPlane()
    monkeypatch.setattr(api, "iter_denoise", fake)
    monkeypatch.setattr("napari_dip.widgets.runs.progress.REPORT_EVERY", 0.0)
    return fake


def test_the_sliders_follow_the_fit(
    make_dock: Callable[..., Any], viewer: Any, by_plane: PlaneByPlane, qtbot: Any
) -> None:
    dock = make_dock(np.zeros((3, 3, 8, 9)), axis_labels=("t", "z", "y", "x"), scale=(9, 0.5, 1, 1))
    assert not dock.input.follow.isHidden() and dock.input.follow.isChecked()
    viewer.dims.set_point(0, 18)
    run = dock.start()
    for plane, point in enumerate([(0, 0), (0, 0.5), (0, 1), (9, 0)]):
        by_plane.go_on[plane].set()
        qtbot.waitUntil(lambda point=point: viewer.dims.point[:2] == point, timeout=WAIT)
    viewer.dims.set_point(0, 18)  # by a person
    for event in by_plane.go_on:
        event.set()
    qtbot.waitUntil(lambda: not run.running, timeout=WAIT)
    assert viewer.dims.point[:2] == (18, 0)


def test_the_sliders_stay_where_that_is_wanted_or_there_is_one_plane(
    make_dock: Callable[..., Any], viewer: Any, by_plane: PlaneByPlane, finish: Any
) -> None:
    for event in by_plane.go_on:
        event.set()
    dock = make_dock(np.zeros((5, 8, 9)))
    dock.input.follow.setChecked(False)
    viewer.dims.set_point(0, 2)
    finish(dock.start())
    assert viewer.dims.point[0] == 2
    dock.input.follow.setChecked(True)
    dock.method_box.form.box("neighbours").value = 0
    dock.input.region.setCurrentText(PLANE)
    assert dock.input.follow.isHidden()
    finish(dock.start())
    assert viewer.dims.point[0] == 2
