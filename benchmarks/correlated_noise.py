"""The default fit where neighbouring pixels share their noise, against the best Gaussian of any width.

    python benchmarks/correlated_noise.py [--images A,B] [--levels 10,20,40] [--seeds 3] [--known]

Clean images of 256 x 256 get Gaussian noise whose correlation at 1, 2 and 3 pixels is 0.6, 0.2 and 0.1, in all
directions or along x only; the first level with all seeds, the others with seed 0. --known adds, for seed 0, the fit
that is given the true covariance. --captures takes FMD's wide-field captures as they are instead. The width of the
best Gaussian is chosen with the truth. Writes docs/results/correlated_noise.json.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from common import DATA, centre, machine, pair, save, score
from noise import WIDE_FIELD
from scipy import ndimage

from napari_dip import BlindSpot, Image, denoise, last, read
from napari_dip.denoising import fit_image
from napari_dip.noise.anscombe import PoissonGaussian
from napari_dip.noise.correlation import RADIUS
from napari_dip.planes.image_statistics import ImageStatistics, measure_image

# The method was made looking at BPAE_G, fish, mice, set12/01, set12/04, set12/06; these were kept apart.
TEST_IMAGES = (
    "BPAE_B", "BPAE_R", "TwoPhoton_BPAE_G_1", "TwoPhoton_BPAE_R_1", "set12/02", "set12/05", "set12/08"
)  # fmt: skip
WIDTHS = np.arange(0.3, 10.0, 0.1)


def shares(kind: str) -> np.ndarray:
    """Return the true autocorrelation at lags of -RADIUS to RADIUS."""
    y, x = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    lags = [*range(len(WIDE_FIELD) + 1)]
    along = np.interp(np.hypot(y, x) if kind == "all" else np.abs(x), lags, [*WIDE_FIELD, 0])
    return along if kind == "all" else along * (y == 0)


def draw(shape: tuple[int, int], kind: str, seed: int) -> np.ndarray:
    """Draw such noise, of standard deviation 1."""
    table, kernel = shares(kind), np.zeros(shape)
    for (y, x), value in np.ndenumerate(table):
        kernel[(y - RADIUS) % shape[0], (x - RADIUS) % shape[1]] = value
    power = np.maximum(np.fft.fft2(kernel).real, 0)
    white = np.random.default_rng(seed).normal(size=shape)
    noise = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(power)).real
    return noise / noise.std()


def clean_image(name: str) -> np.ndarray:
    """Return the truth, the centre 256 x 256, in gray levels."""
    if "/" in name:
        return centre(np.asarray(read(DATA / f"{name}.png").pixels, dtype=np.float64), 256)
    return pair(name)[1].astype(np.float64)


def known_statistics(image: Image, level: float, kind: str) -> ImageStatistics:
    """Return the statistics that an image has whose noise is known exactly."""
    stats = measure_image(image, stabilise=False, straighten=True)
    (unit,), hole = stats.unit_ranges, 3
    std = level / (unit.high - unit.low)
    noise = replace(
        unit.measured,
        line=PoissonGaussian(0.0, std**2),
        levels=(0.0, 1.0),
        variances=(std**2,) * 2,
        errors=(0.0,) * 2,
        correlation=tuple(map(tuple, shares(kind).tolist())),
        hole=(hole if kind == "all" else 0, hole),
        local=None,
    )
    unit = replace(unit, noise=std, model=None, measured=noise)
    return replace(stats, unit_ranges=(unit,), noises=((noise,),))


def best_gaussian(noisy: np.ndarray, clean: np.ndarray) -> float:
    """Return the best PSNR of a Gaussian blur of any width."""
    return max(score(clean, ndimage.gaussian_filter(noisy, width)) for width in WIDTHS)


def judge(noisy: np.ndarray, clean: np.ndarray, seed: int) -> dict[str, float]:
    """Return the figures of one noisy image; times in CPU seconds."""
    start = time.process_time()
    answer = denoise(noisy, BlindSpot(seed=seed), device="cpu")
    return {
        "raw": score(clean, noisy),
        "best Gaussian": best_gaussian(noisy, clean),
        "default": score(clean, answer),
        "seconds": time.process_time() - start,
    }


def captures(seeds: int) -> dict[str, dict[str, float]]:
    """Return the figures of FMD's wide-field captures, centre and whole."""
    rows = {}
    for number in range(1, 5):
        for size in (256, 512):
            noisy, clean = pair(f"WideField_BPAE_R_{number}", size)
            for seed in range(seeds if size == 256 or number == 1 else 1):
                rows[f"capture {number}, {size}, seed {seed}"] = judge(noisy, clean, seed)
                print(rows, flush=True)
    return rows


def added(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the figures of clean images with noise added."""
    rows = {}
    for name in options.images.split(","):
        clean = clean_image(name)
        for kind in ("all", "x"):
            for number, level in enumerate(map(float, options.levels.split(","))):
                for seed in range(1 if number else options.seeds):
                    noisy = (clean + level * draw(clean.shape, kind, seed)).astype(np.float32)
                    row = judge(noisy, clean, seed)
                    if options.known and seed == 0:
                        image = Image(noisy, "YX")
                        stats = known_statistics(image, level, kind)
                        fit = fit_image(image, BlindSpot(), "cpu", stats=stats)
                        row["covariance known"] = score(clean, np.asarray(last(fit).image.pixels))
                    rows[f"{name}, {kind}, {level:g}, seed {seed}"] = row
                    print(f"{name}, {kind}, {level:g}, seed {seed}", row, flush=True)
    return rows


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", default=",".join(TEST_IMAGES))
    parser.add_argument("--levels", default="20,10,40")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--captures", action="store_true")
    options = parser.parse_args()
    rows = captures(options.seeds) if options.captures else added(options)
    over = [row["default"] - row["best Gaussian"] for row in rows.values()]
    print(f"over the best Gaussian: mean {np.mean(over):.2f}, least {min(over):.2f}")
    name = "wide_field_captures" if options.captures else "correlated_noise"
    print(save(name, {"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
