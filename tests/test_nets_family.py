"""The networks of z: any size, any number of colours."""

from __future__ import annotations

import pytest
import torch

from napari_dip import DIP
from napari_dip.engine.device import seeded
from napari_dip.methods.dip import evaluate
from napari_dip.nets.base import build_net
from napari_dip.nets.decoder import DeepDecoder
from napari_dip.nets.resnet import ResNet
from napari_dip.nets.resunet import ResUNet
from napari_dip.nets.skip import SkipNet
from napari_dip.nets.unet import UNet

NETS = ["skip", "pyramid", "resnet", "resunet", "decoder", "unet"]
SIZES = [(1, 1), (1, 9), (7, 2), (16, 16), (33, 20)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colours", [1, 3, 4])
def test_the_u_net_keeps_any_size(size: tuple[int, int], colours: int) -> None:
    with seeded(0):
        net = UNet(colours, colours, channels=4, depth=3, sigmoid=True).eval()
    out = net(torch.rand(2, colours, *size))
    assert out.shape == (2, colours, *size)
    assert 0 < out.min() <= out.max() < 1


def test_the_u_net_learns_with_and_without_norm_and_sees_far() -> None:
    for norm in (True, False):
        with seeded(0):
            net = UNet(1, 1, channels=4, depth=2, norm=norm).eval()
            x = torch.rand(1, 1, 32, 32, requires_grad=True)
        (gradient,) = torch.autograd.grad(net(x)[0, 0, 16, 16], x)
        assert gradient[0, 0, 16, 25] != 0  # through the deepest level
        assert all(p.requires_grad for p in net.parameters())


def weights(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("net", "published", "more"),
    [
        (SkipNet, 2_217_831, 0),
        (ResNet, 1_665_411, 0),
        (ResUNet, 1_706_331, 6_372),
        (DeepDecoder, 100_224, 0),
    ],
)
def test_the_published_sizes(net: type[torch.nn.Module], published: int, more: int) -> None:
    assert weights(net(outputs=3)) == published + more


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("size", "colours"), [((1, 1), 1), ((1, 9), 4), ((33, 20), 3), ((64, 64), 2)]
)
def test_every_network_of_z_makes_images_of_any_size(
    net: str, size: tuple[int, int], colours: int
) -> None:
    how = DIP(net=net, channels=4, stop="never")
    with seeded(0):
        built = build_net(how, colours, how.input_channels)
        z = torch.rand(1, built.inputs, *built.input_size(*size))
    for mode in (True, False):
        image = built.train(mode).image(z, *size)
        assert image.shape == (1, colours, *size)
        assert 0 < image.min() <= image.max() < 1


@pytest.mark.parametrize("net", NETS)
def test_every_weight_is_fitted(net: str) -> None:
    with seeded(0):
        built = build_net(DIP(net=net, channels=4, scales=3), 2, 32)
        z = torch.rand(1, built.inputs, *built.input_size(40, 24))
    built.image(z, 40, 24).square().sum().backward()
    assert all(p.grad is not None for p in built.parameters())


def test_the_input_is_as_wide_as_asked_but_for_the_decoder() -> None:
    for net in NETS:
        built = build_net(DIP(net=net, channels=4), 1, 2)
        assert built.inputs == (4 if net == "decoder" else 2)


def test_dropout_drops_while_fitting_and_not_in_the_answer() -> None:
    with seeded(0):
        net = build_net(DIP(net="resunet", channels=4, scales=2, dropout=0.3), 1, 32)
        z = torch.rand(1, net.inputs, *net.input_size(16, 16))
    assert not torch.equal(net(z), net(z))
    assert torch.equal(evaluate(net, z, 16, 16), evaluate(net, z, 16, 16))
    assert net.training  # and the fit goes on


def test_dropout_keeps_the_mean_and_leaves_the_global_state_alone() -> None:
    with seeded(0):
        drop = ResUNet(channels=4, scales=1, dropout=0.25).drop
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    out = drop(torch.ones(200, 200))
    assert torch.equal(before, torch.random.get_rng_state())
    assert out.mean() == pytest.approx(1, abs=0.01)
    assert (out == 0).float().mean() == pytest.approx(0.25, abs=0.01)
