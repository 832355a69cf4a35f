"""CVF-SID: its loss for networks that are known, what a model keeps, and what it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_train import repeats, rmse, scene
from torch import Tensor, nn

from napari_dip import CVFSID, Image, denoise, iter_train, load_model, train
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.noise.units import UNIT
from napari_dip.training.losses.cvf_sid import loss

TINY = {"channels": 4, "depth": 1, "crop": 16, "noise_channels": 4}


class Known(BlurredUNet):
    """c = F(y) by a formula, n_d = 0 and n_i = share * (y - c)."""

    def __init__(self, formula: str, share: float) -> None:
        super().__init__(1, 4, 1, "zero")
        self.formula, self.share = formula, share
        self.beside = self.Noise(share)

    class Noise(nn.Module):
        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

        def forward(self, noise: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(noise), self.share * noise], dim=1)

    def forward(self, y: Tensor, smooth: Tensor | None = None) -> Tensor:
        return y if self.formula == "identity" else y.mean((2, 3), keepdim=True).expand_as(y)


def flat_scene(level: float) -> Tensor:
    noise = torch.randn((2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    noise = noise - noise.mean((2, 3), keepdim=True)
    return 2.5 + level * noise / noise.std((2, 3), keepdim=True)


def found(net: BlurredUNet, y: Tensor, **changes: float) -> float:
    return float(loss(net, y, None, CVFSID(**changes), torch.Generator(), 0.5)[0])


def test_the_right_parts_have_no_loss_and_the_identity_has_the_noise_for_one() -> None:
    y = flat_scene(1 / UNIT)
    assert found(Known("mean", 1.0), y) == pytest.approx(0, abs=1e-9)
    assert found(Known("identity", 1.0), y) == pytest.approx(UNIT**-2, rel=1e-4)
    # All is explained and pure, but the noise is twice as strong as was measured.
    assert found(Known("mean", 1.0), flat_scene(2 / UNIT)) == pytest.approx(UNIT**-2, rel=1e-4)


def test_half_of_the_noise_is_the_loss_that_its_formula_gives() -> None:
    s = 1 / UNIT
    # || y/2 - y ||^2 and || n/4 - n/2 ||^2, the level, then six new images with n_i, of seven.
    by_hand = (s / 2) ** 2 + (s / 4) ** 2 + (s / 2) ** 2
    assert found(Known("mean", 0.5), flat_scene(s), augmented=0) == pytest.approx(by_hand, rel=0.01)
    new = 0.1 * 6 * (s / 4) ** 2
    assert found(Known("mean", 0.5), flat_scene(s)) == pytest.approx(by_hand + new, rel=0.01)


def test_the_network_of_the_noise_is_no_part_of_the_model(tmp_path: Path) -> None:
    model = train(repeats(), CVFSID(steps=2, **TINY), device="cpu")
    assert model.net.beside is None
    again = load_model(model.save(tmp_path / "m.safetensors"))
    noisy = np.asarray(repeats(1).pixels)[0]
    assert np.array_equal(denoise(noisy, model), denoise(noisy, again))


def test_a_training_goes_on_with_the_network_of_the_noise(tmp_path: Path) -> None:
    path, how = tmp_path / "c.safetensors", CVFSID(steps=4, **TINY)

    def weights(steps: int | None = None, **more: object) -> dict[str, Tensor]:
        for shot in iter_train(repeats(), how, device="cpu", **more):  # type: ignore[arg-type]
            if shot.step == steps:
                break
        return shot.model.net.state_dict()

    whole = weights()
    weights(2, checkpoint=path, checkpoint_every=0)
    rest = weights(checkpoint=path, resume=True)
    assert all(torch.equal(whole[name], rest[name]) for name in whole)


def test_it_learns_to_denoise() -> None:
    size = {"channels": 12, "depth": 1, "crop": 32, "noise_channels": 12}
    how = CVFSID(steps=200, learning_rate=0.01, averaging=0.9, **size)
    model = train(Image(np.asarray(repeats().pixels), "TYX"), how, device="cpu")
    fresh = np.random.default_rng(9).poisson(scene())
    assert rmse(denoise(fresh, model), scene()) < 0.75 * rmse(fresh, scene())
