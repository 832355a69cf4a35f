"""How well `measure_noise` finds a noise that is known: contents x noises, on other seeds than it was tuned on.

    python benchmarks/noise.py [--seeds 3] [--first-seed 1000] [--size 256] [--dry]

prints a Markdown table and, but for --dry, writes docs/results/noise.json. Level: noise std found over true at the background (10th
percentile of the clean image) and at its median. Correlation: largest error among the lags of 1 to 3 pixels in y and
x. Hole: alarms where the noise is independent, misses where a neighbour is correlated by 0.15 or more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from common import machine, save
from scipy import ndimage

from napari_dip.noise.measure import measure_noise
from napari_dip.noise.measured_noise import MeasuredNoise

Clean = Callable[[np.random.Generator, int], np.ndarray]
WIDE_FIELD = (1.0, 0.6, 0.2, 0.1)  # autocorrelation at 0, 1, 2, 3 pixels


def cells(rng: np.random.Generator, size: int) -> np.ndarray:
    """Soft blobs with grain inside, on a background of a tenth."""
    image = np.zeros((size, size))
    y, x = np.mgrid[:size, :size]
    for _ in range(max(3, size * size // 3000)):
        cy, cx, a, b = *rng.uniform(0, size, 2), *rng.uniform(6, 20, 2)
        image += rng.uniform(0.3, 1) * (((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1)
    grain = 1 + 0.5 * unit(ndimage.gaussian_filter(rng.normal(size=image.shape), 1.0))
    return 0.1 + ndimage.gaussian_filter(image * np.clip(grain, 0, None), 1.5)


def beads(rng: np.random.Generator, size: int) -> np.ndarray:
    """Spots of light of sigma 0.8 to 1.5 pixels, 50 times the background, on about 2% of the area."""
    image = np.zeros((size, size))
    y, x = np.mgrid[:size, :size]
    for _ in range(max(3, size * size // 1500)):
        cy, cx, s = *rng.uniform(0, size, 2), rng.uniform(0.8, 1.5)
        near = (slice(max(0, int(cy) - 8), int(cy) + 9), slice(max(0, int(cx) - 8), int(cx) + 9))
        d = (y[near] - cy) ** 2 + (x[near] - cx) ** 2
        image[near] += rng.uniform(0.2, 1) * np.exp(-d / (2 * s * s))
    return 0.02 + image


def texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Random texture everywhere, of scales from 1.5 to 12 pixels."""
    scales = [unit(ndimage.gaussian_filter(rng.normal(size=(size, size)), s)) for s in (1.5, 4, 12)]
    return np.exp(0.4 * scales[0] + 0.4 * scales[1] + 0.4 * scales[2]) / 2


def flat(rng: np.random.Generator, size: int) -> np.ndarray:
    """One value."""
    return np.full((size, size), rng.uniform(0.3, 0.7))


def bright(rng: np.random.Generator, size: int) -> np.ndarray:
    """One disc, 50 times the background."""
    y, x = np.mgrid[:size, :size] - size * rng.uniform(0.3, 0.7, (2, 1, 1))
    return 0.02 + ndimage.gaussian_filter(1.0 * (np.hypot(y, x) < size / 8), 1.2)


def unit(image: np.ndarray) -> np.ndarray:
    """Return the image with mean 0 and standard deviation 1."""
    return (image - image.mean()) / image.std()


CONTENTS: dict[str, Clean] = {f.__name__: f for f in (cells, beads, texture, flat, bright)}


class Noise:
    """A noise model: gain x photons + offset, read noise, and what else is said.

    `photons` is the mean count of the image; `profile_y` and `profile_x` are the autocorrelations
    along the axes of Gaussian noise of the same variance, else photons are drawn.
    """

    def __init__(
        self,
        photons: float,
        gain: float = 1.0,
        offset: float = 0.0,
        read: float = 0.0,
        kind: str = "poisson",
        profile_y: tuple[float, ...] = (1.0,),
        profile_x: tuple[float, ...] = (1.0,),
    ) -> None:
        self.photons, self.gain, self.offset, self.read, self.kind = (
            photons,
            gain,
            offset,
            read,
            kind,
        )
        self.profiles = profile_y, profile_x

    @property
    def is_correlated(self) -> bool:
        """Whether neighbours share their noise."""
        return max(len(profile) for profile in self.profiles) > 1

    def clean(self, content: np.ndarray) -> np.ndarray:
        """Return the expected image."""
        return content / content.mean() * self.photons * self.gain + self.offset

    def std(self, clean: np.ndarray | float) -> np.ndarray:
        """Return the true standard deviation where the expected value is `clean`."""
        signal = np.asarray(clean) - self.offset
        if self.kind == "speckle":
            return np.sqrt((0.2 * signal) ** 2 + self.read**2)
        double = 2 if self.kind == "emccd" else 1
        return np.sqrt(double * self.gain * signal + self.read**2)

    def draw(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the noisy image."""
        if self.is_correlated or self.kind == "speckle":
            return clean + self.std(clean) * self.correlated(clean.shape, rng)
        counts = rng.poisson((clean - self.offset) / self.gain).astype(float)
        if self.kind == "emccd":  # an exponential multiplication for each photon
            counts = np.where(counts > 0, rng.gamma(np.maximum(counts, 1)), 0.0)
        return self.gain * counts + self.offset + self.read * rng.normal(size=clean.shape)

    def correlated(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Draw Gaussian noise of variance 1 with the two profiles."""
        spectrum = rng.normal(size=shape)
        for axis, profile in enumerate(self.profiles):
            angle = 2 * np.pi * np.fft.fftfreq(shape[axis])
            power = 1 + 2 * sum(p * np.cos(k * angle) for k, p in enumerate(profile) if k)
            root = np.sqrt(np.maximum(power, 0)).reshape((-1, 1) if axis == 0 else (1, -1))
            spectrum = np.fft.ifft(np.fft.fft(spectrum, axis=axis) * root, axis=axis).real
        return spectrum


NOISES: dict[str, Noise] = {
    **{f"poisson {p:g}": Noise(p) for p in (0.05, 0.1, 0.3, 1, 10, 100, 1000)},
    "gain 0.5, read 2": Noise(20, 0.5, 100, 2),
    "gain 5, offset 500, read 20": Noise(30, 5, 500, 20),
    "gain 100, offset 1000": Noise(3, 100, 1000, 30),
    "read noise": Noise(0.5, 1, 100, 5),
    "emccd 0.5": Noise(0.5, 20, 200, 5, "emccd"),
    "emccd 10": Noise(10, 20, 200, 5, "emccd"),
    "speckle": Noise(50, kind="speckle", read=0.5),
    "x 0.15": Noise(20, 5, 500, 20, profile_x=(1, 0.15)),
    "y 0.3": Noise(20, 5, 500, 20, profile_y=(1, 0.3)),
    "both 0.3": Noise(20, 5, 500, 20, profile_y=(1, 0.3), profile_x=(1, 0.3)),
    "x wide-field": Noise(20, 5, 500, 20, profile_x=WIDE_FIELD),
    "wide-field": Noise(20, 5, 500, 20, profile_y=WIDE_FIELD, profile_x=WIDE_FIELD),
    "wide-field 500": Noise(500, 5, 500, 20, profile_y=WIDE_FIELD, profile_x=WIDE_FIELD),
}


def judge(content: str, noise: Noise, seed: int, size: int) -> dict[str, float]:
    """Measure one image, and compare with what is true."""
    rng = np.random.default_rng(seed)
    clean = noise.clean(CONTENTS[content](rng, size))
    noisy = noise.draw(clean, rng)
    start = time.process_time()
    found = measure_noise([noisy])
    seconds = time.process_time() - start
    typical = np.quantile(clean, [0.1, 0.5])
    ratio = found.std(typical) / noise.std(typical)
    return {
        "background": float(ratio[0]),
        "median": float(ratio[1]),
        "correlation_error": correlation_error(found, noise),
        "stated_error": found.correlation_error,
        "hole_y": found.hole[0],
        "hole_x": found.hole[1],
        "seconds": seconds,
    }


def correlation_error(found: MeasuredNoise, noise: Noise) -> float:
    """Return the largest error of the autocorrelation at 1, 2 and 3 pixels in y and in x."""
    table = np.array(found.correlation)
    r = len(table) // 2
    measured = table[r + 1 : r + 4, r], table[r, r + 1 : r + 4]
    true = (np.array([*p[1:], 0, 0, 0][:3]) for p in noise.profiles)
    return float(max(np.abs(m - t).max() for m, t in zip(measured, true, strict=True)))


def rows(seeds: range, size: int) -> Iterator[dict[str, object]]:
    """Yield one record per content and noise."""
    for name, noise in NOISES.items():
        for content in CONTENTS:
            found = [judge(content, noise, seed, size) for seed in seeds]
            wrong = [f["hole_y"] + f["hole_x"] > 0 for f in found]
            yield {
                "noise": name,
                "content": content,
                "correlated": noise.is_correlated,
                **{key: [f[key] for f in found] for key in found[0]},
                "alarms": 0 if noise.is_correlated else sum(wrong),
                "misses": len(wrong) - sum(wrong) if noise.is_correlated else 0,
            }


def worst(row: dict[str, object]) -> dict[str, object]:
    """Return what the table shows: of all seeds, the ratio farthest from 1 and the largest error."""
    ratios = {
        key: round(max(row[key], key=lambda v: abs(v - 1)), 3) for key in ("background", "median")
    }
    holes = " ".join(f"{y},{x}" for y, x in zip(row["hole_y"], row["hole_x"], strict=True))
    return {
        "noise": row["noise"],
        "content": row["content"],
        **ratios,
        "correlation_error": round(max(row["correlation_error"]), 3),
        "holes": holes,
        "seconds": round(float(np.mean(row["seconds"])), 3),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--dry", action="store_true")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    print("| noise | content | background | median | correlation error | hole | CPU s |")
    print("|---|---|---|---|---|---|---|")
    table, shown = [], []
    for row in rows(seeds, given.size):
        table.append(row)
        shown.append(worst(row))
        print("| " + " | ".join(str(value) for value in shown[-1].values()) + " |", flush=True)
    summary: dict[str, object] = {"all": summarise(table)}
    for content in CONTENTS:
        summary[content] = summarise([row for row in table if row["content"] == content])
    seconds = {f"{side} x {side}": cost(side) for side in (512, 2048)}
    for name, value in {**summary, "CPU s": seconds}.items():
        print(f"{name}: {value}")
    if not given.dry:
        head = {"seeds": list(seeds), "size": given.size, "machine": machine()}
        save("noise", {**head, "summary": summary, "seconds": seconds, "rows": shown})


def cost(size: int) -> float:
    """Return the CPU seconds of one measurement, of correlated noise, which takes longest."""
    noise, rng = NOISES["wide-field"], np.random.default_rng(0)
    clean = noise.clean(cells(rng, size))
    noisy = noise.draw(clean, rng)
    measure_noise([noisy[:256, :256]])
    start = time.process_time()
    measure_noise([noisy])
    return time.process_time() - start


def summarise(table: list[dict[str, object]]) -> dict[str, float]:
    """Return the shares of levels within 5% (10% under 0.3 photons), and so on."""
    levels, limits = [], []
    for row in table:
        limit = 0.1 if row["noise"] in ("poisson 0.05", "poisson 0.1") else 0.05
        for key in ("background", "median"):
            levels += [abs(v - 1) for v in row[key]]
            limits += [limit] * len(row[key])
    independent = [row for row in table if not row["correlated"]]
    shared = [row for row in table if row["correlated"]]
    errors = np.concatenate([row["correlation_error"] for row in table])
    count = len(table[0]["hole_y"])
    return {
        "level_within_limit": float(np.mean(np.array(levels) <= np.array(limits))),
        "correlation_within_0.05": float(np.mean(errors <= 0.05)),
        "false_alarms": sum(r["alarms"] for r in independent) / max(1, count * len(independent)),
        "misses": sum(r["misses"] for r in shared) / max(1, count * len(shared)),
        "seconds": float(np.mean([row["seconds"] for row in table])),
    }


if __name__ == "__main__":
    main()
