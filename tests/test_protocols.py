"""The protocols of benchmarks/protocols.py, on a tree of FMD's shape with figures made by hand."""

from __future__ import annotations

import math
import os
import re
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from napari_dip import write

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
try:
    import protocols
finally:
    sys.path.remove(str(ROOT / "benchmarks"))


def db(*differences: float) -> float:
    """The mean PSNR of crops that differ by so much everywhere."""
    return float(np.mean([20 * math.log10(255 / d) for d in differences]))


def quarters(*values: float) -> np.ndarray:
    a, b, c, d = (np.full((256, 256), value) for value in values)
    return np.block([[a, b], [c, d]])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("raw", "gt"):
        (tmp_path / "test_mix" / folder).mkdir(parents=True)
    clean = quarters(100, 120, 140, 250).astype(np.uint8)
    noisy = {
        "Confocal_FISH_1": quarters(101, 122, 144, 255),  # 1, 2, 4, 5 off
        "Confocal_FISH_2": quarters(110, 130, 150, 240),  # 10 off
        "WideField_BPAE_R_1": quarters(120, 140, 120, 230),  # 20 off
    }
    for name, image in noisy.items():
        write(tmp_path / "test_mix" / "raw" / f"{name}.png", image.astype(np.uint8))
        write(tmp_path / "test_mix" / "gt" / f"{name}.png", clean)
    return tmp_path


def test_raw_images_have_the_mean_over_crops_by_type_and_of_all(tree: Path) -> None:
    row = protocols.fmd_table(protocols.mixed_test_set(tree), {"raw": lambda y: y})["raw"]
    fish = [1, 2, 4, 5, 10, 10, 10, 10]
    assert row["Confocal_FISH"] == pytest.approx(db(*fish))
    assert row["WideField_BPAE_R"] == pytest.approx(db(20))
    assert row["all"] == pytest.approx(db(*fish, 20, 20, 20, 20))
    assert row["whole"] == pytest.approx(db(math.sqrt((1 + 4 + 16 + 25) / 4), 10, 20))
    assert protocols.mixed_test_set(tree) == protocols.mixed_test_set(tree / "test_mix")


def test_an_answer_is_clamped_and_where_asked_for_rounded(tree: Path) -> None:
    noisy, clean = quarters(100, 100, 100, 110), quarters(100, 100, 100, 250)

    def method(y: np.ndarray) -> np.ndarray:
        assert y.shape == (256, 256)  # each crop for itself
        return np.where(y == 110, 400.0, y + 1.6)

    scores, _ = protocols.fmd_score(noisy, clean, method)
    assert scores == pytest.approx([db(1.6)] * 3 + [db(5)], abs=1e-4)
    scores, whole = protocols.fmd_score(noisy, clean, method, rounded=True)
    assert scores == pytest.approx([db(2)] * 3 + [db(5)], abs=1e-4)
    assert whole == pytest.approx(db(math.sqrt((4 * 3 + 25) / 4)), abs=1e-4)
    scores, _ = protocols.fmd_score(noisy, clean, lambda y: y + (y.shape == (512, 512)), whole=True)
    assert scores[:3] == pytest.approx([db(1)] * 3, abs=1e-4)


def test_a_tree_that_lacks_a_clean_image_is_refused(tree: Path) -> None:
    (tree / "test_mix" / "gt" / "Confocal_FISH_2.png").unlink()
    with pytest.raises(SystemExit, match=r"lacks Confocal_FISH_2\.png"):
        protocols.mixed_test_set(tree)
    with pytest.raises(SystemExit, match="lacks noisy images"):
        protocols.mixed_test_set(tree / "test_mix" / "gt")


@pytest.mark.skipif("NAPARI_DIP_DATA" not in os.environ, reason="needs $NAPARI_DIP_DATA")
def test_raw_images_at_hand_have_the_figures_that_are_recorded_with_them() -> None:
    folder = Path(os.environ["NAPARI_DIP_DATA"]) / "fmd_test_mix"
    text = (folder / "README.md").read_text("utf-8")
    recorded = dict(re.findall(r"^\| (\w+_\d) \| (\d+\.\d+) \|", text, re.MULTILINE))
    files = protocols.mixed_test_set(folder)
    assert len(files) == 16 == len(recorded)
    for name, (noisy, clean) in files.items():
        _, whole = protocols.fmd_score(
            protocols.pixels(noisy), protocols.pixels(clean), lambda y: y
        )
        assert whole == pytest.approx(float(recorded[name]), abs=0.006), name


@pytest.mark.parametrize("noise", ["gaussian", "poisson", "speckle"])
def test_levels_are_drawn_anew_for_each_example_within_the_published_ranges(noise: str) -> None:
    clean = np.full((64, 64), 100.0)
    spread = [
        float(np.std(protocols.with_noise(noise, clean, seed, random=True))) for seed in range(40)
    ]
    most = {"gaussian": 50, "poisson": math.sqrt(100 * 255 / 5), "speckle": 100 * math.sqrt(0.2)}
    assert min(spread) < 0.5 * max(spread) and max(spread) < 1.1 * most[noise]
    fixed = [float(np.std(protocols.with_noise(noise, clean, seed))) for seed in range(5)]
    assert max(fixed) < 1.1 * min(fixed)


@pytest.mark.skipif("NAPARI_DIP_DATA" not in os.environ, reason="needs $NAPARI_DIP_DATA")
def test_a_type_is_unseen_in_its_own_training() -> None:
    args = Namespace(data="fmd", leave=["fish", "TwoPhoton_BPAE_G"])
    folds = protocols.unseen(args)
    assert set(folds) == {"fish", "TwoPhoton_BPAE_G"}
    for left, (noisy, clean, tests) in folds.items():
        assert len(noisy) == len(clean) == 17 - len(tests)
        assert set(map(protocols.kind, tests)) == {left}
        assert not any(np.array_equal(y, t) for y in noisy for t, _ in tests.values())
