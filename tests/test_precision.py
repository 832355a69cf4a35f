"""bfloat16 is used where it changes an answer by less than can be seen, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_dip import IDDP, Image, denoise
from napari_dip.models import precision
from napari_dip.models.model import Model, build
from napari_dip.models.precision import ERROR, Bfloat16WherePrecise, computes_in_bfloat16

CPU = torch.device("cpu")
SMALL = {"channels": 4, "depth": 1, "start": "blur"}


class Net:
    """Adds noise of a given size where it is asked to compute in bfloat16."""

    reach, multiple, bytes_a_pixel = 2, 1, 4.0

    def __init__(self, off: float) -> None:
        self.off, self.rough = off, 0

    def to(self, device: torch.device) -> None:
        pass

    def __call__(self, y: Tensor) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return y / 2
        self.rough += 1
        noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
        return y / 2 + self.off * noise / noise.square().mean().sqrt()


def tile(scale: float = 1.0) -> Tensor:
    return scale * torch.linspace(-1, 1, 64 * 64).reshape(1, 1, 64, 64)


def test_a_change_that_can_be_seen_keeps_float32() -> None:
    net = Net(0.003 * ERROR)  # 0.026 dB
    quick = Bfloat16WherePrecise(net, allowed=True)
    assert torch.equal(quick(tile()), tile() / 2) and torch.equal(quick(tile()), tile() / 2)
    assert net.rough == 1 and "precision" not in quick.to_json()
    assert quick.lost == pytest.approx(20 * math.log10(1.003), rel=1e-3)


def test_a_change_that_cannot_is_taken_from_the_second_tile_on() -> None:
    net = Net(0.002 * ERROR)  # 0.017 dB
    quick = Bfloat16WherePrecise(net, allowed=True)
    assert torch.equal(quick(tile()), tile() / 2), (
        "both were computed, so the better one is returned"
    )
    assert not torch.equal(quick(tile()), tile() / 2)
    assert quick.to_json() == {
        "precision": "bfloat16",
        "bfloat16_costs_at_most_dB": pytest.approx(0.0174, abs=1e-4),
    }
    net.off = ERROR
    assert torch.equal(quick(tile(2.0)), tile(2.0) / 2), "a tile that reaches further is tried anew"
    assert quick.to_json()["precision"] == "bfloat16, then float32" and torch.equal(
        quick(tile()), tile() / 2
    )


def test_an_answer_that_is_no_number_keeps_float32() -> None:
    quick = Bfloat16WherePrecise(Net(math.nan), allowed=True)
    assert torch.isfinite(quick(tile())).all() and "precision" not in quick.to_json()


def test_the_cpu_computes_in_float32_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not computes_in_bfloat16(CPU)
    model = Model(build(IDDP(**SMALL), 1), IDDP(**SMALL), 1)
    noisy = np.random.default_rng(0).poisson(20 + 10 * np.sin(np.mgrid[:40, :48][0] / 5))
    answer = denoise(Image(noisy), model)
    assert (
        answer.provenance["precision"] == "float32"
        and "bfloat16_costs_at_most_dB" not in answer.provenance
    )
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: True)
    forced = denoise(Image(noisy), model)
    cost = forced.provenance["bfloat16_costs_at_most_dB"]
    assert isinstance(cost, float) and forced.provenance["precision"].startswith(
        "bfloat16" if cost < 0.02 else "float32"
    )
    assert np.abs(np.asarray(forced.pixels) - np.asarray(answer.pixels)).max() < 0.01 * noisy.std()
