"""Offsets of rows and columns are found and taken off; structure is not taken for them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dip.noise.lines import line_offsets, subtract_line_offsets

NOISE = 10.0
SEEDS = range(100, 106)


def cells(rng, size):
    """Blobs with soft edges and beads, up to 10 times the noise."""
    y, x = np.mgrid[:size, :size].astype(float)
    image = np.zeros((size, size))
    for _ in range(max(2, size // 20)):
        distance = np.hypot(y - rng.uniform(0, size), x - rng.uniform(0, size))
        edge = np.clip((distance - rng.uniform(6, 16)) / 1.5, -30, 30)
        image += rng.uniform(2, 6) * NOISE / (1 + np.exp(edge))
    for _ in range(size // 8):
        square = (y - rng.uniform(0, size)) ** 2 + (x - rng.uniform(0, size)) ** 2
        image += 8 * NOISE * np.exp(-square / (2 * 1.3**2))
    return image


def structure(kind, rng, size):
    """Content without offsets of lines: (size, size), the lines along the rows."""
    y, x = np.mgrid[:size, :size].astype(float)
    at = rng.uniform(0.3, 0.7) * size
    if kind.startswith("grating"):
        return 5 * NOISE * np.sin(2 * np.pi * y / float(kind[7:]) + rng.uniform(0, 6))
    return {
        "flat": lambda: np.zeros((size, size)),
        "cells": lambda: cells(rng, size),
        "ramp": lambda: 20 * NOISE * y / size,
        "edge": lambda: 20 * NOISE * (y > at),
        "line": lambda: 10 * NOISE * (y == int(at)),
        "filament": lambda: 20 * NOISE * np.exp(-((y - at) ** 2) / 4),
        "half a filament": lambda: 20 * NOISE * np.exp(-((y - at) ** 2) / 4) * (x < size / 2),
        "object": lambda: 50 * NOISE * (np.hypot(y - at, x - at) < size / 5),
        "square": lambda: 50 * NOISE * (abs(y - at) < size / 6) * (abs(x - at) < size / 4),
        "bars": lambda: np.repeat(rng.normal(0, 5 * NOISE, (size // 8, 1)), 8, 0) + 0 * x,
        "noise smooth in y and x": lambda: _smooth(rng, size),
        "frame": lambda: np.pad(rng.normal(100, NOISE, (size - 16, size - 16)), 8),
    }[kind]()


def _smooth(rng, size):
    spectrum = np.fft.rfft2(rng.normal(0, 1, (size, size)))
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    smooth = np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * 1.5) ** 2 * (fy**2 + fx**2)))
    return smooth / smooth.std() * 2 * NOISE


def left_over(found, true):
    return float(np.std(found - true) / np.std(true))


@pytest.mark.parametrize("axes", ["rows", "columns", "rows and columns"])
@pytest.mark.parametrize(
    ("size", "strength", "most"),
    [(64, 1, 0.55), (64, 2, 0.4), (128, 0.5, 0.5), (256, 0.5, 0.35), (256, 1, 0.25), (256, 2, 0.2)],
)
def test_offsets_are_found_and_taken_off(axes, size, strength, most):
    left = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        straight = cells(rng, size) + rng.normal(0, NOISE, (size, size))
        rows, columns = rng.normal(0, strength * NOISE, (2, size))
        rows, columns = rows * ("rows" in axes), columns * ("columns" in axes)
        plane = straight + rows[:, None] + columns
        found = line_offsets(plane)
        assert found.significant
        for name, true in (("row", rows), ("column", columns)):
            measured = getattr(found, f"{name}s")
            if true.any():
                left.append(left_over(measured, true))
                assert getattr(found, f"{name}_strength") == pytest.approx(strength, rel=0.5)
            else:
                assert not measured.any()
                assert getattr(found, f"{name}_strength") == 0
        straightened = subtract_line_offsets(plane, found)
        assert straightened.mean() == pytest.approx(plane.mean(), abs=1e-9)
        assert np.std(straightened - straight) < np.std(plane - straight)
    assert np.median(left) < most


@pytest.mark.parametrize("size", [64, 256])
@pytest.mark.parametrize(
    "kind",
    [
        *("flat", "cells", "ramp", "edge", "line", "filament", "half a filament", "object"),
        *("square", "bars", "noise smooth in y and x", "frame"),
        *(f"grating{period}" for period in (2.5, 3, 4, 5, 8, 12, 20)),
    ],
)
def test_structure_is_not_straightened(kind, size):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        plane = structure(kind, rng, size)
        if kind != "frame":
            plane = plane + rng.normal(0, NOISE, plane.shape)
        for turned in (plane, plane.T):
            found = line_offsets(turned)
            assert not found.significant
            np.testing.assert_array_equal(subtract_line_offsets(turned, found), turned)


@pytest.mark.parametrize("mean", [0.02, 0.1, 1.0])
def test_few_photons_are_no_offsets(mean):
    for seed in SEEDS:
        plane = np.random.default_rng(seed).poisson(mean, (128, 128)).astype(float)
        assert not line_offsets(plane).significant


@pytest.mark.parametrize("kind", ["edge", "filament", "line"])
def test_structure_across_the_image_stays_where_there_are_offsets_too(kind):
    size, kept = 256, []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        content = structure(kind, rng, size)
        true = rng.normal(0, NOISE, size)
        found = line_offsets(content + rng.normal(0, NOISE, content.shape) + true[:, None])
        assert found.row_strength > 0.5
        # What was taken away is never larger than offsets are, though the content is.
        assert np.abs(found.rows).max() < 5 * NOISE
        kept.append(left_over(found.rows, true))
    assert np.median(kept) < 0.35


@pytest.mark.parametrize("size", [64, 256])
def test_rows_that_alternate(size):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        true = NOISE * (-1.0) ** np.arange(size)
        found = line_offsets(cells(rng, size) + rng.normal(0, NOISE, (size, size)) + true[:, None])
        assert left_over(found.rows, true) < 0.2
        assert found.column_strength == 0


def test_offsets_of_the_camera_are_found_in_the_mean_of_planes():
    left = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        true = rng.normal(0, 0.3 * NOISE, 128)
        planes = np.stack([cells(rng, 128) for _ in range(16)]) + true
        planes += rng.normal(0, NOISE, planes.shape)
        found = line_offsets(planes.mean(axis=0))
        assert found.row_strength == 0
        left.append(left_over(found.columns, true))
    assert np.median(left) < 0.45


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_intensity_does_not_matter(unit):
    rng = np.random.default_rng(100)
    plane = rng.normal(0, NOISE, (96, 96)) + rng.normal(0, NOISE, (96, 1))
    one, other = line_offsets(plane), line_offsets(plane * unit + 7 * unit)
    np.testing.assert_allclose(other.rows, one.rows * unit, atol=1e-6 * NOISE * unit)
    assert other.row_strength == pytest.approx(one.row_strength)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (31, 200), (200, 31)])
def test_planes_too_small_have_no_offsets(shape):
    rng = np.random.default_rng(100)
    found = line_offsets(rng.normal(0, 1, shape) + rng.normal(0, 3, (shape[0], 1)))
    assert (found.rows.shape, found.columns.shape) == ((shape[0],), (shape[1],))
    assert not found.significant


def test_a_plane_of_one_value_has_no_offsets():
    assert not line_offsets(np.full((64, 64), 7.0)).significant


@pytest.mark.filterwarnings("error")
def test_lines_without_any_variance_are_weighed_without_overflow():
    checkers = np.indices((64, 64)).sum(0) % 2 * 100.0
    black = np.where(np.arange(64) > 32, 0, np.random.default_rng(0).normal(100, 5, (64, 64)))
    for plane in (checkers, black):
        offsets = line_offsets(plane)
        assert np.isfinite(offsets.rows).all() and np.isfinite(offsets.columns).all()
