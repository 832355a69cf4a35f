"""Make the pictures of docs/stacks.md from the sample "Moving cells", whose truth is known.

docs/images/stacks_kymograph.png: one row of the image over time; docs/images/stacks_residual.png:
what was taken away, over time; docs/images/stacks_film.png: the film, animated. What was measured
on the same answers goes into docs/results/stack_pictures.json.

    python docs/stacks_pictures.py [--frames 20] [--answers FILE]

The two fits take some ten minutes on one CPU core; --answers keeps them in FILE, and takes them
from there where it exists.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_dip import BlindSpot, iter_denoise, last, psnr
from napari_dip.widgets.napari_hooks.moving_cells import moving_cells

DOCS = Path(__file__).resolve().parent
NAMES = {0: "plane by plane", 2: "with neighbours"}
SMEARED = "mean of 5 frames"
ZOOM, BANNER = 2, 20  # of the film; pixels for its labels
MILLISECONDS = 250  # a frame of the film is shown


def measure(noisy: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Denoise the film in both ways; return the answers, and what each took and used."""
    answers, records = {}, {}
    for count, name in NAMES.items():
        started = time.process_time()
        final = last(iter_denoise(noisy, BlindSpot(neighbours=count), axes="TYX", device="cpu"))
        answers[name] = np.asarray(final.image.pixels, np.float32)
        used = final.provenance.get("neighbours_used", [])
        seconds = round(time.process_time() - started, 1)
        records[name] = {"cpu_seconds": seconds, "neighbours_used": used}
    return answers, records


def kymograph(panels: dict[str, np.ndarray], row: int, out: Path, *, residual: bool) -> None:
    """Draw one row of each stack over time, time downwards; residuals in colours around 0."""
    figure = Figure(figsize=(11, 2.7), layout="constrained")
    rows = {name: stack[:, row] for name, stack in panels.items()}
    look = {"cmap": "gray", "vmin": 95, "vmax": np.percentile(rows.get("truth", 0), 99.7)}
    if residual:
        look = {"cmap": "RdBu_r", "vmin": -15, "vmax": 15}
    for axes, (name, plane) in zip(figure.subplots(1, len(rows)), rows.items(), strict=True):
        axes.imshow(plane, aspect="auto", interpolation="nearest", **look)
        axes.set_title(name, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("x")
    figure.axes[0].set_ylabel("frame")
    figure.savefig(out, dpi=100)


def film(panels: dict[str, np.ndarray], white: float, out: Path) -> None:
    """Write the stacks side by side as an animated PNG of 64 gray levels."""
    font, frames = ImageFont.load_default(14), []
    for planes in zip(*panels.values(), strict=True):
        side_by_side = np.concatenate(planes, axis=1).repeat(ZOOM, 0).repeat(ZOOM, 1)
        levels = np.clip((side_by_side - 95) / (white - 95), 0, 1) * 63
        canvas = Image.new("L", (levels.shape[1], levels.shape[0] + BANNER))
        canvas.paste(Image.fromarray((np.rint(levels) * 4).astype(np.uint8)), (0, BANNER))
        draw = ImageDraw.Draw(canvas)
        for number, name in enumerate(panels):
            draw.text((number * ZOOM * planes[0].shape[1] + 6, 1), name, fill=252, font=font)
        frames.append(canvas)
    frames[0].save(
        out, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0, optimize=True
    )


def main() -> None:
    """Denoise, draw, and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--answers", type=Path, help="where the answers are kept (.npz)")
    args = parser.parse_args()
    noisy, clean = moving_cells(0, args.frames)
    record_at = DOCS / "results" / "stack_pictures.json"
    if args.answers and args.answers.exists():
        answers = dict(np.load(args.answers))
        record = json.loads(record_at.read_text())
    else:
        data = f"moving_cells(0, frames={args.frames}), the sample data Moving cells"
        machine = {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        commit = ["git", "rev-parse", "--short", "HEAD"]
        code = subprocess.run(commit, cwd=DOCS, capture_output=True, text=True).stdout.strip()
        answers, runs = measure(noisy)
        record = {
            "data": data,
            "code": code,
            "seed": 0,
            "device": "cpu",
            "machine": machine,
            "runs": runs,
        }
        if args.answers:
            np.savez(args.answers, **answers)
    smeared = ndimage.uniform_filter1d(noisy.astype(np.float32), 5, axis=0)
    stacks = {"raw": noisy.astype(np.float32), **answers, SMEARED: smeared}
    top = float(np.ptp(clean))
    record["psnr"] = {
        name: round(
            float(np.mean([psnr(c, i, data_range=top) for c, i in zip(clean, s, strict=True)])), 2
        )
        for name, s in stacks.items()
    }
    record_at.write_text(json.dumps(record, indent=1) + "\n")
    row = int(clean.var(axis=0).mean(axis=1).argmax())  # where most moves
    images = DOCS / "images"
    kymograph({**stacks, "truth": clean}, row, images / "stacks_kymograph.png", residual=False)
    removed = {name: stacks["raw"] - stack for name, stack in stacks.items() if name != "raw"}
    kymograph(removed, row, images / "stacks_residual.png", residual=True)
    shown = {name: stacks[name] for name in ("raw", *NAMES.values())}
    film(shown, float(np.percentile(clean, 99.8)), images / "stacks_film.png")
    print(row, record["psnr"])


if __name__ == "__main__":
    main()
