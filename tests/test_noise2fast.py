"""Noise2Fast: the chequerboards of an image, when a fit ends, and what it gains."""

from __future__ import annotations

import pytest
import torch
from test_denoise import noisy_scene

from napari_dip import Noise2Fast, denoise, psnr
from napari_dip.engine.loop import Step
from napari_dip.methods.noise2fast import chequerboards, ended, pair


def test_a_chequerboard_has_every_pixel_of_its_colour_once() -> None:
    y = torch.arange(24.0).reshape(1, 1, 4, 6)
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    black, white = chequerboards(y)
    assert black.shape == white.shape == (1, 1, 4, 3)
    even = (rows + columns) % 2 == 0
    assert sorted(black.flatten().tolist()) == sorted(y[0, 0][even].tolist())
    assert sorted(white.flatten().tolist()) == sorted(y[0, 0][~even].tolist())
    assert ((black - white).abs() == 1).all()  # neighbours along x
    assert black[0, 0, 1].tolist() == [7, 9, 11]


def test_the_four_pairs_are_drawn_and_leave_an_odd_border_out() -> None:
    y = torch.arange(35.0).reshape(1, 1, 5, 7)
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(60):
        given, wanted = pair(y, generator)
        assert given.shape == wanted.shape
        assert given.shape[2:] in ((4, 3), (2, 6))
        assert ((given - wanted).abs() == (1 if given.shape[2] == 4 else 7)).all()
        seen.add((given.shape[2], float(given[0, 0, 0, 0])))
    assert seen == {(4, 0.0), (4, 1.0), (2, 0.0), (2, 7.0)}


def test_a_fit_ends_when_outputs_come_no_nearer() -> None:
    y = torch.zeros(1, 2, 2)
    distances = [3.0, 2.0, 1.0, 1.5, 2.0, 0.5]

    def steps() -> list[Step]:
        return [
            Step(n, torch.zeros(()), y + d if n % 2 else None, y + d, n)
            for n, d in enumerate(distances, 1)
        ]

    assert [s.index for s in ended(steps(), y, patience=2)] == [1, 2, 3, 4, 5]
    assert [s.criterion for s in ended(steps(), y, patience=9)] == [9, None, 1, None, 4, None]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_fit_gains_six_decibels(seed: int) -> None:
    noisy, clean = noisy_scene(seed, 64)
    how = Noise2Fast(steps=250, channels=16, learning_rate=0.003, seed=seed)
    answer = denoise(noisy, how, device="cpu")
    assert psnr(clean, answer, data_range=200) > psnr(clean, noisy, data_range=200) + 6


def test_the_published_fit_gains_four_decibels() -> None:
    noisy, clean = noisy_scene(0, 48)
    how = Noise2Fast.preset("paper", steps=250, channels=24, averaging=0.9)
    answer = denoise(noisy, how, device="cpu")
    assert psnr(clean, answer, data_range=200) > psnr(clean, noisy, data_range=200) + 4
