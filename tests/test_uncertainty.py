"""Restarts and standard deviations: averaged answers, and how far off they say they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cli_help import save
from some_images import names
from test_denoise import noisy_scene

from napari_dip import DIP, BlindSpot, Image, PatchDIP, denoise, iter_denoise, read
from napari_dip.cli import main
from napari_dip.engine.filters import averaged, early_stopped, spread
from napari_dip.engine.loop import Step
from napari_dip.engine.restarts import APART, join_fits
from napari_dip.nets.blind_spot import ring_means
from napari_dip.nets.blind_spot_error import AnswerError
from napari_dip.settings import Settings

QUICK = {"steps": 24, "channels": 4, "crop": 16}
OF_Z = {"steps": 24, "channels": 4, "scales": 2}
SOURCES = [
    BlindSpot(uncertainty="predicted", **QUICK),
    BlindSpot(uncertainty="iterates", **QUICK),
    BlindSpot(uncertainty="restarts", restarts=2, stop="never", **QUICK),
    DIP(net="skip", uncertainty="iterates", **OF_Z),
    DIP(net="resunet", uncertainty="dropout", **OF_Z),
    PatchDIP(uncertainty="iterates", steps=24, channels=4, scales=2, patch=16, stride=8),
    DIP(uncertainty="iterates", **OF_Z),
]
every_source = pytest.mark.parametrize(
    "how", SOURCES, ids=lambda how: f"{how.method}-{how.uncertainty}"
)


def step(index: int, value: float, **changes: object) -> Step:
    image = torch.full((1, 2, 2), value)
    return Step(
        **{
            "index": index,
            "loss": image.mean(),
            "output": image,
            "answer": image,
            "chosen": index,
            **changes,
        }
    )


def test_the_spread_is_that_of_the_latest_outputs() -> None:
    still = list(spread([step(n, 3.0) for n in range(1, 9)], 0.9))
    assert still[0].std is None and still[-1].std.max() == 0
    swinging = list(spread([step(n, float((-1) ** n)) for n in range(1, 200)], 0.9))
    assert swinging[-1].std == pytest.approx(np.ones((1, 2, 2)), abs=0.1)
    assert torch.equal(swinging[-1].answer, torch.full((1, 2, 2), -1.0))


def test_the_standard_deviation_stays_with_its_answer() -> None:
    values = [5.0, 1.0, 4.0]
    steps = [
        step(n, value, std=torch.full((1, 2, 2), 10 * value))
        for n, value in enumerate(values, start=1)
    ]
    final = list(early_stopped(steps, lambda s: float(s.output.mean()), 9))[-1]
    assert (final.answer.mean(), final.std.mean(), final.chosen) == (1, 10, 2)
    mean = 10 * np.mean(values[1:])  # the start is forgotten
    assert list(averaged(steps, 0.9))[-1].std.mean() == pytest.approx(mean)


STOPPED: dict[str, Any] = {"uncertainty": "iterates", "patience": 10, "steps": 200, "seed": 1}


@pytest.mark.parametrize(
    "how",
    [
        BlindSpot(channels=8, crop=16, learning_rate=0.01, **STOPPED),
        DIP(
            net="unet",
            channels=4,
            scales=2,
            learning_rate=0.03,
            restarts=1,
            **STOPPED,
        ),
        PatchDIP.preset(
            "paper", channels=8, scales=2, patch=16, stride=8, learning_rate=0.03, **STOPPED
        ),
    ],
    ids=lambda how: how.method,
)
def test_the_spread_of_iterates_is_that_of_the_chosen_step(how: Settings) -> None:
    how = how.model_copy(update={"stabilise": False})  # else it goes by the brightness of the end
    shots = list(iter_denoise(noisy_scene(0, 32)[0], how, device="cpu"))
    end = shots[-1]
    assert 1 < end.chosen < end.step
    assert np.array_equal(end.std.pixels, shots[end.chosen - 1].std.pixels)


def test_joined_fits_average_their_answers_and_wait_for_the_longest() -> None:
    fits = [
        iter([step(1, 1.0), step(2, 2.0), step(3, 3.0)]),
        iter([step(1, 5.0, note="a"), step(2, 6.0)]),
    ]
    steps = list(join_fits(fits, apart=True))
    assert [float(s.answer.mean()) for s in steps] == [3.0, 4.0, 4.5]
    assert [s.index for s in steps] == [1, 2, 3]
    assert float(steps[-1].std.mean()) == pytest.approx(np.std([3, 6], ddof=1))
    assert steps[0].note == "a"


@pytest.mark.parametrize("how", [BlindSpot(**QUICK), DIP(**OF_Z)], ids=lambda how: how.method)
def test_restarts_average_single_runs(how: Settings) -> None:
    noisy = noisy_scene(0, 32)[0]
    how = how.model_copy(update={"stabilise": False, "restarts": 1})
    singles = [
        denoise(noisy, how.model_copy(update={"seed": seed}), device="cpu")
        for seed in (3, 3 + APART)
    ]
    joint = how.model_copy(update={"seed": 3, "restarts": 2})
    together = denoise(noisy, joint, device="cpu")
    np.testing.assert_allclose(together, np.mean(singles, axis=0), atol=1e-3)
    assert np.abs(singles[0] - singles[1]).max() > 0.1


@every_source
def test_each_source_gives_a_map_and_leaves_the_answer_alone(how: Settings) -> None:
    noisy = noisy_scene(0, 32)[0]
    answer, std = denoise(noisy, how, device="cpu", return_std=True)
    assert std.shape == noisy.shape
    assert std.dtype == np.float32
    assert np.isfinite(std).all()
    assert 0 < std.mean() < np.ptp(noisy)
    assert np.array_equal(
        answer, denoise(noisy, how.model_copy(update={"uncertainty": "none"}), device="cpu")
    )


def test_the_map_is_in_the_units_of_the_image() -> None:
    noisy = noisy_scene(0, 40)[0]
    how = BlindSpot(uncertainty="predicted", **QUICK)
    _, std = denoise(noisy, how, device="cpu", return_std=True)
    _, larger = denoise(1000 + 50 * noisy, how, device="cpu", return_std=True)
    np.testing.assert_allclose(larger, 50 * std, rtol=0.1)


def z_scores(noisy: np.ndarray, clean: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the root mean square of error / deviation, and the share of pixels of less than 1."""
    how = BlindSpot(steps=150, channels=16, seed=seed)
    answer, std = denoise(noisy, how, device="cpu", return_std=True)
    z = np.abs(answer - clean) / std
    return float(np.sqrt(np.mean(z**2))), float((z < 1).mean())


@pytest.mark.parametrize("seed", range(3))
def test_errors_are_as_large_as_the_predicted_deviation(seed: int) -> None:
    size, inside = z_scores(*noisy_scene(seed), seed)
    assert 0.7 < size < 1.3
    assert 0.58 < inside < 0.8


@pytest.mark.parametrize("noise", ["gaussian", "poisson"])
def test_so_they_are_where_there_is_nothing_but_noise(noise: str) -> None:
    clean = np.full((96, 96), 100.0, np.float32)
    squares = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noisy = rng.normal(clean, 10) if noise == "gaussian" else rng.poisson(clean)
        how = BlindSpot(steps=60, channels=16, seed=seed)
        answer, std = denoise(noisy.astype(np.float32), how, device="cpu", return_std=True)
        squares.append(np.mean(((answer - clean) / std) ** 2))
    # Much of each is the error of one number, the mean of the image.
    assert 0.8 < np.sqrt(np.mean(squares)) < 1.25


@pytest.mark.parametrize(("structure", "over_noise"), [(0.0, 1.0), (30.0, 2.0)])
def test_noise_that_a_prediction_lets_through_is_measured(
    structure: float, over_noise: float
) -> None:
    lines = torch.linspace(0, 20, 128).sin()
    ratios = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn((1, 128, 128), generator=generator)
        y = structure * lines + noise
        error = AnswerError(torch.ones_like(y), 0.8, seed)
        nothing = torch.full_like(y, 1e-6)

        def mean_of_neighbours(image: torch.Tensor) -> torch.Tensor:
            return ring_means(image[None])[0, 1:2]

        for _ in range(4):
            std = error.update(y, mean_of_neighbours(y), nothing, mean_of_neighbours)
        ratios.append(float(std.square().mean() / mean_of_neighbours(noise).square().mean()))
    assert np.mean(ratios) == pytest.approx(over_noise, rel=0.15)


def test_snapshots_carry_the_map_plane_by_plane() -> None:
    flat = np.full((32, 32), 60, np.float32)
    stack = Image(
        np.stack([noisy_scene(0, 32)[0], flat, noisy_scene(1, 32)[0]]),
        "ZYX",
        (0.3, 0.1, 0.1),
        ("um",) * 3,
    )
    snapshots = list(iter_denoise(stack, BlindSpot(uncertainty="predicted", **QUICK), device="cpu"))
    first, final = snapshots[0].std, snapshots[-1].std
    assert (first.shape, first.axes, first.scale, first.units) == (
        stack.shape,
        "ZYX",
        stack.scale,
        stack.units,
    )
    assert np.isfinite(np.asarray(first)[0]).all()
    assert np.isnan(np.asarray(first)[1:]).all()  # not reached
    assert np.isfinite(np.asarray(final)).all()
    assert (np.asarray(final)[1] == 0).all()
    assert snapshots[-1].image.provenance["settings"]["uncertainty"] == "predicted"
    assert next(iter_denoise(stack, BlindSpot(**QUICK), device="cpu")).std is None


def test_asked_for_without_a_source_the_network_decides() -> None:
    assert BlindSpot().with_uncertainty().uncertainty == "predicted"
    assert DIP(net="skip", restarts=3).with_uncertainty().uncertainty == "restarts"
    assert DIP(net="skip").with_uncertainty().uncertainty == "iterates"
    assert BlindSpot(uncertainty="iterates").with_uncertainty().uncertainty == "iterates"
    image, std = denoise(
        Image(noisy_scene(0, 32)[0]), BlindSpot(**QUICK), device="cpu", return_std=True
    )
    assert image.axes == std.axes == "YX"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"uncertainty": "predicted"}, "uncertainty = 'predicted': input should be 'none'"),
        ({"uncertainty": "restarts", "restarts": 1}, "needs 2 or more restarts"),
        ({"uncertainty": "dropout"}, "needs net 'resunet'"),
        ({"net": "resunet", "dropout": 0, "uncertainty": "dropout"}, "needs net 'resunet'"),
        ({"restarts": 0}, "restarts = 0"),
    ],
)
def test_what_cannot_go_together_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DIP(**changes)


def written(tmp_path, *flags: str, files: tuple[str, ...] = ("a.tif",)) -> int:
    for name in files if not (tmp_path / "in").exists() else ():
        save(tmp_path / "in" / name, (20, 21))
    out = tmp_path / "out" if len(files) > 1 else tmp_path / "out" / "b.ome.tif"
    where = tmp_path / "in" if len(files) > 1 else tmp_path / "in" / files[0]
    (tmp_path / "out").mkdir(exist_ok=True)
    few = ["--steps", "3", "--channels", "4", "--crop", "16", "--device", "cpu", "--quiet"]
    return main(["denoise", str(where), "--out", str(out), *few, *flags])


def test_the_command_line_writes_the_map_beside_the_answer(tmp_path) -> None:
    assert written(tmp_path, "--std") == 0
    assert names(tmp_path / "out") == ["b.ome.tif", "b_std.tif"]
    std = read(tmp_path / "out" / "b_std.tif")
    assert (std.shape, std.dtype, std.axes) == ((20, 21), np.float32, "YX")
    assert np.asarray(std).min() > 0
    assert std.provenance["settings"]["uncertainty"] == "predicted"
    assert "standard deviation" in std.provenance["holds"]


def test_a_source_of_uncertainty_is_reason_enough_to_write_the_map(tmp_path) -> None:
    assert written(tmp_path, "--uncertainty", "iterates") == 0
    assert names(tmp_path / "out") == ["b.ome.tif", "b_std.tif"]


def test_folders_get_a_map_a_file_and_are_not_fitted_again(tmp_path) -> None:
    assert written(tmp_path, "--std", files=("a.tif", "c.tif")) == 0
    assert {"a.tif", "a_std.tif", "c.tif", "c_std.tif"} <= set(names(tmp_path / "out"))
    before = (tmp_path / "out" / "a_std.tif").stat().st_mtime_ns
    assert written(tmp_path, "--std", files=("a.tif", "c.tif")) == 0
    assert (tmp_path / "out" / "a_std.tif").stat().st_mtime_ns == before


def test_the_command_line_refuses_before_any_work(
    tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b_std.tif").write_bytes(b"mine")
    assert written(tmp_path, "--std") == 2
    assert "b_std.tif exists" in capsys.readouterr().err.replace("\n", " ")
    assert (tmp_path / "out" / "b_std.tif").read_bytes() == b"mine"
    assert names(tmp_path / "out") == ["b_std.tif"]
    (tmp_path / "in").rename(tmp_path / "before")
    assert written(tmp_path, "--std", files=("x.tif", "x_std.tif")) == 2
    assert "both be written" in capsys.readouterr().err.replace("\n", " ")
    assert written(tmp_path, "--std", "--model", "net.safetensors") == 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_blank_plane_has_no_known_error(value: float) -> None:
    stack = np.random.default_rng(0).normal(100, 5, (3, 64, 64))
    stack[1] = value
    how = BlindSpot(uncertainty="predicted", **QUICK)
    *_, end = iter_denoise(Image(stack, "TYX"), how, device="cpu")
    assert end.std is not None
    std, answer = np.asarray(end.std), np.asarray(end.image)
    assert np.isnan(std[1]).all() and np.isfinite(std[[0, 2]]).all()
    assert np.array_equal(answer[1], stack[1].astype(np.float32), equal_nan=True)
