"""Tiles: an image cut up and put together again is the same image."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dip.engine.tiles import Tiles

RANDOM = np.random.default_rng(0)
SIZES = [
    (1, 1),
    (1, 200),
    (200, 1),
    (7, 64),
    (64, 64),
    (65, 63),
    (200, 200),
    *RANDOM.integers(1, 201, (30, 2)).tolist(),
]
GRIDS = [(64, 32), (64, 64), (16, 5), (1, 1), (48, 47), (300, 7)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cut_and_blended_again_is_the_image(size: tuple[int, int]) -> None:
    image = RANDOM.normal(1000, 300, size)
    for side, stride in GRIDS if min(size) < 70 else GRIDS[:3]:
        tiles = Tiles(*size, side, stride)
        again = np.zeros(size)
        for number, place in enumerate(tiles.places):
            assert image[place].shape == tiles.shape == tiles.weight(number).shape
            assert tiles.weight(number).min() > 0
            again[place] += tiles.weight(number) * image[place]
        np.testing.assert_allclose(again, image, rtol=1e-13)


def test_tiles_cover_every_pixel_and_are_no_more_than_needed() -> None:
    tiles = Tiles(100, 64, 64, 32)
    assert [(rows.start, columns.start) for rows, columns in tiles.places] == [
        (0, 0),
        (32, 0),
        (36, 0),
    ]
    assert len(Tiles(64, 64, 64, 32).places) == 1
    assert Tiles(20, 90, 64, 32).shape == (20, 64)


def test_a_border_between_tiles_counts_least_so_that_no_seam_shows() -> None:
    tiles = Tiles(96, 96, 64, 32)
    steps = np.zeros((96, 96))
    for number, place in enumerate(tiles.places):  # tiles that disagree, each a value of its own
        steps[place] += tiles.weight(number) * number
    jumps = max(np.abs(np.diff(steps, axis=axis)).max() for axis in (0, 1))
    assert jumps < 0.15  # plain means would jump by 1.5


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ((50, 50, 16, 17), "leave gaps"),
        ((0, 5, 16, 8), "at least 1"),
        ((5, 5, 16, 0), "at least 1"),
    ],
)
def test_grids_that_make_no_sense_are_refused(grid: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tiles(*grid)
