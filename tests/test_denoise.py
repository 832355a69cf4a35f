"""Laws that hold for every method, and the science: noise goes, the picture stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dip import (
    DIP,
    ZSN2N,
    BlindSpot,
    DenoiseError,
    Image,
    Inpaint,
    Noise2Fast,
    Self2Self,
    denoise,
    iter_denoise,
    last,
    psnr,
    read,
)
from napari_dip.methods import registry
from napari_dip.methods.dip import weigh_in_measured
from napari_dip.settings import PatchDIP, Settings

METHODS = registry.settings_classes(registry.METHODS)

BRIEF = {"steps": 3, "channels": 4}
QUICK = {**BRIEF, "crop": 16}
HOWS = [BlindSpot(**QUICK), *(DIP.preset(name, scales=3, **BRIEF) for name in DIP.presets)]
HOWS += [
    PatchDIP(steps=3, channels=4, patch=16, stride=9, batch=3),
    PatchDIP(steps=3, channels=4, net="resunet"),
]
HOWS += [PatchDIP(start="random", steps=3, channels=4, patch=16, stride=9, batch=3)]
HOWS += [
    DIP(net=net, scales=3, **BRIEF) for net in ("skip", "resnet", "resunet", "decoder", "unet")
]
HOWS += [Noise2Fast(crop=16, **BRIEF), Noise2Fast.preset("paper", **BRIEF)]
HOWS += [Self2Self(crop=16, **BRIEF), Self2Self.preset("paper", predictions=2, **BRIEF)]
HOWS += [ZSN2N(crop=16, **BRIEF), ZSN2N.preset("paper", **BRIEF)]
NOISE = np.random.default_rng(0).poisson(30, (24, 24))
every_method = pytest.mark.parametrize(
    "how", HOWS, ids=lambda how: f"{how.method}-{getattr(how, 'net', '')}"
)


def noisy_scene(seed: int, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Blobs in [20, 220] with Poisson noise of gain 4, as (noisy, clean)."""
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.normal(size=(size, size)), 3)
    clean = 20 + 200 * (rough - rough.min()) / np.ptp(rough)
    return (4.0 * rng.poisson(clean / 4)).astype(np.float32), clean.astype(np.float32)


def test_every_method_is_here() -> None:
    assert {how.method for how in HOWS} == set(METHODS)


@every_method
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
def test_shape_axes_scale_and_units_stay(how: Settings, dtype: str) -> None:
    pixels = (
        np.random.default_rng(0)
        .integers(0, 2 if dtype == "bool" else 200, (2, 32, 33))
        .astype(dtype)
    )
    source = Image(pixels, "ZYX", scale=(0.3, 0.1, 0.1), units=("um", "um", "um"), name="cell")
    for snapshot in iter_denoise(source, how, device="cpu"):
        image = snapshot.image
        assert (image.shape, image.axes, image.scale, image.units) == (
            source.shape,
            "ZYX",
            (0.3, 0.1, 0.1),
            ("um",) * 3,
        )
        assert image.dtype == np.float32
        assert np.isfinite(image.pixels).all()
    assert snapshot.planes == 2
    assert snapshot.step == snapshot.total == 6


@every_method
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 5), (33, 70)])
def test_any_size_comes_back(how: Settings, shape: tuple[int, int]) -> None:
    noisy = np.random.default_rng(0).normal(100, 10, shape)
    answer = denoise(noisy, how, device="cpu")
    assert answer.shape == shape
    assert np.isfinite(answer).all()


@every_method
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("YXC", (32, 40, 3)), ("TZCYX", (1, 2, 2, 24, 24)), ("XY", (24, 30)), ("CYX", (5, 24, 24))],
)
def test_any_axes_come_back(how: Settings, axes: str, shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(0).normal(100, 10, shape)
    snapshot = last(iter_denoise(noisy, how, axes=axes, device="cpu"))
    assert snapshot.image.shape == shape
    assert snapshot.image.axes == axes


@every_method
def test_same_seed_same_pixels(how: Settings) -> None:
    noisy = noisy_scene(0, 40)[0]
    torch.manual_seed(1)
    first = denoise(noisy, how, device="cpu")
    torch.manual_seed(2)  # the global state must not matter
    assert np.array_equal(first, denoise(noisy, how, device="cpu"))
    assert not np.array_equal(
        first, denoise(noisy, how.model_copy(update={"seed": 1}), device="cpu")
    )


@every_method
def test_planes_not_reached_show_the_input_and_old_snapshots_stay(how: Settings) -> None:
    stack = np.stack([noisy_scene(s, 32)[0] for s in range(3)])
    snapshots = list(iter_denoise(stack, how, axes="ZYX", device="cpu"))
    assert np.array_equal(np.asarray(snapshots[0].image)[1:], stack[1:])
    final = np.asarray(snapshots[-1].image)
    middle = np.asarray(snapshots[5].image)  # the last step of plane 1
    assert np.array_equal(middle[:2], final[:2])
    assert np.array_equal(middle[2], stack[2])
    assert not np.array_equal(final[2], stack[2])


@every_method
def test_one_affine_for_the_whole_stack(how: Settings) -> None:
    noisy = noisy_scene(0, 40)[0]
    answer = denoise(noisy, how, device="cpu")
    scaled = denoise(1000 + 50 * noisy, how, device="cpu")
    assert np.abs((scaled - 1000) / 50 - answer).max() < 0.02 * np.ptp(noisy)


@every_method
def test_a_constant_image_is_left_as_it_is(how: Settings) -> None:
    flat = np.full((20, 20), 7, np.uint16)
    assert np.array_equal(denoise(flat, how, device="cpu"), flat)


def test_a_constant_plane_in_a_noisy_stack_keeps_its_values() -> None:
    noisy = noisy_scene(0, 32)[0]
    stack = np.stack([noisy, np.full_like(noisy, 60)])
    assert np.array_equal(denoise(stack, BlindSpot(**QUICK), axes="ZYX", device="cpu")[1], stack[1])


def test_the_first_picture_is_a_blur_already() -> None:
    noisy, clean = noisy_scene(0)
    first = next(iter_denoise(noisy, BlindSpot(**QUICK), device="cpu"))
    gain = psnr(clean, np.asarray(first.image), data_range=200) - psnr(clean, noisy, data_range=200)
    assert gain > 5


@every_method
def test_the_input_is_not_written_to(how: Settings) -> None:
    noisy = noisy_scene(0, 32)[0]
    noisy.flags.writeable = False
    denoise(noisy, how, device="cpu")


@every_method
def test_provenance_says_what_was_done(how: Settings) -> None:
    snapshot = last(iter_denoise(noisy_scene(0, 32)[0], how, device="cpu"))
    made = snapshot.image.provenance
    assert made["settings"] == how.to_json()
    assert made["device"] == "cpu"
    assert made["steps_chosen"] == [snapshot.chosen]
    assert {"napari-dip", "torch", "numpy", "python"} <= set(made["versions"])


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((8, 8), np.nan), "are non-finite"),
        (np.where(np.eye(8), np.inf, 1.0), "8 non-finite"),
        (np.zeros((0, 5)), "no pixels"),
        (np.zeros(5), "2 to 5 axes"),
        (np.zeros((4, 4), complex), "complex"),
        (np.array([["a", "b"]]), "type"),
    ],
)
def test_what_cannot_be_denoised_is_refused_at_the_call(pixels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        iter_denoise(pixels)


def test_wrong_axes_and_devices_are_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="axes"):
        iter_denoise(np.zeros((4, 4)), axes="ZYX")
    with pytest.raises(ValueError, match="device"):
        iter_denoise(np.zeros((4, 4)), device="tpu")
    for axes in (3, ["Y", "X"]):
        with pytest.raises(ValueError, match="give a letter for each axis"):
            iter_denoise(np.ones((8, 8)), axes=axes)  # type: ignore[arg-type]
    for device in (None, 3):
        with pytest.raises(ValueError, match="There is no device"):
            iter_denoise(np.ones((8, 8)), device=device)  # type: ignore[arg-type]
    assert denoise(NOISE, BlindSpot(**QUICK), device=torch.device("cpu")).shape == (24, 24)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "GPU ran out of memory"),
        (RuntimeError("shape mismatch"), "computation failed: shape mismatch"),
        (MemoryError(), "computer ran out of memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ..."),
            "computer ran out of memory",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "GPU ran out of memory"),
    ],
)
def test_errors_in_the_middle_become_ours(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_dip.nets.blind_spot import BlindSpotNet

    forward, calls = BlindSpotNet.forward, []

    def failing(self: BlindSpotNet, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(1)
        if len(calls) > 2:
            raise error
        return forward(self, x)

    monkeypatch.setattr(BlindSpotNet, "forward", failing)
    with pytest.raises(DenoiseError, match=words):
        denoise(noisy_scene(0, 32)[0], BlindSpot(**{**QUICK, "steps": 90}), device="cpu")


def test_closing_early_frees_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    from napari_dip.nets.blind_spot import BlindSpotNet

    born: list[weakref.ref[BlindSpotNet]] = []
    init = BlindSpotNet.__init__

    def watched(self: BlindSpotNet, *args: int) -> None:
        init(self, *args)
        born.append(weakref.ref(self))

    monkeypatch.setattr(BlindSpotNet, "__init__", watched)
    snapshots = iter_denoise(
        noisy_scene(0, 32)[0], BlindSpot(**{**QUICK, "steps": 50}), device="cpu"
    )
    kept = next(snapshots)
    assert born
    assert born[0]() is not None
    snapshots.close()
    gc.collect()
    assert all(net() is None for net in born)
    assert kept.image.shape == (32, 32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_gains_seven_decibels_and_beats_a_blur(seed: int) -> None:
    noisy, clean = noisy_scene(seed)
    answer = denoise(noisy, BlindSpot(seed=seed, steps=200, channels=24), device="cpu")
    gain = psnr(clean, answer, data_range=200) - psnr(clean, noisy, data_range=200)
    blurs = (ndimage.gaussian_filter(noisy, s) for s in np.arange(0.6, 3, 0.2))
    best_blur = max(psnr(clean, blur, data_range=200) for blur in blurs)
    assert gain > 7
    assert psnr(clean, answer, data_range=200) > best_blur
    assert answer.mean() == pytest.approx(clean.mean(), rel=0.01)


@pytest.mark.parametrize("net", ["resunet", "decoder", "unet"])
def test_the_other_networks_denoise(net: str) -> None:
    noisy, clean = noisy_scene(0, 64)
    how = DIP(
        net=net, steps=120, channels=8, scales=3, learning_rate=0.01, averaging=0.97, patience=1000
    )
    answer = denoise(noisy, how, device="cpu")
    assert psnr(clean, answer, data_range=200) - psnr(clean, noisy, data_range=200) > 3


def test_watching_every_output_is_refused_where_there_is_none() -> None:
    for refused in (DIP, Inpaint):
        with pytest.raises(ValueError, match="stop 'variance' watches every output"):
            refused(net="resunet" if refused is DIP else "blind-spot", stop="variance")
    assert DIP(net="resunet", dropout=0, stop="variance").stop == "variance"


def test_the_published_fit_denoises() -> None:
    noisy, clean = noisy_scene(0, 64)
    how = DIP.preset("paper", steps=250, channels=16, scales=3, stop="never")
    gains = [
        psnr(clean, np.asarray(s.image), data_range=200) - psnr(clean, noisy, data_range=200)
        for s in iter_denoise(noisy, how, device="cpu")
        if s.step % 25 == 0
    ]
    assert max(gains) > 3


def test_the_shipped_capture_gains_seven_decibels() -> None:
    folder = Path(__import__("napari_dip").__file__).parent / "data"
    cut = (slice(192, 320), slice(192, 320))
    noisy, clean = (
        np.asarray(read(folder / f"fish_{kind}.tif").pixels)[cut] for kind in ("raw", "gt")
    )
    answer = denoise(noisy, BlindSpot(steps=200), device="cpu")
    assert psnr(clean, answer, data_range=255) > psnr(clean, noisy, data_range=255) + 7


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_of_dip_gains_seven_decibels_on_a_real_capture(seed: int) -> None:
    folder = Path(__import__("napari_dip").__file__).parent / "data"
    cut = (slice(192, 256), slice(224, 288))
    noisy, clean = (
        np.asarray(read(folder / f"fish_{kind}.tif").pixels)[cut] for kind in ("raw", "gt")
    )
    answer = denoise(noisy, DIP(steps=150, seed=seed), device="cpu")
    assert psnr(clean, answer, data_range=255) > psnr(clean, noisy, data_range=255) + 7


def test_the_default_of_dip_gives_the_same_answer_again_whatever_torch_drew_before() -> None:
    noisy, _ = noisy_scene(0, 32)
    first = denoise(noisy, DIP(steps=3), device="cpu")
    torch.rand(7)
    assert np.array_equal(first, denoise(noisy, DIP(steps=3), device="cpu"))


def test_the_measured_image_is_weighed_in_by_the_best_share() -> None:
    random = torch.Generator().manual_seed(0)
    clean = torch.rand(1, 200, 200, generator=random)
    noise, other = 0.1 * torch.randn((2, *clean.shape), generator=random)
    hidden = torch.rand(clean.shape, generator=random) < 0.2
    missed = 0.05 * torch.randn(clean.shape, generator=random)
    fitted = clean + missed + 0.2 * torch.where(hidden, other, noise)  # some noise is learnt
    answer = weigh_in_measured(fitted, clean + noise, hidden, 0.1)
    shares = torch.linspace(0, 0.4, 401)
    error = [
        (torch.lerp(fitted, clean + noise, share) - clean)[~hidden].square().mean()
        for share in shares
    ]
    best = shares[int(torch.stack(error).argmin())]
    used = ((answer - fitted) / (clean + noise - fitted)).mean()
    assert 0.01 < best < 0.2
    assert used == pytest.approx(float(best), abs=0.02)
    assert torch.equal(
        weigh_in_measured(fitted, clean + noise, hidden, 0.3), fitted
    )  # nothing left out


def test_remarks_are_warnings_in_python() -> None:
    noise = np.random.default_rng(0).normal(size=(96, 96))
    smeared = 100 + 20 * ndimage.uniform_filter(noise, 3)
    with pytest.warns(UserWarning, match="neighbouring pixels is correlated") as seen:
        denoise(smeared, BlindSpot(steps=2, channels=4, crop=16), device="cpu")
    assert [Path(one.filename).name for one in seen] == [Path(__file__).name]  # the caller's line
