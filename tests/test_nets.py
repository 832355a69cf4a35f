"""The networks: sizes, shapes, and what a blind spot must not see."""

from __future__ import annotations

import pytest
import torch

from napari_dip.engine.device import seeded
from napari_dip.engine.orientations import iter_crops, random_crops, turn, turn_back
from napari_dip.methods.blind_spot import (
    _error_variance,
    _negative_log_likelihood,
    _WeightedLogLoss,
    predict_image,
)
from napari_dip.nets.blind_spot import (
    RING_WIDTHS,
    BlindSpotNet,
    add_convolution,
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


def test_crops_are_the_same_drawn_ahead() -> None:
    padded, many = torch.rand(1, 3, 40, 50), 70  # more than are drawn at once
    ahead = iter_crops(padded, 16, 2, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    for _ in range(many):
        assert torch.equal(next(ahead), random_crops(padded, 16, 2, generator))


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
    beside = torch.randn(2, 1, *dilated.shape[-2:])
    joined = join_phases(conv(split_phases(image, *step)), *step, beside)
    torch.testing.assert_close(joined, torch.cat([dilated, beside], dim=1))


def test_gradients_made_by_hand_are_those_of_autograd() -> None:
    conv = torch.nn.Conv2d(3, 3, 3)
    h = torch.randn(2, 3, 8, 9, requires_grad=True)
    by_hand = add_convolution(h, conv)
    seen = torch.nn.functional.leaky_relu(h, 0.1)
    plain = h[..., 1:-1, 1:-1] + conv(seen)
    given = [h, conv.weight, conv.bias]
    same_gradients(by_hand, plain, given)

    out = torch.randn(2, 4, 6, 7, requires_grad=True)
    target, noise, weight = torch.randn(2, 2, 6, 7), torch.rand(2, 2, 6, 7), torch.rand(2, 1, 6, 7)
    mean, spread = out.chunk(2, dim=1)
    plain = _negative_log_likelihood(mean, target, _error_variance(spread), noise + 0.1) * weight
    by_hand = _WeightedLogLoss.apply(out, target, noise + 0.1, weight)
    same_gradients(by_hand * 3, plain.sum() * 3, [out])


def same_gradients(first: torch.Tensor, second: torch.Tensor, given: list[torch.Tensor]) -> None:
    torch.testing.assert_close(first, second)
    along = torch.randn_like(first)
    pairs = (torch.autograd.grad(made, given, along) for made in (first, second))
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_new_blind_spot_network_is_its_start() -> None:
    net = BlindSpotNet(2, 4, 1, visible=1)
    net.offset.data.normal_()
    x = torch.randn(1, 2 * 7 + 1, 20, 24)
    for start, whole in zip(net.start(x), net(x), strict=True):
        torch.testing.assert_close(start.expand_as(whole), whole)
