"""The average of several restarts against one, and how well the uncertainty knows where the answer is wrong.

    python benchmarks/restarts.py [--images BPAE_G,fish,mice,TwoPhoton_BPAE_B_1] [--size 128] [--restarts 4]
                                  [--part average|uncertainty] [--sources predicted,...] [--device cpu] [--name restarts]

average: PSNR of single runs of BlindSpot, the default, with seeds of their own, and of the average of as many restarts.
uncertainty: for each source, the Spearman correlation over all pixels between the standard deviation and the true
absolute error, the share of pixels whose error is below it (0.68 for a Gaussian that knows), and the root mean square of
the error over that of the deviation. The clean image is the average of 50 captures. Results are added to docs/results/NAME.json after every image.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from common import RESULTS, machine, pair, save, score
from scipy.stats import spearmanr

from napari_dip import DIP, BlindSpot, denoise

# Networks of z are fitted at the published rate; their spread does not need the best answer.
OF_Z = {"steps": 600, "learning_rate": 0.01, "averaging": 0.97, "scales": 4, "patience": 600}
OF_Z |= {"channels": 32, "input_channels": 32, "jitter": 1 / 30, "dropout": 0.1}
OF_Z |= {"weigh": False, "restarts": 1}  # without what the preset fast adds


def sources(restarts: int) -> dict[str, DIP | BlindSpot]:
    """Return the settings for each source of uncertainty."""
    return {
        "predicted": BlindSpot(uncertainty="predicted"),
        "iterates": BlindSpot(uncertainty="iterates"),
        "restarts": BlindSpot(restarts=restarts, uncertainty="restarts"),
        "iterates (skip)": DIP(net="skip", uncertainty="iterates", **OF_Z),
        "dropout (resunet)": DIP(net="resunet", uncertainty="dropout", **OF_Z),
    }


def average(args: argparse.Namespace, noisy: np.ndarray, clean: np.ndarray) -> dict[str, object]:
    """Return the PSNR of single runs and of their average in one call."""
    started = time.perf_counter()
    single = [
        score(clean, denoise(noisy, BlindSpot(seed=seed), device=args.device))
        for seed in range(args.restarts)
    ]
    between = time.perf_counter()
    together = score(clean, denoise(noisy, BlindSpot(restarts=args.restarts), device=args.device))
    seconds = [round(between - started), round(time.perf_counter() - between)]
    return {
        "single": single,
        "single_mean": float(np.mean(single)),
        "average": together,
        "seconds": seconds,
    }


def uncertainty(
    args: argparse.Namespace, noisy: np.ndarray, clean: np.ndarray
) -> dict[str, object]:
    """Return for each source the rank correlation with the error, and how many errors lie below it."""
    out = {}
    wanted = args.sources.split(",") if args.sources else sources(args.restarts)
    for name, how in ((name, sources(args.restarts)[name]) for name in wanted):
        answer, std = denoise(noisy, how, device=args.device, return_std=True)
        error = np.abs(answer - clean)
        rank = float(spearmanr(std.ravel(), error.ravel())[0])
        out[name] = {
            "spearman": rank,
            "share_below": float((error < std).mean()),
            "psnr": score(clean, answer),
        }
        out[name]["error_over_std"] = float(np.sqrt((error**2).mean() / (std**2).mean()))
        out[name] = {key: round(value, 3) for key, value in out[name].items()}
    out["the answer itself"] = {
        "spearman": round(float(spearmanr(answer.ravel(), error.ravel())[0]), 3)
    }
    return out


def main() -> None:
    """Measure, print and save after every image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["average", "uncertainty"], default="average")
    parser.add_argument("--images", default="BPAE_G,fish,mice,TwoPhoton_BPAE_B_1")
    parser.add_argument(
        "--sources", default="", help="those to measure, with commas between; all by default"
    )
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--restarts", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="restarts")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = RESULTS / f"{args.name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"average": {}, "uncertainty": {}}
    result |= {"size": args.size, "restarts": args.restarts, "machine": machine()}
    for name in args.images.split(","):
        row = (average if args.part == "average" else uncertainty)(args, *pair(name, args.size))
        result[args.part][name] = row
        print(name, json.dumps(row), flush=True)
        save(args.name, result)


if __name__ == "__main__":
    main()
