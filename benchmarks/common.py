"""What the benchmarks share: the development images, the baselines, and where results go.

The images are not shipped: the folder is `$NAPARI_DIP_DATA`, or `../shared/data` beside this checkout.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_dip import add_gaussian, add_poisson, add_speckle, psnr, read
from napari_dip.noise.measure import estimate_noise

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("NAPARI_DIP_DATA", ROOT.parent / "shared" / "data"))
RESULTS = ROOT / "docs" / "results"

CONFOCAL = ("BPAE_B", "BPAE_G", "BPAE_R", "fish", "mice")
TWO_PHOTON = tuple(f"TwoPhoton_BPAE_{c}_1" for c in "BGR")
NOISES: dict[str, Callable[..., np.ndarray]] = {
    "gaussian25": partial(add_gaussian, sigma=25.0),
    "poisson30": partial(add_poisson, peak=30.0),
    "speckle0.1": partial(add_speckle, variance=0.1),
}


def pair(name: str, size: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (noisy, clean), float32 in [0, 255], the centre `size` x `size`.

    `name` is one of CONFOCAL, a capture of fmd_test_mix such as ``TwoPhoton_BPAE_B_1``, one of W2S such as
    ``w2s/001_0``, or a clean photograph and a noise such as ``set12/01+gaussian25``; that noise is drawn from `seed` on the whole photograph and clipped to
    [0, 255].
    """
    if "+" in name:
        photo, kind = name.split("+")
        clean = _pixels(DATA / f"{photo}.png")
        noisy = NOISES[kind](clean, seed=seed, clip=(0, 255))
    elif name.startswith("w2s/"):
        folder, capture = DATA / "w2s_widefield_8bit", name.removeprefix("w2s/")
        noisy = _pixels(folder / f"input_avg1_{capture}.tif")
        clean = _pixels(folder / f"target_avg400_{capture}.tif")
    elif name in CONFOCAL:
        folder = DATA / "fmd_confocal_fov01"
        noisy, clean = _pixels(folder / f"{name}_raw.tif"), _pixels(folder / f"{name}_gt.tif")
    else:
        folder = DATA / "fmd_test_mix"
        kind = name.rsplit("_", 1)[0]
        noisy, clean = _pixels(folder / f"{name}_raw.png"), _pixels(folder / f"{kind}_1_gt.png")
    return centre(noisy, size), centre(clean, size)


def centre(image: np.ndarray, size: int) -> np.ndarray:
    """Cut the centre `size` x `size`; the whole image where it is smaller."""
    top, left = (max(0, (n - size) // 2) for n in image.shape)
    return image[top : top + size, left : left + size]


def score(clean: np.ndarray, image: np.ndarray, *, affine: bool = False) -> float:
    """PSNR in dB for the range 255, the image clipped to it as a file would be."""
    return psnr(clean, np.clip(image, 0, 255), data_range=255, affine=affine)


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(read(path).pixels, dtype=np.float32)


def gaussian_j(noisy: np.ndarray) -> np.ndarray:
    """Gaussian blur, its width calibrated by J-invariance (Batson and Royer 2019) as scikit-image does it."""
    from skimage.restoration import calibrate_denoiser

    blur = calibrate_denoiser(
        noisy, _gaussian, denoise_parameters={"sigma": np.arange(0.4, 4.01, 0.1)}
    )
    return blur(noisy)


def _gaussian(image: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    return ndimage.gaussian_filter(image, sigma)


def stabilised(denoiser: Callable[[np.ndarray], np.ndarray], noisy: np.ndarray) -> np.ndarray:
    """Denoise between the generalised Anscombe transform and its inverse, noise parameters from the image."""
    model = estimate_noise([noisy[None].astype(np.float64)])
    if model.gain == 0:
        sigma = max(model.std(0), 1e-6)
        return denoiser(noisy / sigma) * sigma
    return model.restore(denoiser(model.stabilise(noisy.astype(np.float64))))


def gat_blur(noisy: np.ndarray) -> np.ndarray:
    """GAT, Gaussian of 1 pixel, inverse."""
    return stabilised(partial(_gaussian, sigma=1.0), noisy)


def vst_nlm(noisy: np.ndarray) -> np.ndarray:
    """GAT, non-local means for noise of standard deviation 1, inverse."""
    from skimage.restoration import denoise_nl_means

    nlm = partial(
        denoise_nl_means, patch_size=5, patch_distance=6, h=0.8, sigma=1.0, fast_mode=True
    )
    return stabilised(nlm, noisy)


def vst_bm3d(noisy: np.ndarray) -> np.ndarray:
    """GAT, BM3D for noise of standard deviation 1, inverse; needs the extra bm3d-noncommercial."""
    from bm3d import bm3d

    return stabilised(partial(bm3d, sigma_psd=1.0), noisy)


def machine() -> dict[str, object]:
    """Say what computed a result."""
    import torch

    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def save(name: str, result: dict[str, object]) -> Path:
    """Write a result as JSON into docs/results."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path
