"""Write docs/gallery.md and its pictures: kinds of images, denoised by the default method.

    python benchmarks/gallery.py [--only NAME ...] [--seed 0]

The confocal capture is real and comes with napari-dip. The others are simulated, so that there is a truth and the pictures
may be shown: objects drawn here, or the average of that capture, seen by the detector that the text names. Some five
minutes on one CPU core. What is shown is one seed, and nothing was chosen by its outcome.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from common import RESULTS, ROOT, centre, gaussian_j, machine, save
from matplotlib.figure import Figure
from report import load, table
from scenes import z_stack
from scipy import ndimage

from napari_dip import BlindSpot, Image, iter_denoise, last, psnr, read
from napari_dip.planes.judge_image import judge_image
from napari_dip.widgets.napari_hooks.moving_cells import moving_cells

SIZE = 256
IMAGES = ROOT / "docs" / "images"
HEAD = """# Gallery

What the default method (`BlindSpot`, its default settings, seed {seed}) makes of eight kinds of images, and of one that it is not
for. The first is a real capture that comes with napari-dip; **the others are simulated**, since their truth is known then.
Written by `python benchmarks/gallery.py`, which takes some minutes on one CPU core; a [record](results/gallery.json) of
all figures is beside it.

In each picture: the noisy image, the answer, the residual (noisy minus denoised, red above zero and blue below), the truth. PSNR is for the range of
the truth, *blur* the Gaussian whose width is calibrated on the noisy image. How to read a residual: [Judging a result](judging.md).
"""


class Scene(NamedTuple):
    """A noisy image, what it would be without noise, its axes, and the plane that is shown."""

    noisy: np.ndarray
    clean: np.ndarray
    axes: str = "YX"
    plane: int = 0


@dataclass(frozen=True)
class Kind:
    """One entry of the page."""

    title: str
    text: str
    scene: Callable[[np.random.Generator], Scene]


def confocal(rng: np.random.Generator) -> Scene:
    """Return the real capture that is shipped."""
    raw, truth = (shipped(part) for part in ("raw", "gt"))
    return Scene(centre(raw, SIZE), centre(truth, SIZE))


def two_photon(rng: np.random.Generator) -> Scene:
    """Draw at most eight photons a pixel, 30 counts each, and read noise."""
    photons = 8 * _field((0, 0))
    return Scene(30 * rng.poisson(photons) + rng.normal(60, 6, photons.shape), 30 * photons + 60)


def wide_field(rng: np.random.Generator) -> Scene:
    """Draw filaments over their own haze; the camera smooths along both axes."""
    photons = 6 + 34 * _filaments(rng)
    counts = rng.poisson(photons) + rng.normal(0, 1.6, photons.shape)
    line = [0.22, 0.56, 0.22]
    smooth = ndimage.convolve1d(ndimage.convolve1d(counts, line, 0), line, 1)
    return Scene(2.2 * smooth + 100, 2.2 * photons + 100)


def spinning_disk(rng: np.random.Generator) -> Scene:
    """Return cells and beads in a z-stack."""
    noisy, clean, _ = z_stack(3, frames=7)
    return Scene(noisy, clean, "ZYX", 3)


def time_lapse(rng: np.random.Generator) -> Scene:
    """Return cells that move and change their shape."""
    noisy, clean = moving_cells(5, 9, 160)
    return Scene(noisy, clean, "TYX", 4)


def emccd(rng: np.random.Generator) -> Scene:
    """Draw photons that a register multiplies by 200 on average, with the noise of that."""
    photons = 0.6 + 9 * _filaments(rng)
    electrons = rng.poisson(photons)
    multiplied = rng.gamma(np.maximum(electrons, 1e-9), 200) * (electrons > 0)
    return Scene(multiplied / 12 + rng.normal(300, 5, photons.shape), 200 / 12 * photons + 300)


def photon_counting(rng: np.random.Generator) -> Scene:
    """Draw counts of up to four photons, as a FLIM intensity image has them."""
    photons = 4 * _field((0, 256)) + 0.05
    return Scene(rng.poisson(photons).astype(np.uint8), photons)


def scanner(rng: np.random.Generator) -> Scene:
    """Shift each line of a scan by an offset of its own, and make 60 pixels hot."""
    photons = 40 * _field((256, 0)) + 4
    noisy = rng.poisson(photons) + rng.normal(0, 3, (SIZE, 1))
    hot = rng.integers(0, SIZE, (2, 60))
    noisy[tuple(hot)] += rng.uniform(80, 300, 60)
    return Scene(5 * noisy + 50, 5 * photons + 50)


def average(rng: np.random.Generator) -> Scene:
    """Return weave-like texture with hardly any noise, against itself."""
    y, x = np.mgrid[:SIZE, :SIZE]
    weave = np.sin(2 * np.pi * (x + 6 * np.sin(y / 40)) / 3.1) * np.sin(2 * np.pi * y / 3.3)
    clean = 120 + 25 * weave + 40 * ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 20) * 35
    return Scene(clean + rng.normal(0, 1.5, clean.shape), clean)


KINDS = {
    "confocal": Kind(
        "Confocal, a real capture",
        "Zebrafish embryo, photomultiplier, one capture of FMD (Zhang et al., CVPR 2019), its "
        "middle; the truth is the average of 50 captures, which has noise of its own.",
        confocal,
    ),
    "two_photon": Kind(
        "Two-photon, few photons",
        "At most 8 photons a pixel, 30 counts each.",
        two_photon,
    ),
    "wide_field": Kind(
        "Wide-field sCMOS, whose camera filters",
        "6 to 45 photons; neighbouring pixels share a good part of their noise, which a method "
        "that takes pixels for independent keeps as structure.",
        wide_field,
    ),
    "spinning_disk": Kind(
        "Spinning disk, a z-stack",
        "Cells and beads, 7 planes 0.3 um apart, up to 110 photons; each plane is denoised with "
        "those around it where they help.",
        spinning_disk,
    ),
    "time_lapse": Kind(
        "Time-lapse of moving cells",
        "9 frames of 15 to 60 photons; cells change shape, organelles move.",
        time_lapse,
    ),
    "emccd": Kind(
        "EMCCD, spinning disk or TIRF",
        "1 to 10 photons, multiplied by 200: the register doubles the variance.",
        emccd,
    ),
    "photon_counting": Kind(
        "Photon counting",
        "Counts of 0 to 4 photons, integers, most of them 0 or 1.",
        photon_counting,
    ),
    "scanner": Kind(
        "A scanner with uneven lines and hot pixels",
        "Each line has an offset of its own and 60 pixels are hot: they are found before the fit, "
        "taken off or replaced, and said.",
        scanner,
    ),
    "average": Kind(
        "Not for: hardly any noise",
        "Texture of three pixels, all over, and noise of a sixteenth of it, as an average of many "
        "captures has. There is nothing to win, and fine texture may be taken for noise: keep the "
        "image as it is.",
        average,
    ),
}


def shipped(part: str) -> np.ndarray:
    """Return the zebrafish that comes with the package: ``raw``, or ``gt``, the average of 50."""
    return np.asarray(read(ROOT / "src" / "napari_dip" / "data" / f"fish_{part}.tif").pixels)


def _field(corner: tuple[int, int]) -> np.ndarray:
    """Return a quarter of the shipped average, smoothed a little, from 0 to 1."""
    field = ndimage.gaussian_filter(shipped("gt").astype(float), 0.8)
    top, left = corner
    part = field[top : top + SIZE, left : left + SIZE]
    return np.clip((part - part.min()) / (np.percentile(part, 99.9) - part.min()), 0, 1)


def _filaments(rng: np.random.Generator, count: int = 30) -> np.ndarray:
    """Draw filaments that wander over the field, 1.2 pixels wide, and their haze, up to about 1."""
    lines = np.zeros((SIZE, SIZE))
    for _ in range(count):
        turn = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.02, 900))
        steps = 0.5 * np.stack([np.sin(turn), np.cos(turn)])
        y, x = (np.cumsum(steps, 1) + rng.uniform(0, SIZE, (2, 1))).astype(int)
        inside = (y >= 0) & (y < SIZE) & (x >= 0) & (x < SIZE)
        np.add.at(lines, (y[inside], x[inside]), 1)
    sharp, haze = ndimage.gaussian_filter(lines, 1.2), ndimage.gaussian_filter(lines, 14)
    return sharp / np.percentile(sharp, 99.8) + 0.3 * haze / haze.max()


def denoise(name: str, seed: int) -> dict[str, object]:
    """Denoise one kind, draw it, and return what is recorded."""
    scene = KINDS[name].scene(np.random.default_rng(seed))
    image = Image(np.asarray(scene.noisy), scene.axes)
    if not np.issubdtype(image.pixels.dtype, np.integer):
        image = Image(image.pixels.astype(np.float32), scene.axes)
    notes: list[str] = []
    started = time.process_time()

    def heard() -> object:
        for snapshot in iter_denoise(image, BlindSpot(seed=seed), device="cpu"):
            if snapshot.note and snapshot.note not in notes:
                notes.append(snapshot.note)
            yield snapshot

    final = last(heard())
    seconds = time.process_time() - started
    verdict = judge_image(image, final.image)
    stack = (np.asarray(image.pixels), np.asarray(final.image.pixels), np.asarray(scene.clean))
    noisy, answer, clean = (
        a.astype(np.float64) if a.ndim == 2 else a[scene.plane].astype(np.float64) for a in stack
    )
    span = float(np.ptp(clean))
    draw(name, noisy, answer, clean)
    figures = {"raw": noisy, "blur": gaussian_j(noisy), "answer": answer}
    return {
        "shape": list(np.shape(scene.noisy)),
        "plane": scene.plane,
        "psnr": {k: round(psnr(clean, a, data_range=span), 2) for k, a in figures.items()},
        "mean": {k: round(float(a.mean()), 3) for k, a in {"truth": clean, **figures}.items()},
        "cpu_seconds": round(seconds, 1),
        "said": notes + ([verdict.sentence] if verdict else []),
    }


def draw(name: str, noisy: np.ndarray, answer: np.ndarray, clean: np.ndarray) -> None:
    """Draw noisy, answer, residual and truth side by side, at one scale of brightness."""
    figure = Figure(figsize=(11.2, 3.0), layout="constrained")
    low, high = np.percentile(clean, (0.5, 99.8))
    residual = noisy - answer
    reach = 3 * 1.4826 * float(np.median(np.abs(residual - np.median(residual)))) or 1
    panels = {"noisy": noisy, "denoised": answer, "residual": residual, "truth": clean}
    for axes, (title, plane) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        look = {"cmap": "gray", "vmin": low, "vmax": high}
        if title == "residual":
            look = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
        axes.imshow(plane, interpolation="nearest", **look)
        axes.set_title(title, fontsize=10)
        axes.axis("off")
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"gallery_{name}.jpg", dpi=100, pil_kwargs={"quality": 85})


def page(record: dict) -> str:
    """Write the page from the record."""
    parts = [HEAD.format(seed=record["seed"])]
    for name, kind in KINDS.items():
        if name not in record["kinds"]:
            continue
        of_kind = record["kinds"][name]
        noisy, blur, answer = (f"{of_kind['psnr'][k]:.1f} dB" for k in ("raw", "blur", "answer"))
        size = " x ".join(map(str, of_kind["shape"]))
        row = [size, noisy, blur, answer, f"{of_kind['cpu_seconds']:.0f}"]
        parts.append(
            f"## {kind.title}\n\n{kind.text}\n\n![{kind.title}: noisy, denoised, residual, truth]"
            f"(images/gallery_{name}.jpg)\n\n"
            + table(["size", "noisy", "blur", "denoised", "CPU s"], [row])
            + "\nWhat napari-dip says: "
            + " ".join(of_kind["said"])
            + "\n"
        )
    return "\n".join(parts) + f"\nMade on {record['machine']['processor']}, one thread.\n"


def main() -> None:
    """Denoise what is asked for, and write the page from all that is recorded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    record = load("gallery") or {"kinds": {}}
    kinds = record["kinds"] if record.get("seed") == args.seed else {}
    for name in args.only:
        kinds[name] = denoise(name, args.seed)
        print(name, kinds[name], flush=True)
        save("gallery", {"seed": args.seed, "device": "cpu", "machine": machine(), "kinds": kinds})
    record = load("gallery")
    (RESULTS.parent / "gallery.md").write_text(page(record))


if __name__ == "__main__":
    main()
