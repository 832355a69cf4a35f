"""A real film, of which nobody knows the truth: the blind error with the frames before and after, and without.

    python benchmarks/film_without_truth.py [--frames 10] [--seed 0] [--neighbours 0,2]

The lysosomes of `lysosome_timelapse`, denoised in one call. The blind error is the least mean squared error on the pixels that
are hidden from the loss, which the answer of a step is chosen by, in squares of the stabilised range; the hidden pixels are the
same in all runs. The noise itself is most of it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from common import DATA, machine, save

from napari_dip import BlindSpot, iter_denoise, read


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--neighbours", default="0,2", help="planes on each side")
    args = parser.parse_args()
    torch.set_num_threads(1)
    film = np.asarray(read(DATA / "lysosome_timelapse" / "1.tif").pixels)[: args.frames]
    rows = {}
    for side in args.neighbours.split(","):
        errors = [float("inf")] * len(film)
        started = time.process_time()
        how = BlindSpot(neighbours=int(side), seed=args.seed)
        for snapshot in iter_denoise(film, how, axes="TYX", device="cpu"):
            if snapshot.criterion is not None:
                errors[snapshot.plane] = min(errors[snapshot.plane], snapshot.criterion)
        rows[side] = {"blind_errors": errors, "cpu_seconds": time.process_time() - started}
        print(side, rows[side], flush=True)
    print(save("film_without_truth", {"seed": args.seed, "machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
