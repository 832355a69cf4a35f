"""The networks: sizes, shapes, and what a blind spot must not see."""

from __future__ import annotations

import pytest
import torch

from napari_dip.engine.device import seeded
from napari_dip.methods.blind_spot import predict_image, random_crops, turn, turn_back
from napari_dip.nets.blind_spot import (
    RING_WIDTHS,
    BlindSpotNet,
    best_mixture,
    join_phases,
    ring_means,
    split_phases,
)
from napari_dip.nets.gaussian import mirror
from napari_dip.nets.skip import SkipNet


def weights(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_the_published_skip_network_has_its_published_size() -> None:
    assert weights(SkipNet(inputs=32, outputs=3)) == 2_217_831


@pytest.mark.parametrize(("colours", "size"), [(1, (64, 96)), (3, (96, 64)), (4, (64, 64))])
def test_the_skip_network_keeps_size_and_range(colours: int, size: tuple[int, int]) -> None:
    net = SkipNet(outputs=colours, channels=8)
    out = net(torch.rand(1, 32, *size))
    assert out.shape == (1, colours, *size)
    assert out.min() > 0
    assert out.max() < 1


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("layers", [0, 1, 4])
def test_no_pixel_sees_itself(colours: int, layers: int) -> None:
    with seeded(0):
        net = BlindSpotNet(colours, channels=6, layers=layers)
        for weight in net.parameters():  # also those that start at zero
            torch.nn.init.normal_(weight)
        image = torch.rand(1, colours, 41, 43, dtype=torch.float64, requires_grad=True)
    net = net.double()
    rings = ring_means(image)
    mean, spread = net(mirror(torch.cat([image, rings[:, :colours], rings], dim=1), net.reach))
    assert mean.shape == spread.shape == image.shape
    for output in (mean, spread):
        gradient = torch.autograd.grad(output[0, :, 20, 21].sum(), image, retain_graph=True)[0]
        scale = gradient.abs().max()
        assert scale > 0
        assert gradient[0, :, 20, 21].abs().max() < 1e-12 * scale
        assert gradient[0, :, 20, 22].abs().max() > 1e-6 * scale  # while the neighbour is seen


def test_ring_means_leave_the_pixel_out_and_keep_a_constant() -> None:
    constant = torch.full((1, 2, 30, 31), 3.0)
    rings = ring_means(constant)
    assert rings.shape == (1, 2 * len(RING_WIDTHS), 30, 31)
    assert torch.allclose(rings, torch.tensor(3.0), atol=1e-5)
    point = torch.zeros(1, 1, 31, 31)
    point[0, 0, 15, 15] = 1
    rings = ring_means(point)
    assert rings[0, :, 15, 15].abs().max() < 1e-6
    assert (rings[0, :, 15, 16] > 0).all()


def test_the_mixture_is_no_worse_than_any_ring() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, 2, 60, 60), generator=generator)
    image = image + torch.linspace(0, 3, 60)
    rings = ring_means(image)
    mixture = best_mixture(image, rings)
    assert mixture.shape == image.shape
    for colour in range(2):
        errors = (rings[0, colour::2] - image[0, colour]).square().mean((-2, -1))
        assert (mixture[0, colour] - image[0, colour]).square().mean() <= errors.min() * 1.0001


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 2), (40, 30)])
def test_mirror_pads_images_of_any_size(size: tuple[int, int]) -> None:
    image = torch.arange(size[0] * size[1], dtype=torch.float32).reshape(1, 1, *size)
    padded = mirror(image, 9)
    assert padded.shape == (1, 1, size[0] + 18, size[1] + 18)
    assert torch.equal(padded[..., 9:-9, 9:-9], image)
    if min(size) > 9:
        assert torch.equal(padded, torch.nn.functional.pad(image, (9, 9, 9, 9), "reflect"))


@pytest.mark.parametrize("orientation", range(8))
def test_turns_are_undone(orientation: int) -> None:
    image = torch.rand(2, 5, 7)
    assert torch.equal(turn_back(turn(image, orientation), orientation), image)


def test_the_eight_orientations_differ() -> None:
    image = torch.rand(1, 6, 6)
    assert len({turn(image, n).numpy().tobytes() for n in range(8)}) == 8


def test_crops_fit_into_any_image() -> None:
    generator = torch.Generator().manual_seed(0)
    assert random_crops(torch.rand(1, 2, 40, 90), 64, 5, generator).shape == (5, 2, 40, 40)
    assert random_crops(torch.rand(1, 2, 90, 80), 64, 5, generator).shape == (5, 2, 64, 64)


def test_strips_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    with seeded(0):
        net = BlindSpotNet(1, channels=6, layers=2)
        torch.nn.init.normal_(net.last.weight)
        image = torch.rand(1, 1, 50, 37)
    rings = ring_means(image)
    noise = torch.full_like(image, 0.1)
    padded = mirror(torch.cat([image, rings[:, :1], rings, noise], dim=1), net.reach)
    with torch.no_grad():
        whole = predict_image(net, padded, 3)
        monkeypatch.setattr("napari_dip.methods.blind_spot.STRIP_PIXELS", 200)
        strips = predict_image(net, padded, 3)
    for a, b in zip(whole, strips, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("hole", [(0, 0), (1, 0), (2, 1)])
def test_convolutions_of_phases_are_dilated_ones(hole: tuple[int, int]) -> None:
    step = (2 * (hole[0] + 1), 2 * (hole[1] + 1))
    conv = torch.nn.Conv2d(3, 5, 3)
    image = torch.randn(2, 3, 29, 34)
    dilated = torch.nn.functional.conv2d(image, conv.weight, conv.bias, dilation=step)
    plain = join_phases(conv(split_phases(image, *step)), *step)
    plain = plain[..., : dilated.shape[-2], : dilated.shape[-1]]
    torch.testing.assert_close(plain, dilated)


def test_a_new_blind_spot_network_is_its_start() -> None:
    net = BlindSpotNet(2, 4, 1, visible=1)
    net.offset.data.normal_()
    x = torch.randn(1, 2 * 7 + 1, 20, 24)
    for start, whole in zip(net.start(x), net(x), strict=True):
        torch.testing.assert_close(start.expand_as(whole), whole)
