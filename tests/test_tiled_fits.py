"""Every fit, of restorations too, goes in tiles where memory is short, and no seam is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy import ndimage

from napari_dip import (
    DIP,
    BlindSpot,
    Guided,
    Inpaint,
    PatchDIP,
    Upscale,
    iter_denoise,
    iter_inpaint,
    iter_restore_guided,
    iter_upscale,
    last,
)
from napari_dip.engine.tiled_fit import even_side
from napari_dip.engine.tiles import Tiles
from napari_dip.snapshot import Snapshot

RNG = np.random.default_rng(0)
CLEAN = 60 + 60 * ndimage.gaussian_filter(RNG.normal(size=(72, 104)), 6) / 0.05
NOISY = RNG.poisson(np.clip(CLEAN, 5, None)).astype(np.float32)
HOLED = np.where(RNG.random(NOISY.shape) < 0.1, np.nan, NOISY)
OF_Z = {"steps": 6, "channels": 4, "scales": 2}
RUNS: dict[str, Callable[[], Iterator[Snapshot]]] = {
    "blind spot": lambda: iter_denoise(NOISY, BlindSpot(steps=6, channels=4), device="cpu"),
    "DIP": lambda: iter_denoise(NOISY, DIP(**OF_Z), device="cpu"),
    "PatchDIP": lambda: iter_denoise(NOISY, PatchDIP(patch=16, stride=12, **OF_Z), device="cpu"),
    "inpaint": lambda: iter_inpaint(HOLED, how=Inpaint(steps=6, channels=4), device="cpu"),
    "inpaint, network of z": lambda: iter_inpaint(
        HOLED, how=Inpaint(net="skip", **OF_Z), device="cpu"
    ),
    "guided": lambda: iter_restore_guided(NOISY, CLEAN, Guided(steps=6, channels=4), device="cpu"),
    "guided, network of z": lambda: iter_restore_guided(
        NOISY, CLEAN, Guided.preset("flash", **OF_Z), device="cpu"
    ),
    "upscale": lambda: iter_upscale(NOISY, 2, Upscale(**OF_Z), device="cpu"),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=list(RUNS))
def test_a_fit_goes_in_tiles(
    run: Callable[[], Iterator[Snapshot]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.asarray(last(run()).image.pixels)
    monkeypatch.setattr("napari_dip.engine.tiled_fit.LEAST", 48 * 48)
    monkeypatch.setattr("napari_dip.engine.free_memory.free_memory", lambda device: 0)
    final = last(run())
    tiled = np.asarray(final.image.pixels)
    (said,) = final.provenance["for_lack_of_memory"]
    assert "6 overlapping tiles of 43 x 43 pixels" in said
    assert tiled.shape == whole.shape
    assert np.isfinite(tiled).all()
    assert abs(tiled.mean() - whole.mean()) < 0.12 * whole.mean()
    known = np.isfinite(HOLED)
    if "inpaint" in final.provenance.get("task", ""):
        assert np.array_equal(tiled[known], HOLED[known].astype(np.float32))
    else:
        assert not np.array_equal(tiled, whole)


@pytest.mark.parametrize("name", ["blind spot", "PatchDIP", "guided"])
def test_the_border_of_a_tile_cannot_be_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_dip.engine.tiled_fit.LEAST", 48 * 48)
    monkeypatch.setattr("napari_dip.engine.free_memory.free_memory", lambda device: 0)
    tiled = np.asarray(last(RUNS[name]()).image.pixels)
    steps = np.abs(np.diff(tiled, axis=1)).mean(axis=0)  # between neighbouring columns
    assert steps.max() < 2.5 * np.median(steps)


@pytest.mark.parametrize(
    ("size", "most", "side"),
    [((2048, 2048), 1500, 1056), ((72, 104), 48, 43), ((300, 90), 128, 122)],
)
def test_tiles_are_as_small_as_as_few_can_be(size: tuple[int, int], most: int, side: int) -> None:
    assert even_side(*size, most) == side
    largest, even = (Tiles(*size, n, n - min(64, n // 4)) for n in (most, side))
    assert len(even.places) == len(largest.places)
