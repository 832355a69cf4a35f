"""A trained network applied in tiles: the same answer as on the whole plane, and no seam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_dip.models.tiled_apply import LEAST_MARGINS, _margin, apply, apply_in_tiles
from napari_dip.nets.filter_unet import BlurredUNet

RANDOM = np.random.default_rng(3)
# Depth, start, unshuffle.
NETS = [(0, "zero", 1), (1, "blur", 1), (2, "blind-spot", 1), (3, "zero", 1), (2, "blind-spot", 2)]
SIZES = [(97, 240), (240, 97), (201, 203), *RANDOM.integers(60, 230, (4, 2)).tolist()]


def network(depth: int, start: str, unshuffle: int) -> BlurredUNet:
    with torch.random.fork_rng():
        torch.manual_seed(depth)
        net = BlurredUNet(1, 3, depth, start, 1.0, 3, 4, unshuffle=unshuffle).eval()
        nn.init.normal_(net.unet.last.weight)
    return net


@pytest.mark.parametrize(("depth", "start", "unshuffle"), NETS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_give_the_answer_of_the_whole(
    depth: int, start: str, unshuffle: int, size: tuple[int, int]
) -> None:
    net, tile = network(depth, start, unshuffle), int(RANDOM.integers(16, 60))
    y = torch.from_numpy(RANDOM.normal(0, 1, (1, 1, *size)).astype(np.float32))
    with torch.no_grad():
        whole, parts = net(y), apply_in_tiles(net, y, tile)
    assert (whole - parts).abs().max() < 1e-5 * (whole.max() - whole.min())


@pytest.mark.parametrize(("depth", "start", "unshuffle"), NETS[1:4])
def test_a_flat_region_shows_no_seam(depth: int, start: str, unshuffle: int) -> None:
    net = network(depth, start, unshuffle)
    with torch.no_grad():
        answer = apply_in_tiles(net, torch.full((1, 1, 200, 170), 0.7), 32)[0, 0]
    inner = answer[60:-60, 60:-60] if depth == 3 else answer
    assert inner.max() - inner.min() < 1e-5 * inner.abs().max()


@pytest.mark.parametrize(("depth", "start", "unshuffle"), NETS)
def test_the_reach_is_what_the_network_sees_and_no_more(
    depth: int, start: str, unshuffle: int
) -> None:
    net = network(depth, start, unshuffle).double()
    for weight in net.parameters():
        nn.init.uniform_(weight, 0.01, 0.2)  # nothing cancels
    side = 2 * net.reach + 48
    y = torch.zeros(1, 1, side, side, dtype=torch.double)
    seen = 0
    with torch.no_grad():
        flat = net(y)
        for place in range(side // 2, side // 2 + net.multiple):
            dot = y.clone()
            dot[..., place, place] = 1.0
            rows = (net(dot) != flat)[0, 0].any(dim=1).nonzero()
            seen = max(seen, place - int(rows.min()), int(rows.max()) - place)
    assert seen <= net.reach
    assert (
        seen >= net.reach - 1 or depth < 2
    )  # there the blur, which may be absent, reaches farther than the U-Net


def test_the_overlap_of_the_default_tile_is_cheap() -> None:
    margin = _margin(BlurredUNet())
    assert (1 + 2 / LEAST_MARGINS) ** 2 <= 1.3
    assert (1 + 2 * margin / 768) ** 2 <= 1.3


class Offset:
    """Denoises well but for a constant, in units of the network's input."""

    reach, multiple, bytes_a_pixel = 0, 1, 4.0

    def __init__(self, clean: Tensor, by: float) -> None:
        self.clean, self.by = clean, by

    def __call__(self, y: Tensor) -> Tensor:
        return self.clean.expand_as(y) + self.by


@pytest.mark.parametrize("by", [-0.05, 0.0, 2.0])
@pytest.mark.parametrize("spoilt", ["", "cosmic ray", "border", "saturation"])
def test_an_offset_of_the_network_does_not_stay(by: float, spoilt: str) -> None:
    noisy = torch.from_numpy(RANDOM.normal(50, 4, (2, 200, 200)).astype(np.float32))
    noisy[1] += 30  # the channels come one by one: each has its own level
    expected = noisy.mean(dim=(1, 2)).tolist()
    if spoilt == "cosmic ray":
        noisy[:, 100, :40] += 4000
    elif spoilt:
        noisy[:, :, :90] = {"border": 0, "saturation": 4095}[spoilt]
    *_, last = apply(Offset(torch.zeros(()), by), noisy, 4.0, 8, apart=True)
    assert last.answer[:, :, 100:].mean(dim=(1, 2)).tolist() == pytest.approx(
        expected, abs=0.05 * 4
    )
