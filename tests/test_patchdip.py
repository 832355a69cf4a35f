"""PatchDIP: patches drawn, fitted and put together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_denoise import noisy_scene

from napari_dip import PatchDIP, denoise, psnr
from napari_dip.cli import main
from napari_dip.engine.device import seeded
from napari_dip.images.tiles import Tiles
from napari_dip.methods.patchdip import cut, inputs, look, shuffled
from napari_dip.nets.build import build_net
from napari_dip.nets.prior import PriorNet


def test_each_patch_keeps_its_own_z() -> None:
    tiles, net = Tiles(40, 50, 16, 8), build_net(PatchDIP(channels=4, scales=2), 1, 32)
    first, again = inputs(net, tiles, [3, 5], seed=1), inputs(net, tiles, [5], seed=1)
    assert torch.equal(first[1], again[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(again, inputs(net, tiles, [5], seed=2))


def test_every_patch_is_fitted_as_often_as_any_other() -> None:
    drawn = shuffled(7, torch.Generator().manual_seed(0))
    epochs = [[next(drawn) for _ in range(7)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_the_whole_image_does_not_depend_on_the_batch() -> None:
    tiles = Tiles(40, 50, 16, 8)
    with seeded(0):
        net = build_net(PatchDIP(channels=4, scales=2), 2, 32).eval()
    like = torch.zeros(2, 40, 50)
    one, many = look(net, tiles, 0, 1, like), look(net, tiles, 0, 9, like)
    assert one.shape == like.shape
    assert torch.allclose(one, many, atol=1e-6)
    assert one.std() > 0


def test_patches_are_cut_where_the_tiles_lie() -> None:
    image = torch.rand(3, 40, 50)
    assert torch.equal(cut(image, Tiles(40, 50, 16, 8), [1])[0], image[:, :16, 8:24])


def test_never_more_than_a_batch_of_patches_is_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    image = PriorNet.image

    def watched(self: PriorNet, z: torch.Tensor, height: int, width: int) -> torch.Tensor:
        seen.append(len(z))
        return image(self, z, height, width)

    monkeypatch.setattr(PriorNet, "image", watched)
    denoise(noisy_scene(0, 64)[0], PatchDIP(steps=3, channels=4, patch=16, stride=8, batch=5), device="cpu")
    assert max(seen) == 5


@pytest.mark.parametrize("seed", [0, 1])
def test_patchdip_denoises(seed: int) -> None:
    noisy, clean = noisy_scene(seed, 64)
    how = PatchDIP(steps=250, channels=16, scales=3, patch=32, stride=16, batch=4, seed=seed)
    answer = denoise(noisy, how, device="cpu")
    assert psnr(clean, answer, data_range=200) - psnr(clean, noisy, data_range=200) > 5
    assert answer.mean() == pytest.approx(clean.mean(), rel=0.03)


def test_a_stride_larger_than_the_patch_is_refused(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="stride 65 is larger than the patch of 64 pixels"):
        PatchDIP(stride=65)
    np.save(tmp_path / "x.npy", np.zeros(3))
    words = ["denoise", str(tmp_path), "--out", str(tmp_path / "out"), "--method", "patchdip", "--stride", "65"]
    assert main(words) == 2
    assert "larger than the patch" in capsys.readouterr().err
