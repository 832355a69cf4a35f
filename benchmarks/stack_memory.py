"""Memory and time of the command line against the length of a stack.

    python benchmarks/stack_memory.py [--side 256] [--planes 50,500] [--neighbours 2] [--steps 8] [--channels 4]

A series of one blurred random field with Poisson noise, 16 bits, is written as TIFF and denoised by a process of its own, whose
largest resident memory and CPU seconds the kernel counts. A few steps of a small network: memory is that of the walk through
the planes, and of what is worked out beside the network.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from common import machine, save
from scipy import ndimage


def main() -> None:
    """Write, denoise, print and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=256, help="pixels")
    parser.add_argument("--planes", default="50,500")
    parser.add_argument("--neighbours", default="2", help="planes on each side")
    parser.add_argument("--steps", default="8")
    parser.add_argument("--channels", default="4")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.uniform(size=(args.side, args.side)), 3)
    field = 50 + 150 * (field - field.min()) / np.ptp(field)
    rows = []
    for planes in map(int, args.planes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            source, target = (str(Path(folder, name)) for name in ("noisy.tif", "denoised.tif"))
            tifffile.imwrite(
                source,
                (rng.poisson(field).astype(np.uint16) for _ in range(planes)),
                shape=(planes, *field.shape),
                dtype=np.uint16,
                metadata={"axes": "TYX"},
            )
            command = ["denoise", source, "-o", target, "--device", "cpu"]
            for name in ("neighbours", "steps", "channels"):
                command += [f"--{name}", getattr(args, name)]
            arguments = [sys.executable, "-m", "napari_dip", *command]
            process = os.posix_spawn(sys.executable, arguments, os.environ)
            _, status, usage = os.wait4(process, 0)
            if status:
                sys.exit(f"napari-dip ended with {status}")
        megabytes, seconds = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
        rows.append({"planes": planes, "megabytes": megabytes, "cpu_seconds": seconds})
        print(rows[-1], flush=True)
    save("stack_memory", {**vars(args), "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
