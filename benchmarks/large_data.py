"""Training on more data than the memory holds: the memory taken, and the time of drawing crops against that of a step.

    python benchmarks/large_data.py [--gigabytes 20] [--files 10] [--compressed 2] [--steps 300] [--folder DIR]

Writes stacks of 2048 x 2048 uint16 planes (Poisson noise of a smooth scene; windows of one tall picture a file) as BigTIFFs that can
be mapped, drops them from the system's cache, and trains default IDDP on them in a fresh process; then the same with stacks that are
compressed (zlib, strips as tifffile makes them), which can't be mapped. The files are removed afterwards.

Recorded: the greatest resident memory of that process (VmHWM, which counts the mapped pages in it), before the data and after; seconds of
processor and wall time for drawing the crops of a step and for the rest of a step. Written to docs/results/large_data.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import RESULTS, machine, save

SIDE = 2048
KINDS = ("mapped", "compressed")


def planes(count: int, seed: int) -> Iterator[np.ndarray]:
    """Make noisy planes, cheaply."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: 2 * SIDE, :SIDE] / SIDE * 2 * np.pi
    tall = rng.poisson(
        100 + 60 * np.sin(9 * x) * np.cos(7 * y) + 30 * np.sin(40 * x + 31 * y)
    ).astype(np.uint16)
    for top in rng.integers(SIDE, size=count):
        yield tall[top : top + SIDE]


def write(folder: Path, kind: str, gigabytes: float, files: int) -> int:
    """Write the stacks; return their bytes as pixels."""
    import tifffile

    count = int(gigabytes * 1e9 / files / (SIDE * SIDE * 2))
    for number in range(files):
        path = folder / f"{kind}_{number:02d}.tif"
        options = (
            {"compression": "zlib", "compressionargs": {"level": 1}} if kind == "compressed" else {}
        )
        tifffile.imwrite(
            path,
            planes(count, number),
            shape=(count, SIDE, SIDE),
            dtype=np.uint16,
            bigtiff=True,
            **options,
        )
        with path.open("rb") as file:  # out of the system's cache, so that it is read from the disk
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return count * files * SIDE * SIDE * 2


def resident(which: str = "VmHWM") -> float:
    """Return the (greatest) resident memory of this process in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(which))


def measure(folder: Path, kind: str, steps: int) -> dict[str, object]:
    """Train in this process, and time the draws in it."""
    import torch

    from napari_dip import IDDP
    from napari_dip.files.read_write import read
    from napari_dip.training.crops import Batch, Crops
    from napari_dip.training.train import iter_train

    torch.set_num_threads(1)
    before = resident()
    draws: list[tuple[float, float]] = []
    plain = Crops.draw

    def timed(self: Crops, *arguments: object) -> Batch:
        wall, cpu = time.perf_counter(), time.process_time()
        batch = plain(self, *arguments)
        draws.append((time.perf_counter() - wall, time.process_time() - cpu))
        return batch

    Crops.draw = timed  # type: ignore[method-assign]
    pixels = type(read(min(folder.glob(f"{kind}_*.tif"))).pixels).__name__
    marks = [(time.perf_counter(), time.process_time())]
    for snap in iter_train(str(folder / f"{kind}_*.tif"), IDDP(steps=steps), device="cpu"):
        marks.append((time.perf_counter(), time.process_time()))
        if snap.step % 50 == 0:
            print(f"{kind}: step {snap.step}, {resident('VmRSS'):.0f} MB now", flush=True)
    steps_taken = np.diff(marks, axis=0)[
        1:
    ]  # the first holds the reading of all headers and the noise
    drawn = np.array(draws[1:])
    return {
        "pixels_are": pixels,
        "peak_mb": resident(),
        "before_mb": before,
        "start_seconds": float(marks[1][0] - marks[0][0]),
        "draw_wall_ms": [float(v) for v in np.quantile(drawn[:, 0], (0.5, 0.95)) * 1e3],
        "draw_cpu_ms": float(drawn[:, 1].mean() * 1e3),
        "draw_wall_ms_mean": float(drawn[:, 0].mean() * 1e3),
        "step_wall_ms_mean": float((steps_taken[:, 0] - drawn[:, 0]).mean() * 1e3),
        "step_cpu_ms": float((steps_taken[:, 1] - drawn[:, 1]).mean() * 1e3),
        "machine": machine(),
    }


def main() -> None:
    """Write, train in a fresh process, remove, and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument(
        "--compressed", type=float, default=2, help="gigabytes of compressed stacks, as pixels"
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--kinds", default="mapped,compressed")
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print("RESULT " + json.dumps(measure(args.folder, args.measure, args.steps)))
        return
    path = RESULTS / "large_data.json"
    result: dict = json.loads(path.read_text()) if path.exists() else {}
    for kind in args.kinds.split(","):
        folder = Path(tempfile.mkdtemp(dir=args.folder))
        try:
            size, files = (args.gigabytes, args.files) if kind == "mapped" else (args.compressed, 2)
            started = time.perf_counter()
            total = write(folder, kind, size, files)
            on_disk = sum(p.stat().st_size for p in folder.iterdir())
            print(
                f"{kind}: {total / 1e9:.1f} GB written in {time.perf_counter() - started:.0f} s",
                flush=True,
            )
            words = ["--measure", kind, "--folder", str(folder), "--steps", str(args.steps)]
            done = subprocess.run(
                [sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True
            )
        finally:
            shutil.rmtree(folder)
        print(done.stdout)
        found = json.loads(done.stdout.split("RESULT ")[1])
        result[kind] = {
            "bytes": total,
            "bytes_on_disk": on_disk,
            "files": files,
            "steps": args.steps,
            **found,
        }
        save("large_data", result)


if __name__ == "__main__":
    main()
