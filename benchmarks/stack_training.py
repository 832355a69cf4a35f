"""Training with the planes before and after: what it brings on frames that training has not seen.

    python benchmarks/stack_training.py [--scenes BPAE_G] [--seeds 0,1,2] [--neighbours 0,1,2] [--method iddp]
                                        [--steps 600] [--frames 60] [--set filter_share=0.9] [--name stack_training]

A field of FMD moves by 0.8 pixels and turns by 0.3 degrees a frame (`moving` of scenes.py, 128 x 128; settings are tuned on
mice and fish, and reported on BPAE_G). The first two thirds of the frames are trained on, the rest is denoised with the
model. The seed is that of the noise, of the path and of the training. PSNR in dB for the range 255, the mean over the frames
that training has not seen; CPU seconds of training and of a frame.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import time

import numpy as np
import torch
from common import RESULTS, machine, save
from scenes import moving

from napari_dip import Image, denoise, psnr, train
from napari_dip.methods.registry import TRAINED, settings_classes

METHODS = ("iddp", "n2v", "nb2nb")  # those that need the noisy frames alone


def run(content: str, seed: int, frames: int, how: object) -> dict[str, float]:
    """Train on the first two thirds of a series, and denoise all of it."""
    noisy, clean = moving(content, seed=seed, frames=frames)
    seen = 2 * frames // 3
    started = time.process_time()
    model = train(Image(noisy[:seen], "TYX"), how, device="cpu")
    trained = time.process_time()
    answer = np.asarray(denoise(Image(noisy[seen:], "TYX"), model, device="cpu"))
    row = {
        "psnr": _psnr(clean[seen:], answer),
        "psnr_noisy": _psnr(clean[seen:], noisy[seen:]),
        "train_seconds": trained - started,
        "seconds_a_frame": (time.process_time() - trained) / len(answer),
    }
    return {key: round(value, 3) for key, value in row.items()}


def _psnr(clean: np.ndarray, images: np.ndarray) -> float:
    pairs = zip(clean, images, strict=True)
    return float(np.mean([psnr(c, i, data_range=255) for c, i in pairs]))


def main() -> None:
    """Measure, print and save after every training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", default="BPAE_G", help="of mice, fish, BPAE_G")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--neighbours", default="0,1", help="planes on each side")
    parser.add_argument("--method", default="iddp", choices=METHODS)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--name", default="stack_training")
    parser.add_argument("--set", nargs="*", default=[], help="other settings, as key=value")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changed = {key: ast.literal_eval(word) for key, word in (pair.split("=") for pair in args.set)}
    path = RESULTS / f"{args.name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    result |= {"frames": args.frames, "steps": args.steps, "machine": machine(), "changed": changed}
    result["command"] = " ".join(["python benchmarks/stack_training.py", *sys.argv[1:]])
    for content in args.scenes.split(","):
        for seed in args.seeds.split(","):
            for side in args.neighbours.split(","):
                settings = settings_classes(TRAINED)[args.method]
                how = settings(steps=args.steps, seed=int(seed), neighbours=int(side), **changed)
                row = run(content, int(seed), args.frames, how)
                rows = result["rows"].setdefault(content, {}).setdefault(args.method, {})
                rows.setdefault(seed, {})[side] = row
                save(args.name, result)
                print(content, args.method, seed, side, json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
