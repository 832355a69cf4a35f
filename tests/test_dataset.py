"""What a model is trained on: files, folders, patterns, arrays, FMD; memory does not grow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
import tifffile
import torch

from napari_dip import IDDP, iter_train
from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.data_sets.dataset import Dataset
from napari_dip.data_sets.fmd import PAPERS, list_captures, looks_like_fmd
from napari_dip.data_sets.sources import OPEN, FileCache
from napari_dip.files import tiff_reader
from napari_dip.files.read_write import write
from napari_dip.images.image import Image
from napari_dip.noise.anscombe import PoissonGaussian
from napari_dip.noise.even_noise import Normalisation
from napari_dip.noise.units import UNIT
from napari_dip.training.crops import Crops

if TYPE_CHECKING:
    from pathlib import Path


def noisy(
    shape: tuple[int, ...], dtype: str = "uint16", peak: float = 60.0, seed: int = 0
) -> np.ndarray:
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    clean = peak * (1.2 + np.sin(y / 5) * np.cos(x / 7))
    return np.random.default_rng(seed).poisson(np.broadcast_to(clean, shape)).astype(dtype)


def crops_of(data: Dataset, size: int = 32, **choices) -> Crops:
    generator = torch.Generator().manual_seed(0)
    return Crops(data, size, generator=generator, **{"stabilise": True, **choices})


def sizes(data: Dataset) -> list[tuple[int, int]]:
    return sorted(plane.size for plane in data.planes)


def test_files_folders_patterns_arrays_and_images_are_gathered(tmp_path: Path) -> None:
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    write(tmp_path / "a.tif", Image(noisy((3, 40, 44)), "ZYX"))
    write(tmp_path / "b.png", Image(noisy((36, 36), "uint8", 20), "YX"))
    write(tmp_path / "deep" / "c.tif", Image(noisy((2, 2, 50, 48), "uint16"), "TCYX"))
    write(tmp_path / "deep" / ".hidden" / "d.tif", Image(noisy((90, 90)), "YX"))
    write(tmp_path / "deep" / "e.zarr", Image(noisy((2, 70, 71)), "ZYX"))
    assert sizes(build_dataset(tmp_path)) == [
        (36, 36),
        *[(40, 44)] * 3,
        *[(50, 48)] * 4,
        *[(70, 71)] * 2,
    ]
    assert sizes(build_dataset(str(tmp_path / "*.tif"))) == [(40, 44)] * 3
    both = build_dataset(
        [tmp_path / "b.png", noisy((64, 60)).astype("float32"), Image(noisy((2, 33, 34)), "TYX")]
    )
    assert sizes(both) == [(33, 34)] * 2 + [(36, 36), (64, 60)]
    assert both.summary()["types"] == ["float32", "uint16", "uint8"]
    batch = crops_of(both).draw(6, torch.Generator().manual_seed(1))
    assert batch.noisy.shape == (6, 1, 32, 32) and batch.noisy.dtype == torch.float32


def test_colours_go_together_or_apart() -> None:
    rgb = Image(np.stack([noisy((40, 40), "uint8", 30, seed) for seed in range(3)], axis=-1), "YXC")
    apart, together = build_dataset(rgb), build_dataset(rgb, together=True)
    assert (apart.channels, len(apart.planes)) == (1, 3)
    assert (together.channels, len(together.planes)) == (3, 1)
    assert crops_of(together).draw(1, torch.Generator()).noisy.shape == (1, 3, 32, 32)
    with pytest.raises(ValueError, match="1 and 3 colours"):
        build_dataset([rgb, noisy((40, 40))], together=True)


def test_noise_becomes_even_and_of_one_size_whatever_the_type() -> None:
    for image in (
        noisy((96, 96)),
        16 * noisy((96, 96)) + 100,
        (noisy((96, 96)) / 7).astype("float32"),
    ):
        data = build_dataset(image)
        whole = data.normalisation(data.planes[0], True).apply(
            data.planes[0].read(data.cache, 0, 0, 96, 96)
        )
        rough = (2 * whole - np.roll(whole, 1, -1) - np.roll(whole, -1, -1))[..., 2:-2] / np.sqrt(6)
        assert rough.std() == pytest.approx(1.0, abs=0.15)
        assert crops_of(data).draw(8, torch.Generator()).noisy.std() < whole.std() / UNIT * 1.5


def test_a_clean_image_is_mapped_to_where_its_noisy_ones_are_on_average() -> None:
    normalisation = Normalisation(PoissonGaussian(2.0, 3.0), 0.0, stabilised=True)
    clean = np.full((1, 200, 200), 30.0)
    counts = 2.0 * np.random.default_rng(0).poisson(clean / 2.0) + np.random.default_rng(1).normal(
        0, 3**0.5, clean.shape
    )
    assert normalisation.apply(counts).mean() == pytest.approx(
        normalisation.apply_to_clean(clean).mean(), abs=0.02
    )
    assert normalisation.undo(normalisation.apply_to_clean(clean).astype(float)) == pytest.approx(
        clean, rel=1e-4
    )


def test_what_cannot_be_trained_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        build_dataset(tmp_path / "missing.tif")
    with pytest.raises(FileNotFoundError, match="pattern"):
        build_dataset(tmp_path / "*.tif")
    with pytest.raises(ValueError, match="no image in the folder"):
        build_dataset(tmp_path)
    with pytest.raises(ValueError, match="at least 16 x 16"):
        build_dataset(noisy((12, 90)))
    with pytest.raises(ValueError, match="given as dict"):
        build_dataset({})
    with pytest.raises(ValueError, match="do not match"):
        build_dataset([noisy((40, 40))], [noisy((40, 41))])
    with pytest.raises(ValueError, match="complex"):
        build_dataset(noisy((40, 40)).astype(complex))
    flat = build_dataset(np.full((40, 40), 7.0))
    with pytest.raises(ValueError, match="no noise"):
        crops_of(flat).draw(1, torch.Generator())
    holes = noisy((40, 40)).astype("float32")
    holes[20, 20] = np.nan
    with pytest.raises(ValueError, match="non-finite"):
        crops_of(build_dataset(holes), 40).draw(1, torch.Generator())


def test_repeats_along_t_and_second_folders_make_pairs() -> None:
    stack = Image(noisy((4, 2, 40, 40)), "TZYX")
    assert [len(scene.captures) for scene in build_dataset(stack, second="capture").scenes] == [
        4,
        4,
    ]
    assert [len(scene.captures) for scene in build_dataset(stack).scenes] == [1] * 8
    pairs = build_dataset([noisy((40, 40))], [noisy((40, 40), seed=1)])
    batch = crops_of(pairs, second="capture").draw(3, torch.Generator())
    assert batch.target is not None and not torch.equal(batch.noisy, batch.target)
    assert (batch.noisy - batch.target).std() * UNIT == pytest.approx(
        2**0.5, abs=0.2
    )  # one scene, two draws of noise
    with pytest.raises(ValueError, match="two captures"):
        crops_of(build_dataset(noisy((40, 40))), second="capture")
    with pytest.raises(ValueError, match="clean image"):
        crops_of(build_dataset(noisy((40, 40))), second="clean")


def test_held_out_places_are_not_drawn() -> None:
    data = build_dataset(noisy((160, 160)))
    crops = crops_of(data, 32, held_out_share=0.15)
    assert len(crops.held) in (2, 3) and len(crops.held_out()) == len(crops.held)
    generator = torch.Generator().manual_seed(5)
    drawn = []
    original = crops.cut
    # type: ignore[method-assign]
    crops.cut = lambda place, other=0: (drawn.append(place), original(place, other))[1]
    crops.draw(60, generator)
    assert len(drawn) == 60 and not any(
        place.overlaps(held) for held in crops.held for place in drawn
    )
    assert not crops_of(build_dataset(noisy((20, 20))), 16, held_out_share=0.05).held, (
        "nothing can be spared of a small image"
    )


def fmd_tree(root: Path) -> Path:
    for sample, fields in {
        "Confocal_MICE": ("1", "2", "19"),
        "WideField_BPAE_R": ("1",),
        "TwoPhoton_BPAE_G": ("3",),
    }.items():
        for field in fields:
            for level in ("raw", "avg4"):
                (root / sample / level / field).mkdir(parents=True)
                for capture in range(2):
                    pixels = noisy((32, 32), "uint8", 30, capture)
                    write(root / sample / level / field / f"HV110_P{capture}.png", Image(pixels))
            (root / sample / "gt" / field).mkdir(parents=True)
            write(root / sample / "gt" / field / "avg50.png", Image(noisy((32, 32), "uint8", 30)))
    for folder in ("raw", "gt"):
        (root / "test_mix" / folder).mkdir(parents=True)
        write(
            root / "test_mix" / folder / "Confocal_MICE_1.png", Image(noisy((32, 32), "uint8", 30))
        )
    return root


def test_the_fmd_tree_is_read_by_name(tmp_path: Path) -> None:
    root = fmd_tree(tmp_path / "FMD")
    assert (
        looks_like_fmd(root)
        and looks_like_fmd(root / "Confocal_MICE")
        and not looks_like_fmd(tmp_path)
    )
    assert {(c.sample, c.field) for c in list_captures(root, samples=PAPERS)} == {
        ("Confocal_MICE", "1"),
        ("Confocal_MICE", "2"),
    }
    assert len(list_captures(root, samples=["all"], held_out=())) == 2 * 5
    assert {c.level for c in list_captures(root, levels=("raw", "avg4"))} == {"raw", "avg4"}
    data = build_dataset(root, samples=["Confocal"])
    assert data.notes == ("Left out of FMD: field 19, TwoPhoton_BPAE_G, WideField_BPAE_R.",)
    assert [len(scene.captures) for scene in data.scenes] == [2, 2]
    assert all(
        scene.clean is not None and scene.clean.source.name == "avg50" for scene in data.scenes
    )
    with pytest.raises(ValueError, match="avg3"):
        list_captures(root, levels=("avg3",))
    with pytest.raises(ValueError, match="it holds the samples WideField_BPAE_R, and Confocal was"):
        build_dataset(root / "WideField_BPAE_R", samples=["Confocal"])


def test_rules_of_fmd_hold_only_where_fmd_is_asked_for(tmp_path: Path) -> None:
    """A folder of anyone's files is read whole, whatever their names are."""
    (tmp_path / "mine").mkdir()
    for name in ("a", "b", "WideField", "cell_raw", "cell_gt"):
        write(tmp_path / "mine" / f"{name}.tif", Image(noisy((32, 32))))
    data = build_dataset(tmp_path / "mine")
    assert sorted(source.name for source in data.sources) == [
        "WideField",
        "a",
        "b",
        "cell_gt",
        "cell_raw",
    ]
    assert "those named gt too" in data.notes[0]
    root = fmd_tree(tmp_path / "FMD")
    every = build_dataset(root)
    assert len(every.sources) == len(list(root.rglob("*.png")))
    assert len(build_dataset(root, samples=["all"]).sources) == 2 * 4, "of each field but 19"


def test_one_small_plane_does_not_make_all_crops_small() -> None:
    data = build_dataset([noisy((96, 96)), noisy((20, 300)), noisy((96, 90))])
    rest = data.without_small_planes(64)
    assert sizes(rest) == [(96, 90), (96, 96)] and crops_of(rest, 64).size == 64
    assert "much smaller than crops of 64 pixels: array." in rest.notes[0]
    alike = build_dataset([noisy((40, 50)), noisy((50, 60)), noisy((60, 70))])
    assert alike.without_small_planes(64) is alike and crops_of(alike, 64).size == 40


def test_training_leaves_small_planes_out_and_says_so() -> None:
    how = IDDP(steps=2, filter_share=0.5, channels=4, filter_channels=4, crop=64, batch=1)
    images = [noisy((96, 96)), noisy((20, 300)), noisy((96, 90))]
    notes = [snapshot.note for snapshot in iter_train(images, how, device="cpu")]
    assert "much smaller than crops of 64 pixels" in " ".join(notes)


def test_a_mixed_folder_is_read_by_name(tmp_path: Path) -> None:
    for name in (
        "TwoPhoton_BPAE_R_1_raw",
        "TwoPhoton_BPAE_R_2_raw",
        "fish_raw",
        "fish_gt",
        "TwoPhoton_BPAE_R_1_gt",
    ):
        write(tmp_path / f"{name}.png", Image(noisy((32, 32), "uint8", 30)))
    assert len(list_captures(tmp_path)) == 3
    found = list_captures(tmp_path, samples=["TwoPhoton"])
    assert [c.clean.name for c in found] == ["TwoPhoton_BPAE_R_1_gt.png"] * 2


def test_crops_of_a_big_file_do_not_load_it(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    shape = (40, 2048, 2048)  # 320 MiB, sparse on the disk
    stack = tifffile.memmap(path, shape=shape, dtype="uint16", photometric="minisblack")
    stack[:, 896:1152, 896:1152] = noisy((256, 256))
    stack.flush()
    del stack
    data = Dataset(build_dataset(path).scenes, 1, FileCache(budget=8 << 20))
    cache, before = data.cache, psutil.Process().memory_info().rss
    rng, peak = np.random.default_rng(0), 0
    for _ in range(300):
        plane = data.planes[rng.integers(40)]
        plane.read(cache, *rng.integers(0, 1984, 2), 64, 64)
        peak = max(peak, psutil.Process().memory_info().rss)
        assert sum(used for _, used in cache.open.values()) <= cache.budget
    assert peak - before < 100 << 20


def test_few_files_that_are_read_by_the_slice_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_reader, "MAP_FROM", 1)
    for number in range(5):
        write(tmp_path / f"{number}.tif", Image(noisy((40, 40), seed=number)))
    data = Dataset(build_dataset(tmp_path).scenes, 1, FileCache(budget=2 * OPEN))
    for plane in data.planes * 2:
        plane.read(data.cache, 0, 0, 8, 8)
        assert len(data.cache.open) <= 2


def test_arrays_are_taken_as_a_fit_takes_them() -> None:
    stack = noisy((3, 32, 40)).astype(np.float32)
    (tensor,) = build_dataset(torch.from_numpy(stack)).sources
    assert (tensor.letters, tensor.shape) == ("ZYX", (3, 32, 40))
    named = SimpleNamespace(
        dims=("channel", "y", "x"), shape=stack.shape, dtype=stack.dtype, data=stack, name="a"
    )
    (xarray,) = build_dataset(named).sources
    assert (xarray.letters, xarray.name) == ("CYX", "a")
    (colour,) = build_dataset(stack.transpose(1, 2, 0)).sources
    assert colour.is_rgb


def test_another_file_or_another_content_is_another_mark(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.tif", Image(noisy((40, 40))))
    mark = build_dataset(tmp_path).fingerprint()
    assert build_dataset(tmp_path).fingerprint() == mark
    write(tmp_path / "b.tif", Image(noisy((40, 42))), overwrite=True)
    assert build_dataset(tmp_path).fingerprint() != mark


def test_samples_are_refused_where_there_is_no_fmd() -> None:
    with pytest.raises(ValueError, match="chosen of the FMD data set, and none was found"):
        build_dataset(np.ones((64, 64), np.uint8), samples=["Confocal"])
