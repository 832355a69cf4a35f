"""PSNR and SSIM of the default method, BlindSpot, beside what a microscopist has today, on real pairs.

    python benchmarks/quality.py [--images BPAE_B,fish] [--seeds 0,1,2] [--size 256] [--threads 1] [--set key=value ...]

Centre crops of FMD confocal and two-photon images, W2S (`w2s/001_0`, gain and offset matched) and photographs; PSNR for the range 255, images clipped to it. The columns are those
of `columns` below; VST+BM3D appears where the extra bm3d-noncommercial is installed. Written to
docs/results/quality.json after every image.
"""

from __future__ import annotations

import argparse
import ast
import time
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from common import (
    CONFOCAL,
    TWO_PHOTON,
    gat_blur,
    gaussian_j,
    machine,
    pair,
    save,
    score,
    vst_bm3d,
    vst_nlm,
)

from napari_dip import BlindSpot, denoise, ssim


def columns(seeds: list[int], how: dict[str, object]) -> dict[str, callable]:
    """Return each method by its name."""
    methods = {
        "raw": lambda y: y,
        "Gaussian J": gaussian_j,
        "GAT+blur": gat_blur,
        "VST+NLM": vst_nlm,
    }
    if find_spec("bm3d"):
        methods["VST+BM3D"] = vst_bm3d
    for seed in seeds:
        methods[f"BlindSpot, seed {seed}"] = partial(
            denoise, how=BlindSpot(seed=seed, **how), device="cpu"
        )
    return methods


def main() -> None:
    """Measure, print a Markdown table, and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", default=",".join(CONFOCAL + TWO_PHOTON))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="quality")
    parser.add_argument(
        "--set", nargs="*", default=[], help="settings of BlindSpot to change, as key=value"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    how = {key: ast.literal_eval(value) for key, value in (word.split("=") for word in args.set)}
    methods = columns([int(s) for s in args.seeds.split(",")], how)
    rows: dict[str, dict[str, list[float]]] = {}
    print("| image | " + " | ".join(methods) + " |\n|" + "---|" * (len(methods) + 1))
    for name in args.images.split(","):
        noisy, clean = pair(name, args.size)
        rows[name] = {}
        for label, method in methods.items():
            started = time.perf_counter()
            image = np.clip(np.asarray(method(noisy), dtype=np.float32), 0, 255)
            seconds = time.perf_counter() - started
            affine = name.startswith("w2s/")  # its clean images have gain and offset of their own
            figures = (
                score(clean, image, affine=affine),
                ssim(clean, image, data_range=255, affine=affine),
            )
            rows[name][label] = [*figures, seconds]
        print(
            f"| {name} | "
            + " | ".join(f"{p:.2f} / {s:.2f}" for p, s, _ in rows[name].values())
            + " |",
            flush=True,
        )
        settings = {"default": BlindSpot().to_json(), "changed": how}
        save(
            args.name,
            {
                "size": args.size,
                "machine": machine(),
                "settings": settings,
                "columns": ["psnr", "ssim", "seconds"],
                "rows": rows,
            },
        )
    means = {label: np.mean([row[label] for row in rows.values()], axis=0) for label in methods}
    print("| mean | " + " | ".join(f"{m[0]:.2f} / {m[1]:.2f}" for m in means.values()) + " |")
    print("| seconds | " + " | ".join(f"{m[2]:.1f}" for m in means.values()) + " |")


if __name__ == "__main__":
    main()
