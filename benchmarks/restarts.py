"""The average of several restarts against one, and how well the uncertainty knows where the answer is wrong.

    python benchmarks/restarts.py [--images BPAE_G,fish,mice,TwoPhoton_BPAE_B_1] [--size 128] [--restarts 4]
                                  [--part average|uncertainty|calibration] [--seeds 0,1,2] [--sources predicted,...] [--device cpu] [--name restarts]

average: PSNR of single runs of BlindSpot, the default, with seeds of their own, and of the average of as many restarts.
uncertainty: for each source, the Spearman correlation over all pixels between the standard deviation and the true
absolute error, the share of pixels whose error is below it (0.68 for a Gaussian that knows), and the root mean square of
the error over that of the deviation. The clean image is the average of 50 captures.
calibration: of the default's predicted deviation, for each seed: the root mean square of error / deviation (1 is
calibrated), the share of pixels whose error is below it, the rank correlation, and the root mean square of the error over
that of the deviation. The clean image is itself the mean of 50 captures (W2S: 400): the variance of its noise, that of the
measured noise curve over 50, is added to the squared deviation. W2S is matched by the best straight line. Results are added to docs/results/NAME.json after every image.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from common import RESULTS, machine, pair, save, score
from scipy.stats import spearmanr
from verdict import load

from napari_dip import DIP, BlindSpot, denoise
from napari_dip.noise.measure import measure_noise

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


def calibration(args: argparse.Namespace, name: str) -> list[dict[str, float]]:
    """Return for each seed how large errors are, and how many lie below the deviation."""
    rows = []
    for seed in map(int, args.seeds.split(",")):
        noisy, clean = (
            image.astype(np.float64) for image in noisy_and_clean(name, args.size, seed)
        )
        answer, std = denoise(noisy, BlindSpot(seed=seed), device=args.device, return_std=True)
        captures = np.inf if "+" in name else 400 if name.startswith("w2s") else 50
        if name.startswith("w2s"):
            clean = np.polyval(np.polyfit(clean.ravel(), answer.ravel(), 1), clean)
        of_clean = measure_noise([noisy]).variance(answer) / captures
        error, deviation = np.abs(answer - clean), np.sqrt(std**2.0 + of_clean)
        row = {
            "error_over_std": np.sqrt(np.mean((error / deviation) ** 2)),
            "share_below": (error < deviation).mean(),
            "spearman": spearmanr(std.ravel(), error.ravel())[0] if std.std() > 0 else 0.0,
            "rms_over_rms": np.sqrt((error**2).mean() / (deviation**2).mean()),
        }
        rows.append({"seed": seed} | {key: round(float(value), 3) for key, value in row.items()})
    return rows


def noisy_and_clean(name: str, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a pair as `load` does, or an empty image with noise of the seed."""
    if not name.startswith("empty+"):
        return load(name, size, seed)
    rng = np.random.default_rng(seed)
    clean = np.full((size, size), 100.0)
    noises = {"gaussian10": rng.normal(clean, 10), "poisson20": 5 * rng.poisson(clean / 5)}
    return noises[name.removeprefix("empty+")], clean


def main() -> None:
    """Measure, print and save after every image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--part", choices=["average", "uncertainty", "calibration"], default="average"
    )
    parser.add_argument("--images", default="BPAE_G,fish,mice,TwoPhoton_BPAE_B_1")
    parser.add_argument(
        "--sources", default="", help="those to measure, with commas between; all by default"
    )
    parser.add_argument("--seeds", default="0,1,2", help="of the part calibration")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--restarts", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="restarts")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = RESULTS / f"{args.name}.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    result |= {"size": args.size, "restarts": args.restarts, "machine": machine()}
    for name in args.images.split(","):
        if args.part == "calibration":
            row = calibration(args, name)
        else:
            part = average if args.part == "average" else uncertainty
            row = part(args, *pair(name, args.size))
        result.setdefault(args.part, {})[name] = row
        print(name, json.dumps(row), flush=True)
        save(args.name, result)


if __name__ == "__main__":
    main()
