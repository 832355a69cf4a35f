"""Files a minute with `--workers 1` and `--workers 2`, and one by one without a cluster.

    python benchmarks/workers.py [--files 16] [--side 128] [--steps 100] [--workers 1 2]

The images are made here (blobs with Poisson noise). Each way runs the command line in a process of its own, so its
start is in the figure, as it is for a user; the fit alone is the sum of the seconds in the table. Saved in
docs/results/workers.json, with the cores and the load of the machine at the start of each run. With OMP_NUM_THREADS=1 a
worker has one thread in each way, as on a machine with cores to spare; else one worker has all cores.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import machine, save
from scipy.ndimage import gaussian_filter

from napari_dip import Image, write


def make(folder: Path, files: int, side: int) -> None:
    """Write the images."""
    folder.mkdir()
    for number in range(files):
        rng = np.random.default_rng(number)
        clean = gaussian_filter(rng.random((side, side)), 4)
        clean = 5 + 60 * (clean - clean.min()) / np.ptp(clean)
        write(folder / f"{number:03d}.tif", Image(rng.poisson(clean).astype(np.uint16), "YX"))


def run(folder: Path, out: Path, steps: int, words: list[str]) -> dict[str, float]:
    """Work through the folder once."""
    call = [
        sys.executable,
        "-m",
        "napari_dip",
        "denoise",
        str(folder),
        "-o",
        str(out),
        "--device",
        "cpu",
    ]
    load, started = os.getloadavg()[0], time.perf_counter()
    subprocess.run(
        [*call, "--steps", str(steps), "--quiet", *words], check=True, stdout=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - started
    with (out / "napari-dip-report.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    fits = sum(float(row["seconds"]) for row in rows)
    return {
        "seconds": seconds,
        "files_a_minute": 60 * len(rows) / seconds,
        "fits": fits,
        "load_before": load,
    }


def main() -> None:
    """Run each way and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        make(folder, options.files, options.side)
        ways = {
            "one by one": [],
            **{f"--workers {n}": ["--workers", str(n)] for n in options.workers},
        }
        for number, (name, words) in enumerate(ways.items()):
            rows[name] = run(folder, Path(place) / str(number), options.steps, words)
            print(name, {key: round(value, 2) for key, value in rows[name].items()}, flush=True)
    told = {
        "files": options.files,
        "side": options.side,
        "steps": options.steps,
        "cores": os.cpu_count(),
    }
    told["threads_asked"] = os.environ.get("OMP_NUM_THREADS", "")
    save("workers", {**told, "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
