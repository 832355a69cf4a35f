"""How many threads a gradient step gets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from napari_dip import BlindSpot, PatchDIP, denoise
from napari_dip.engine.loop import optimize
from napari_dip.engine.threads import THREAD_VALUES

NOISY = np.random.default_rng(0).poisson(20 + 10 * np.sin(np.arange(96) / 7), (96, 96))


@pytest.fixture(autouse=True)
def _threads_of_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("how", [BlindSpot(steps=20), PatchDIP(steps=4, patch=32, stride=16)])
def test_the_pixels_do_not_depend_on_the_number_of_threads(how: BlindSpot | PatchDIP) -> None:
    answers = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        answers.append(denoise(NOISY, how, device="cpu"))
        assert torch.get_num_threads() == count
    for answer in answers[1:]:  # but for the rounding of float32
        np.testing.assert_allclose(answer, answers[0], rtol=3e-6)


@pytest.mark.parametrize(
    ("values", "given"), [(1, 1), (2 * THREAD_VALUES, 2), (9 * THREAD_VALUES, 3), (None, 3)]
)
def test_a_step_gets_the_threads_that_it_is_worth(values: int | None, given: int) -> None:
    torch.set_num_threads(3)
    weight = torch.nn.Parameter(torch.ones(1))
    seen = []

    def objective(index: int) -> tuple[torch.Tensor, None]:
        seen.append(torch.get_num_threads())
        return weight.square().sum(), None

    for _ in optimize(objective, [weight], 2, 0.1, torch.zeros(1), values=values):
        assert torch.get_num_threads() == 3
    assert seen == [given, given]
