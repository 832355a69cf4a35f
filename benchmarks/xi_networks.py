"""Networks of the Deep Image Prior on noisy photographs: peak PSNR, once and averaged, and how wide the peak is.

    python benchmarks/xi_networks.py [--nets skip,resnet,resunet-0,resunet-0.1] [--images set12/01+gaussian25,...]
                                     [--seeds 0,1] [--size 128] [--channels 32] [--steps 1200] [--device cpu] [--name ...]

The published comparison takes whole photographs, 128 channels and 3000 steps (about an hour of a GPU:
``--size 512 --channels 128 --steps 3000 --device cuda --name xi_networks_full``); the defaults are a reduced size for a
CPU. Every network is fitted with the published constants (Adam 0.01, z shaken by 1/30, average of outputs 0.99), never
stopped. Per run: the best PSNR of a single output ("once") and of the averaged output ("averaged"), the step of the
latter, and its plateau: the steps around the peak within 0.1 dB of it, and the curve. ``resunet-P`` drops a share P;
its outputs are taken in evaluation mode. Results are added to docs/results/NAME.json after every run, so that the
table can be made in pieces.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from common import RESULTS, machine, pair, save, score

from napari_dip import DIP
from napari_dip.engine.malloc import keep_freed_memory
from napari_dip.engine.plane import Plane
from napari_dip.methods import dip

EVERY = 10  # steps between looks at the PSNR
WITHIN = 0.1  # dB below the peak that still count as its plateau


def settings(net: str, channels: int, steps: int, seed: int) -> DIP:
    """Return the published constants for a network, ``resunet-0.1`` with a dropout of 0.1."""
    name, _, dropout = net.partition("-")
    how = {
        "net": name,
        "dropout": float(dropout or 0),
        "channels": channels,
        "steps": steps,
        "seed": seed,
    }
    return DIP.preset("paper", stop="never", **how)


def curve(noisy: np.ndarray, clean: np.ndarray, how: DIP, device: str) -> dict[str, list[float]]:
    """Fit, and return PSNR once and averaged every few steps."""
    y = torch.as_tensor(noisy / 255)[None].to(device)
    found: dict[str, list[float]] = {"step": [], "once": [], "averaged": []}
    with keep_freed_memory(y.device):
        for step in dip.fit(Plane(y, 0.0), how):
            if step.index % EVERY == 0 and step.output is not None:
                found["step"].append(step.index)
                for kind, image in (("once", step.output), ("averaged", step.answer)):
                    found[kind].append(round(score(clean, 255 * image[0].cpu().numpy()), 3))
    return found


def peak(found: dict[str, list[float]]) -> dict[str, float]:
    """Return the peaks, and the plateau around the averaged one in steps."""
    averaged = np.array(found["averaged"])
    best = int(averaged.argmax())
    near = averaged >= averaged[best] - WITHIN
    first = best - int(np.argmin(near[best::-1])) + 1 if not near[: best + 1].all() else 0
    last = best + int(np.argmin(near[best:])) - 1 if not near[best:].all() else len(near) - 1
    return {
        "once": max(found["once"]),
        "averaged": float(averaged[best]),
        "step": found["step"][best],
        "plateau": found["step"][last] - found["step"][first],
        "still_rising": best == len(averaged) - 1,
        "last": float(averaged[-1]),
    }


def main() -> None:
    """Measure, save after every run, and print a Markdown table of the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", default="skip,resnet,resunet-0,resunet-0.1")
    parser.add_argument(
        "--images", default="set12/01+gaussian25,set12/05+gaussian25,set12/08+gaussian25"
    )
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="xi_networks")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size = {"size": args.size, "channels": args.channels, "steps": args.steps}
    path = RESULTS / f"{args.name}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else {}
    for image in args.images.split(","):
        noisy, clean = pair(image, args.size)
        for seed in map(int, args.seeds.split(",")):
            for net in args.nets.split(","):
                started = time.perf_counter()
                found = curve(
                    noisy, clean, settings(net, args.channels, args.steps, seed), args.device
                )
                run = {
                    **peak(found),
                    "seconds": round(time.perf_counter() - started),
                    "curve": found,
                }
                runs[f"{net} {image} seed {seed}"] = run
                print(net, image, seed, {k: v for k, v in run.items() if k != "curve"}, flush=True)
                save(args.name, {**size, "machine": machine(), "within": WITHIN, "runs": runs})
    print(
        "| network | runs | once | averaged | plateau, steps | seconds a run |\n|---|---|---|---|---|---|"
    )
    for net in args.nets.split(","):
        mine = [run for key, run in runs.items() if key.split()[0] == net]
        means = [
            np.mean([run[k] for run in mine]) for k in ("once", "averaged", "plateau", "seconds")
        ]
        print(
            f"| {net} | {len(mine)} | {means[0]:.2f} | {means[1]:.2f} | {means[2]:.0f} | {means[3]:.0f} |"
        )


if __name__ == "__main__":
    main()
