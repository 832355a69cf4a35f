"""How good the automatically chosen step is: PSNR there against the best averaged iterate of the same run.

    python benchmarks/stopping.py [--images fish,set12/01+gaussian25] [--size 256] [--method blind-spot]
                                  [--preset fast] [--threads 1] [--set key=value ...] [--name stopping]

The run is made to go on to its last step (patience as long as the run), and every look at the whole image is scored.
"Best" is the best answer that any stopping step could have given.
"""

from __future__ import annotations

import argparse
import ast

import numpy as np
import torch
from common import CONFOCAL, TWO_PHOTON, machine, pair, save, score

from napari_dip import iter_denoise, last
from napari_dip.methods import registry
from napari_dip.settings import FitSettings

PHOTOS = tuple(
    f"set12/{n}+{noise}"
    for n, noise in (("01", "gaussian25"), ("03", "poisson30"), ("05", "speckle0.1"))
)
MORE = ("set12/08+gaussian25", "set12/02+poisson30", "set12/07+speckle0.1")


def run(name: str, size: int, how: FitSettings) -> dict[str, object]:
    """Fit twice with the same seed: once to score every averaged iterate, once with the rule."""
    noisy, clean = pair(name, size)
    every = max(1, how.steps // 60)
    free = how.model_copy(update={"stop": "never"})
    curve = []
    for snapshot in iter_denoise(noisy, free, device="cpu"):
        if snapshot.step % every == 0:
            curve.append((snapshot.step, score(clean, np.asarray(snapshot.image))))
    best = max(curve, key=lambda point: point[1])
    snapshot = last(iter_denoise(noisy, how, device="cpu"))
    chosen = (snapshot.chosen, score(clean, np.asarray(snapshot.image)))
    return {
        "noisy": score(clean, noisy),
        "best": best,
        "chosen": chosen,
        "gap": best[1] - chosen[1],
        "steps_run": snapshot.step,
        "last": curve[-1],
    }


def main() -> None:
    """Measure, print a Markdown table, and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", default=",".join(CONFOCAL + TWO_PHOTON + PHOTOS + MORE))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--method", default="blind-spot", choices=list(registry.METHODS))
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="stopping")
    parser.add_argument(
        "--set", nargs="*", default=[], help="settings of the method to change, as key=value"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    changes = {
        key: ast.literal_eval(value) for key, value in (word.split("=", 1) for word in args.set)
    }
    how = registry.METHODS[args.method].settings.preset(args.preset, seed=args.seed, **changes)
    rows: dict[str, dict[str, object]] = {}
    print(
        "| image | noisy | best (step) | chosen (step) | gap | last | steps run |\n|---|---|---|---|---|---|---|"
    )
    for name in args.images.split(","):
        row = rows[name] = run(name, args.size, how)
        print(
            f"| {name} | {row['noisy']:.2f} | {row['best'][1]:.2f} ({row['best'][0]}) | {row['chosen'][1]:.2f} "
            f"({row['chosen'][0]}) | {row['gap']:.2f} | {row['last'][1]:.2f} | {row['steps_run']} |",
            flush=True,
        )
        save(
            args.name,
            {"size": args.size, "machine": machine(), "settings": how.to_json(), "rows": rows},
        )
    gaps = [row["gap"] for row in rows.values()]
    print(
        f"\nMedian gap {np.median(gaps):.2f} dB, worst {max(gaps):.2f} dB over {len(gaps)} images."
    )


if __name__ == "__main__":
    main()
