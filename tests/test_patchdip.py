"""PatchDIP: patches drawn, fitted and put together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_denoise import noisy_scene

from napari_dip import PatchDIP, add_gaussian, denoise, psnr
from napari_dip.cli import main
from napari_dip.engine.device import seeded
from napari_dip.engine.tiles import Tiles
from napari_dip.methods.patchdip.bands import REACH, rings_and_bands
from napari_dip.methods.patchdip.fit import assemble_image, shuffled, weigh_in_measured
from napari_dip.methods.patchdip.patches import FilteredPatches, Patches, cut_patches
from napari_dip.nets.base import PriorNet, build_net
from napari_dip.nets.blind_spot import best_mixture, ring_means

SMALL = {"channels": 4, "scales": 2}


def test_each_patch_keeps_its_own_z() -> None:
    tiles, net = Tiles(40, 50, 16, 8), build_net(PatchDIP(**SMALL), 1, 32)
    patches, other = (Patches(torch.zeros(1, 40, 50), tiles, seed) for seed in (1, 2))
    first, again = patches.inputs(net, [3, 5]), patches.inputs(net, [5])
    assert torch.equal(first[1], again[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(again, other.inputs(net, [5]))


def test_every_patch_is_fitted_as_often_as_any_other() -> None:
    drawn = shuffled(7, torch.Generator().manual_seed(0))
    epochs = [[next(drawn) for _ in range(7)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("start", ["blur", "random"])
def test_the_whole_image_does_not_depend_on_the_batch(start: str) -> None:
    tiles, y = Tiles(40, 50, 16, 8), torch.rand(2, 40, 50)
    patches = FilteredPatches(y, tiles, 0, 0.1, 4) if start == "blur" else Patches(y, tiles, 0)
    with seeded(0):
        net = build_net(PatchDIP(**SMALL), patches.outputs, 32).eval()
    one, many = assemble_image(net, patches, 1), assemble_image(net, patches, 9)
    assert one.shape == y.shape
    assert torch.allclose(one, many, atol=1e-6)
    assert one.std() > 0


def test_no_average_holds_its_own_pixel() -> None:
    image = torch.rand(1, 2, 2 * REACH + 3, 2 * REACH + 3)
    changed = image.clone()
    changed[..., REACH + 1, REACH + 1] += 1
    for before, after in zip(rings_and_bands(image), rings_and_bands(changed), strict=True):
        assert before.shape[2:] == (2, 3, 3)
        assert torch.allclose(before[..., 1, 1], after[..., 1, 1], atol=1e-6)
        assert not torch.allclose(before[..., 0, 1], after[..., 0, 1], atol=1e-3)


@pytest.mark.parametrize("net", ["skip", "resnet", "resunet", "decoder", "unet"])
@pytest.mark.parametrize("size", [(40, 50), (5, 7), (1, 1)])
def test_the_fit_starts_at_the_calibrated_blur(size: tuple[int, int], net: str) -> None:
    y = torch.rand(2, *size, generator=torch.Generator().manual_seed(0))
    patches = FilteredPatches(y, Tiles(*size, 16, 8), 0, 0.1, 4)
    f = build_net(PatchDIP(net=net, **SMALL), patches.outputs, 32)
    patches.initialise(f)
    x = ((y - y.mean()) / 0.3)[None]
    blur = best_mixture(x, ring_means(x))[0] * 0.3 + y.mean()
    assert torch.allclose(assemble_image(f.eval(), patches, 3), blur, atol=1e-3)


def test_measured_pixels_count_by_how_far_off_the_averages_are() -> None:
    draw = torch.Generator().manual_seed(0)
    clean = torch.zeros(1, 200, 200)
    y = clean + 0.1 * torch.randn(clean.shape, generator=draw)
    off = clean + 0.2 * torch.randn(clean.shape, generator=draw)
    hidden = torch.rand(clean.shape, generator=draw) < 0.1
    assert torch.allclose(weigh_in_measured(off, y, hidden, 0.1), 0.2 * off + 0.8 * y, atol=0.02)
    assert torch.allclose(weigh_in_measured(clean, y, hidden, 0.1), clean, atol=0.03)


def test_patches_are_cut_where_the_tiles_lie() -> None:
    image = torch.rand(3, 40, 50)
    assert torch.equal(cut_patches(image, Tiles(40, 50, 16, 8), [1])[0], image[:, :16, 8:24])


@pytest.mark.parametrize("start", ["blur", "random"])
def test_never_more_than_a_batch_of_patches_is_on_the_device(
    start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    image = PriorNet.image

    def watched(self: PriorNet, z: torch.Tensor, height: int, width: int) -> torch.Tensor:
        seen.append(len(z))
        return image(self, z, height, width)

    monkeypatch.setattr(PriorNet, "image", watched)
    how = PatchDIP(start=start, steps=3, channels=4, patch=16, stride=8, batch=5)
    denoise(noisy_scene(0, 64)[0], how, device="cpu")
    assert max(seen) == 5


@pytest.mark.parametrize("seed", [0, 1])
def test_patchdip_with_a_random_start_denoises(seed: int) -> None:
    noisy, clean = noisy_scene(seed, 64)
    how = PatchDIP(
        start="random",
        steps=120,
        learning_rate=0.01,
        averaging=0.95,
        channels=16,
        patch=32,
        stride=16,
        seed=seed,
    )
    answer = denoise(noisy, how, device="cpu")
    assert psnr(clean, answer, data_range=200) - psnr(clean, noisy, data_range=200) > 6
    assert answer.mean() == pytest.approx(clean.mean(), rel=0.03)


@pytest.mark.parametrize("seed", [0, 1])
def test_patchdip_gains_on_the_calibrated_blur_it_starts_at(seed: int) -> None:
    noisy, clean = striped(seed)
    fitted, start = (
        denoise(noisy, PatchDIP(seed=seed, steps=steps), device="cpu") for steps in (60, 1)
    )
    scores = [psnr(clean, image, data_range=200) for image in (fitted, start, noisy)]
    assert scores[0] > scores[1] + 0.5 > scores[2] + 3


def striped(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Stripes of two directions: along them one may average far, across them not."""
    rows, columns = np.mgrid[:96, :96].astype(np.float32)
    clean = 100 + 60 * np.where(columns < 48, np.sin(rows / 1.5), np.sin(columns / 1.5)).astype(
        np.float32
    )
    return add_gaussian(clean, sigma=25, seed=seed), clean


def test_a_stride_larger_than_the_patch_is_refused(
    tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="stride 65 is larger than the patch of 64 pixels"):
        PatchDIP(stride=65)
    np.save(tmp_path / "x.npy", np.zeros(3))
    words = [
        "denoise",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--method",
        "patchdip",
        "--stride",
        "65",
    ]
    assert main(words) == 2
    assert "larger than the patch" in capsys.readouterr().err
