"""How long BlindSpot and the presets of DIP take, against the published fit, to the best picture of the latter.

    python benchmarks/time_to_quality.py [--images fish,BPAE_G] [--paper-steps 3000] [--threads 2] [--seed 0]
                                         [--runs blind-spot,fast,paper]
                                         [--time-paper 10]

The fits run in this process, one after the other, on the same crop and seed: BlindSpot (the default method), the presets
`fast` and `paper` of DIP. The published fit (`paper`) never stops by itself
here: its averaged answer is scored at every 10th step, and its best counts. It may be cut short (`--paper-steps`, or
interrupted): then the record says how far it came, and its best so far is a lower bound. Results are written after every
tenth step, so that nothing is lost; a run left out by `--runs` stays in the record as it was. Another seed than 0 is recorded beside it, as "fast, seed 1".
CPU seconds depend on what else the machine does: `--time-paper` fits so many steps of the published fit in the same
process and records their CPU seconds a step, without touching its record.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from common import RESULTS, machine, pair, save, score

from napari_dip import DIP, BlindSpot, iter_denoise

IMAGES = "fish,set12/01+gaussian25,mice,BPAE_G"


def follow(
    noisy: np.ndarray, clean: np.ndarray, how: DIP | BlindSpot, every: int, report: callable
) -> None:
    """Fit, and report [step, CPU s, wall s, PSNR] at every so many steps and at the end; scoring is not timed."""
    cpu, wall = time.process_time(), time.perf_counter()
    curve: list[list[float]] = []
    snapshot = None
    for snapshot in iter_denoise(noisy, how, device="cpu"):
        if snapshot.step % every == 0:
            now = time.process_time(), time.perf_counter()
            curve.append(
                [
                    snapshot.step,
                    now[0] - cpu,
                    now[1] - wall,
                    score(clean, np.asarray(snapshot.image)),
                ]
            )
            report(curve)
            cpu += time.process_time() - now[0]
            wall += time.perf_counter() - now[1]
    now = time.process_time(), time.perf_counter()
    curve.append(
        [snapshot.step, now[0] - cpu, now[1] - wall, score(clean, np.asarray(snapshot.image))]
    )
    report(curve)


def seconds_a_step(noisy: np.ndarray, steps: int) -> float:
    """Return the CPU seconds that a step of the published fit takes now; the first is not timed."""
    how = DIP.preset("paper", stop="never", steps=steps + 1)
    snapshots = iter_denoise(noisy, how, device="cpu")
    next(snapshots)
    cpu = time.process_time()
    for _ in snapshots:
        pass
    return (time.process_time() - cpu) / steps


def main() -> None:
    """Run the comparison and write docs/results/time_to_quality_<image>.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", default=IMAGES)
    parser.add_argument("--paper-steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--runs", default="blind-spot,fast,paper")
    parser.add_argument("--time-paper", type=int, default=0, help="steps")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.images.split(","):
        noisy, clean = pair(name, args.size)
        file = f"time_to_quality_{name.replace('/', '_').replace('+', '_')}"
        before = RESULTS / f"{file}.json"
        result: dict[str, object] = json.loads(before.read_text()) if before.exists() else {}
        result |= {
            "data": name,
            "size": args.size,
            "seed": 0,
            "machine": machine(),
            "columns": ["step", "cpu_seconds", "wall_seconds", "psnr"],
            "noisy": score(clean, noisy),
        }
        runs = {
            "blind-spot": (BlindSpot(seed=args.seed), 25),
            "fast": (DIP(seed=args.seed), 25),
            "paper": (
                DIP.preset("paper", seed=args.seed, stop="never", steps=args.paper_steps),
                10,
            ),
        }
        for label in args.runs.split(","):
            how, every = runs[label]
            key = f"{label}, seed {args.seed}" if args.seed else label
            paper_step = seconds_a_step(noisy, args.time_paper) if args.time_paper else None

            def report(
                curve: list[list[float]],
                key: str = key,
                paper_step: float | None = paper_step,
                result: dict = result,
                file: str = file,
            ) -> None:
                best = max(curve, key=lambda point: point[-1])
                result[key] = {"best": best, "last": curve[-1], "curve": curve}
                if paper_step:
                    result[key]["paper_cpu_seconds_a_step"] = paper_step
                save(file, result)

            follow(noisy, clean, how, every, report)
            best, last = result[key]["best"], result[key]["last"]
            print(
                f"{name} {key}: best {best[3]:.2f} dB at step {best[0]}, {best[1]:.0f} CPU s; "
                f"last {last[3]:.2f} dB at step {last[0]}, {last[1]:.0f} CPU s",
                flush=True,
            )


if __name__ == "__main__":
    main()
