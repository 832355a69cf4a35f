"""How long a method takes for an image, and how much memory.

    python benchmarks/how_long.py [--cases BlindSpot:256,IDDP:1024] [--threads 1]

Mirror images of BPAE_G side by side; of a stack (`BlindSpot:512x5` has five planes) each plane is its clean image with
Poisson noise of its own. Each case runs in a process of its own, after a fit of a few steps that loads everything:
CPU seconds until the first picture and until the end, and the largest resident memory of the process. IDDP is a model of the
default size, trained for five steps, as time does not depend on its weights; its training isn't counted. Writes
docs/results/how_long.json and the table between two marks in docs/how.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from common import DATA, RESULTS, machine, save
from report import table

import napari_dip

CASES = "BlindSpot:256,BlindSpot:512,BlindSpot:1024,BlindSpot:2048,BlindSpot:512x5,IDDP:512,IDDP:1024,IDDP:512x5,PatchDIP:256,DIP:256"
PEAK = 40.0  # photons at the brightest pixel of a stack
PAGE = Path(__file__).resolve().parents[1] / "docs" / "how.md"
BEGIN, END = "<!-- how long -->", "<!-- end of how long -->"


def read(kind: str, side: int) -> np.ndarray:
    """Return the noisy or the clean image of a size."""
    path = DATA / "fmd_confocal_fov01" / f"BPAE_G_{kind}.tif"
    pixels = np.asarray(napari_dip.read(path).pixels)
    return np.pad(pixels, (0, max(0, side - len(pixels))), mode="symmetric")[:side, :side]


def run(method: str, side: int, planes: int) -> dict[str, float]:
    """Denoise, and return seconds and megabytes."""
    warnings.simplefilter("ignore")
    raw, whole, axes = read("raw", 512), read("raw", side), "YX"
    if planes > 1:
        clean, axes = read("gt", side), "TYX"
        captures = (napari_dip.add_poisson(clean, peak=PEAK, seed=seed) for seed in range(planes))
        whole = np.stack(list(captures))
    settings = getattr(napari_dip, method)
    if method == "IDDP":
        how = few = napari_dip.train(raw[:128, :128], settings(steps=5), device="cpu")
    else:
        how, few = settings(), settings(steps=5)
    napari_dip.denoise(raw[:64, :64], few, device="cpu")
    began, first = time.process_time(), 0.0
    for _ in napari_dip.iter_denoise(whole, how, axes=axes, device="cpu"):
        first = first or time.process_time() - began
    return {
        "first": first,
        "seconds": time.process_time() - began,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def split(case: str) -> tuple[str, int, int]:
    """Return method, side and number of planes."""
    method, size = case.split(":")
    side, _, planes = size.partition("x")
    return method, int(side), int(planes or 1)


def main() -> None:
    """Run each case as a process, print and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        method, side, planes = split(args.one)
        print(json.dumps(run(method, side, planes)))
        return
    record = RESULTS / "how_long.json"  # the cases that are not run now stay
    rows = json.loads(record.read_text())["rows"] if record.exists() else {}
    for case in filter(None, args.cases.split(",")):
        command = [sys.executable, __file__, "--one", case, "--threads", str(args.threads)]
        rows[case] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
        print(case, rows[case], flush=True)
    in_order = [case for case in CASES.split(",") if case in rows]
    rows = {case: rows[case] for case in dict.fromkeys([*in_order, *rows])}
    save("how_long", {"machine": machine(), "rows": rows})
    lines = [
        [
            name,
            f"{planes} x {side} x {side}" if planes > 1 else f"{side} x {side}",
            f"{r['first']:.1f}",
            f"{r['seconds']:.0f}",
            f"{r['megabytes']:.0f}",
        ]
        for case, r in rows.items()
        for name, side, planes in [split(case)]
    ]
    head = ["method", "pixels", "CPU s to the first picture", "CPU s in all", "MB"]
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(head, lines)}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
