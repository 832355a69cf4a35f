"""Where an answer lies: crops, levels and axes, compared in world coordinates."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image as ImageLayer
from napari.layers import Shapes

from napari_dip.images.details import Details
from napari_dip.images.image import Image
from napari_dip.images.part import describe_part
from napari_dip.widgets.layers.open_files import image_to_layer_data
from napari_dip.widgets.layers.region import PLANE, RECTANGLE, VIEW, WHOLE, region
from napari_dip.widgets.layers.source import default_level, layer_axes, make_source
from napari_dip.widgets.napari_hooks.writer import image_from_layer

pytestmark = pytest.mark.timeout(120)
UM = ("um", "um", "um")


def stack(**look: Any) -> ImageLayer:
    return ImageLayer(np.random.default_rng(0).random((6, 40, 50)), **look)


def answer_layer(
    layer: ImageLayer, axes: str, index: tuple[slice, ...], level: int = 0
) -> ImageLayer:
    source = make_source(layer, axes, index, level)
    return ImageLayer(np.zeros(source.shape), **source.look)


def viewer_at(point: tuple[float, ...], ndisplay: int = 2) -> Any:
    dims = SimpleNamespace(
        point=point,
        ndim=len(point),
        ndisplay=ndisplay,
        not_displayed=tuple(range(len(point) - ndisplay)),
    )
    return SimpleNamespace(dims=dims)


@pytest.mark.parametrize(
    ("labels", "shape", "axes"),
    [
        (None, (5, 6), "YX"),
        (None, (4, 5, 6), "ZYX"),
        (("t", "y", "x"), (4, 5, 6), "TYX"),
        (("Channel", "row", "column"), (2, 5, 6), "CYX"),
        (("time", "-2", "-1"), (4, 5, 6), "TYX"),
        (("y", "x", "z"), (5, 6, 4), "YXZ"),
        (("foo", "foo", "bar"), (4, 5, 6), "ZYX"),
        (("c", "c", "x"), (4, 5, 6), "ZYX"),
        (None, (2, 3, 4, 5, 6), "TZCYX"),
    ],
)
def test_axes_come_from_labels_then_from_shape(
    labels: Any, shape: tuple[int, ...], axes: str
) -> None:
    assert layer_axes(ImageLayer(np.zeros(shape), axis_labels=labels)) == axes


def test_six_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 to 5 axes"):
        layer_axes(ImageLayer(np.zeros((2,) * 6)))


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"scale": (0.3, 0.1, 0.1), "translate": (5, 6, 7), "units": UM},
        {"scale": (2, 1, 3), "rotate": (10, 20, 30)},
        {"shear": (0.1, 0.2, 0.3), "translate": (1, 2, 3)},
        {
            "scale": (2, 1, 1),
            "rotate": (0, 0, 40),
            "affine": np.diag([1, 2, 0.5, 1]) + np.eye(4, k=1) * 0.2,
        },
    ],
)
def test_a_crop_lies_where_it_was_cut(look: dict[str, Any]) -> None:
    layer = stack(**look)
    crop = answer_layer(layer, "ZYX", (slice(2, 3), slice(10, 30), slice(5, 45)))
    for inside, outside in (((0, 0, 0), (2, 10, 5)), ((0, 19, 39), (2, 29, 44))):
        np.testing.assert_allclose(
            crop.data_to_world(inside), layer.data_to_world(outside), atol=1e-9
        )
    whole = answer_layer(layer, "ZYX", tuple(slice(0, n) for n in layer.data.shape))
    np.testing.assert_allclose(whole.extent.world, layer.extent.world, atol=1e-9)


def test_scale_units_labels_and_look_are_kept() -> None:
    layer = stack(
        scale=(0.3, 0.1, 0.1),
        units=UM,
        axis_labels=("z", "y", "x"),
        colormap="magma",
        contrast_limits=(0.1, 0.7),
    )
    layer.gamma, layer.opacity, layer.blending = 0.8, 0.6, "additive"
    source = make_source(layer, "ZYX", tuple(slice(0, n) for n in layer.data.shape))
    image = source.image()
    assert (image.axes, image.scale, image.units) == ("ZYX", (0.3, 0.1, 0.1), ("micrometer",) * 3)
    assert image.pixels is layer.data
    twin = ImageLayer(np.zeros(source.shape), **source.look)
    assert twin.units == layer.units and twin.axis_labels == layer.axis_labels
    assert twin.colormap.name == "magma" and twin.contrast_limits == [0.1, 0.7]
    assert (twin.gamma, twin.opacity, twin.blending) == (0.8, 0.6, "additive")


def test_a_level_covers_the_same_ground() -> None:
    levels = [np.zeros((64, 96)), np.zeros((32, 48)), np.zeros((16, 24))]
    layer = ImageLayer(levels, multiscale=True, scale=(0.5, 0.2), translate=(3, 4), rotate=15)
    source = make_source(layer, "YX", (slice(0, 16), slice(0, 24)), level=2)
    assert source.scale == (2.0, 0.8)
    level = ImageLayer(np.zeros((16, 24)), **source.look)
    for corner in (
        (-0.5, -0.5),
        (15.5, 23.5),
    ):  # outer edges, in pixels of the level and of the finest one
        finest = (np.array(corner) + 0.5) * 4 - 0.5
        np.testing.assert_allclose(
            level.data_to_world(corner), layer.data_to_world(finest), atol=1e-9
        )


def test_a_large_multiscale_layer_starts_on_a_level_that_can_be_fitted() -> None:
    levels = [da.zeros((n, n), chunks=512) for n in (8192, 4096, 2048, 1024)]
    assert default_level(ImageLayer(levels, multiscale=True)) == 2
    assert default_level(ImageLayer(np.zeros((30, 30)))) == 0


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr", "memmap"])
def test_every_kind_of_array_is_cropped(kind: str, tmp_path: Any) -> None:
    plain = np.random.default_rng(1).integers(0, 255, (3, 20, 24), np.uint8)
    if kind == "memmap":
        data: Any = np.memmap(tmp_path / "raw", np.uint8, "w+", shape=plain.shape)
        data[:] = plain
    else:
        data = {"numpy": plain, "dask": da.from_array(plain, chunks=8), "zarr": zarr.array(plain)}[
            kind
        ]
    index = (slice(1, 2), slice(3, 13), slice(4, 20))
    image = make_source(ImageLayer(data), "ZYX", index).image()
    np.testing.assert_array_equal(np.asarray(image), plain[index])


def test_colour_goes_back_to_its_type_with_its_alpha() -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (20, 24, 4), np.uint8)
    source = make_source(ImageLayer(pixels, rgb=True), "YX", (slice(2, 12), slice(0, 24)))
    image = source.image()
    assert (image.axes, image.shape) == ("YXC", (10, 24, 3))
    shown = source.layer_pixels(image.with_pixels(np.full(image.shape, 300.4, np.float32)))
    assert shown.dtype == np.uint8 and shown.shape == (10, 24, 4)
    assert (shown[..., :3] == 255).all()
    np.testing.assert_array_equal(shown[..., 3], pixels[2:12, :, 3])


def test_a_rectangle_is_found_in_a_scaled_and_turned_layer() -> None:
    layer = stack(scale=(0.3, 0.1, 0.1), rotate=(0, 0, 0), translate=(0, 1, 2), units=UM)
    corners = np.array(
        [
            layer.data_to_world((2, y, x))[1:]
            for y, x in ((9.5, 4.5), (9.5, 24.5), (29.5, 24.5), (29.5, 4.5))
        ]
    )
    shapes = Shapes([corners])
    index = region(RECTANGLE, layer, "ZYX", 0, viewer_at((0, 0, 0)), shapes)
    assert index == (slice(0, 6), slice(10, 30), slice(5, 25))


def test_the_selected_shape_goes_before_the_last() -> None:
    layer = ImageLayer(np.zeros((40, 50)))
    shapes = Shapes(
        [
            np.array([[1, 1], [1, 9], [9, 9], [9, 1]]),
            np.array([[20, 20], [20, 40], [30, 40], [30, 20]]),
        ]
    )
    shapes.selected_data = {0}
    assert region(RECTANGLE, layer, "YX", 0, viewer_at((0, 0)), shapes) == (
        slice(1, 10),
        slice(1, 10),
    )
    shapes.selected_data = set()
    assert region(RECTANGLE, layer, "YX", 0, viewer_at((0, 0)), shapes) == (
        slice(20, 31),
        slice(20, 41),
    )


def test_this_plane_is_the_one_the_sliders_stand_on() -> None:
    layer = stack(scale=(0.3, 0.1, 0.1))
    assert region(PLANE, layer, "ZYX", 0, viewer_at((0.9, 1, 1))) == (
        slice(3, 4),
        slice(0, 40),
        slice(0, 50),
    )
    assert region(WHOLE, layer, "ZYX", 0, viewer_at((0.9, 1, 1))) == tuple(
        slice(0, n) for n in (6, 40, 50)
    )


def test_what_is_in_view_is_cut_from_the_plane_shown() -> None:
    layer = stack()
    layer.corner_pixels = np.array([[0, 10, 20], [0, 19, 39]])
    assert region(VIEW, layer, "ZYX", 0, viewer_at((4, 0, 0))) == (
        slice(4, 5),
        slice(10, 20),
        slice(20, 40),
    )


@pytest.mark.parametrize(
    ("kind", "point", "ndisplay", "shapes", "reason"),
    [
        (RECTANGLE, (0, 0, 0), 2, None, "no Shapes layer"),
        (RECTANGLE, (0, 0, 0), 2, Shapes(), "is empty"),
        (
            RECTANGLE,
            (0, 0, 0),
            2,
            Shapes([np.array([[100, 100], [100, 120], [120, 120], [120, 100]])]),
            "outside",
        ),
        (VIEW, (0, 0, 0), 3, None, "2D view"),
    ],
)
def test_an_impossible_region_is_refused(
    kind: str, point: Any, ndisplay: int, shapes: Any, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        region(kind, stack(), "ZYX", 0, viewer_at(point, ndisplay), shapes)


def test_a_hidden_layer_is_not_in_view() -> None:
    with pytest.raises(ValueError, match="not in view"):
        region(VIEW, stack(visible=False), "ZYX", 0, viewer_at((0, 0, 0)))


def test_a_writer_gets_axes_scale_units_and_record() -> None:
    layer = stack(
        scale=(0.3, 0.1, 0.1), units=UM, metadata={"napari_dip": {"method": "dip"}}, name="cells"
    )
    data, meta, _ = layer.as_layer_data_tuple()
    image = image_from_layer(data, meta)
    assert isinstance(image, Image)
    assert (image.axes, image.scale, image.units, image.name) == (
        "ZYX",
        (0.3, 0.1, 0.1),
        ("micrometer",) * 3,
        "cells",
    )
    assert image.provenance == {"method": "dip"}


def test_a_layer_knows_what_part_of_its_file_it_is() -> None:
    part = {"series": {"taken": "1", "of": 3, "names": ["Well A2"]}}
    whole = (slice(None),) * 3
    source = make_source(stack(metadata={"napari_dip": {"part": part}}), "TYX", whole)
    assert source.image().provenance == {"part": part}
    assert describe_part(source.part) == "image 1 (Well A2) of 3"
    for strange in ({"napari_dip": 3}, {"napari_dip": {"part": [1]}}, {}):
        assert make_source(stack(metadata=strange), "TYX", whole).image().provenance == {}
    assert describe_part({"colour": 1, "plane": "all"}) == ""


def test_what_a_file_shows_dark_is_dark() -> None:
    image = Image(np.ones((4, 5)), "YX", details=Details(channels=({"Inverted": True},)))
    assert image_to_layer_data(image)[1]["colormap"] == "gray_r"
    assert "colormap" not in image_to_layer_data(Image(np.ones((4, 5)), "YX"))[1]
