"""The operators against direct sums, and against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import nn

from napari_dip import DenoiseError
from napari_dip.engine.operators import Downsampled, Features, Identity, Masked


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_binning_is_the_mean_over_the_pixel(factor: int) -> None:
    image = np.random.default_rng(0).random((2, 5 * factor, 7 * factor)).astype(np.float32)
    binned = Downsampled(factor, "binning")(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(
        binned, image.reshape(2, 5, factor, 7, factor).mean(axis=(2, 4)), atol=1e-6
    )


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_lanczos_is_pillows_away_from_the_border(factor: int) -> None:
    image = np.random.default_rng(0).random((12 * factor, 14 * factor)).astype(np.float32)
    small = Downsampled(factor, "lanczos")(torch.from_numpy(image)[None])[0].numpy()
    reference = np.asarray(Picture.fromarray(image).resize((14, 12), Picture.Resampling.LANCZOS))
    assert small.shape == reference.shape
    np.testing.assert_allclose(small[3:-3, 3:-3], reference[3:-3, 3:-3], atol=2e-6)


@pytest.mark.parametrize("kind", ["lanczos", "binning"])
@pytest.mark.parametrize("factor", [2, 3])
def test_a_constant_stays_and_a_ramp_keeps_its_place(kind: str, factor: int) -> None:
    down = Downsampled(factor, kind)
    assert torch.allclose(down(torch.full((1, 8 * factor, 8 * factor), 0.7)), torch.tensor(0.7))
    rows = torch.arange(20.0 * factor)[None, :, None].expand(1, -1, 20 * factor)
    centres = (
        factor * torch.arange(20.0) + (factor - 1) / 2
    )  # of the measured pixels, in pixels of the image
    assert torch.allclose(down(rows)[0, 4:-4, 5], centres[4:-4], atol=1e-4)


def test_shapes_of_canvas_and_of_what_counts() -> None:
    measured = torch.zeros(3, 5, 7)
    known = torch.rand(1, 5, 7) < 0.5
    assert Identity().canvas(measured) == Masked(known).canvas(measured) == (3, 5, 7)
    assert Downsampled(4).canvas(measured) == (3, 20, 28)
    assert bool(Identity().valid_mask(measured).all())
    assert torch.equal(Masked(known).valid_mask(measured), known)
    assert torch.equal(Masked(known)(torch.ones(3, 5, 7)), known.float().expand(3, -1, -1))


def test_features_are_those_of_the_layer_and_reach_the_image() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    image = torch.rand(1, 9, 8, requires_grad=True)
    features = Features(net, "1", (1, 9, 8), repeat=3)
    seen = features(image)
    assert torch.equal(seen, net[:2](image[None].expand(-1, 3, -1, -1)))
    seen.square().sum().backward()
    assert image.grad is not None and float(image.grad.abs().sum()) > 0
    assert not net[1]._forward_hooks


def test_a_layer_that_is_not_used_says_so() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    with pytest.raises(DenoiseError, match="'spare' is not used"):
        Features(Half(), "spare", (1, 4, 4))(torch.zeros(1, 4, 4))
