"""A stack in one call, each plane started from the one before, against a run of its own for every plane.

    python benchmarks/stack.py [--data volume,lysosomes,unlike] [--runs warm:0,single:0,backwards:0,warm:1] [--planes 10]
                               [--set channels=16 crop=24 batch=2] [--name stack]

volume: a synthetic (10, 128, 128) stack of membranes, filaments and blobs with Poisson-Gaussian noise like that of FMD.
lysosomes: the first 10 frames of a live-cell movie. It has no ground truth: BM3D between the generalised Anscombe
transform and its inverse is taken for it, and noise of the movie's own gain and offset is drawn on top.
unlike: single captures of FMD along Z that have nothing to do with each other, against their averages of 50.

single: ten calls, a plane each. warm: one call, the default. backwards: the same with the planes in reverse order. apart:
one call with ``through_stack="apart"``. The number behind the colon is the seed. PSNR in dB for the range of the ground
truth (255 for FMD); CPU seconds; `rms` is how far the answer lies from that of the first run, in per cent of that range.
Results are added to docs/results/NAME.json after every stack.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from common import DATA, RESULTS, machine, pair, save
from scipy.ndimage import gaussian_filter

from napari_dip import BlindSpot, iter_denoise, last, psnr, read
from napari_dip.noise.measure import estimate_noise

SIZE = 128
GAIN, READ_NOISE = 4.0, 4.0  # of the synthetic volume, as FMD confocal in 8 bits

Stack = tuple[np.ndarray, np.ndarray]  # noisy, clean: (Z, Y, X) float32


def volume(planes: int, seed: int = 100) -> Stack:
    """Make membranes (where a smooth random field is near 0), filaments (random walks) and blobs."""
    rng = np.random.default_rng(seed)
    shape = (planes, SIZE, SIZE)
    field = gaussian_filter(rng.normal(size=(planes + 8, SIZE, SIZE)), (3, 9, 9))[4 : 4 + planes]
    membranes = gaussian_filter(np.exp(-((field / field.std() / 0.12) ** 2)), (0, 0.8, 0.8))
    points = np.zeros(shape)
    limit = np.array(shape) - 1
    for _ in range(14):
        turns = np.cumsum(rng.normal(0, 0.08, 400)) + rng.uniform(0, 2 * np.pi)
        steps = np.stack([rng.normal(0, 0.03, 400), 0.5 * np.sin(turns), 0.5 * np.cos(turns)])
        path = rng.uniform(0, limit)[:, None] + np.cumsum(steps, axis=1)
        inside = ((path >= 0) & (path <= limit[:, None])).all(axis=0)
        np.add.at(points, tuple(np.rint(path[:, inside]).astype(int)), 1.0)
    filaments = gaussian_filter(points, (0.6, 1.0, 1.0))
    points[:] = 0
    np.add.at(points, tuple(rng.integers(0, np.array(shape)[:, None], (3, 25))), 1.0)
    blobs = gaussian_filter(points, (1.3, 3.5, 3.5))
    filaments, blobs = (
        np.minimum(filaments / np.percentile(filaments, 99.5), 1),
        blobs / blobs.max(),
    )
    clean = 8 + 110 * membranes + 110 * filaments + 66 * blobs
    noisy = GAIN * rng.poisson(clean / GAIN) + rng.normal(0, READ_NOISE, shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.float32), clean.astype(np.float32)


def lysosomes(planes: int, seed: int = 0) -> Stack:
    """Denoise the movie with BM3D, and draw the movie's own noise on that."""
    from bm3d import bm3d

    movie = np.asarray(read(DATA / "lysosome_timelapse" / "1.tif").pixels)[:planes].astype(
        np.float64
    )
    noise = estimate_noise([frame[None] for frame in movie])
    clean = np.stack(
        [noise.restore(bm3d(noise.stabilise(frame), sigma_psd=1.0)) for frame in movie]
    )
    offset = -noise.variance / noise.gain
    photons = np.random.default_rng(seed).poisson(np.maximum(clean - offset, 0) / noise.gain)
    return (noise.gain * photons + offset).astype(np.float32), clean.astype(np.float32)


def unlike(planes: int) -> Stack:
    """Return single captures of different things, and their averages."""
    names = ("BPAE_R", "fish", "BPAE_G", "mice", "BPAE_B")[:planes]
    noisy, clean = zip(*(pair(name, SIZE) for name in names), strict=True)
    return np.stack(noisy), np.stack(clean)


STACKS: dict[str, Callable[[int], Stack]] = {
    "volume": volume,
    "lysosomes": lysosomes,
    "unlike": unlike,
}


def run(kind: str, noisy: np.ndarray, how: BlindSpot) -> tuple[np.ndarray, dict[str, object]]:
    """Denoise a stack one way; return the answer in the order of the stack, CPU seconds and steps."""
    turned = slice(None, None, -1) if kind == "backwards" else slice(None)
    how = how.model_copy(update={"through_stack": "apart" if kind == "apart" else "warm"})
    parts = [plane[None] for plane in noisy] if kind == "single" else [noisy[turned]]
    started = time.process_time()
    finals = [last(iter_denoise(part, how, axes="ZYX", device="cpu")) for part in parts]
    answer = np.concatenate([np.asarray(final.image) for final in finals])[turned]
    seconds = round(time.process_time() - started, 1)
    steps = {
        key: [n for f in finals for n in f.provenance[key]]
        for key in ("steps_planned", "steps_chosen")
    }
    return answer, {"cpu_seconds": seconds, **steps}


def measure(
    args: argparse.Namespace, name: str, rows: dict[str, dict], how: dict[str, object]
) -> None:
    """Do every run on one stack and add its row."""
    noisy, clean = STACKS[name](args.planes)
    top = 255.0 if name == "unlike" else float(np.ptp(clean))
    first: np.ndarray | None = None
    for word in args.runs.split(","):
        kind, seed = word.split(":")
        answer, row = run(kind, noisy, BlindSpot(seed=int(seed), **how))
        first = answer if first is None else first
        row["psnr"] = [
            round(float(psnr(c, a, data_range=top)), 3) for c, a in zip(clean, answer, strict=True)
        ]
        row["rms"] = round(100 * float(np.sqrt(np.mean((answer - first) ** 2))) / top, 4)
        rows.setdefault(name, {})[word] = row
        print(name, word, round(float(np.mean(row["psnr"])), 3), json.dumps(row), flush=True)


def main() -> None:
    """Measure, print and save after every stack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=",".join(STACKS))
    parser.add_argument("--runs", default="warm:0,single:0,backwards:0,warm:1")
    parser.add_argument("--planes", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="stack")
    parser.add_argument(
        "--set", nargs="*", default=[], help="settings of BlindSpot to change, as key=value"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    how = {key: ast.literal_eval(value) for key, value in (word.split("=") for word in args.set)}
    path = RESULTS / f"{args.name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    result |= {
        "size": SIZE,
        "machine": machine(),
        "settings": {"default": BlindSpot().to_json(), "changed": how},
    }
    for name in args.data.split(","):
        measure(args, name, result["rows"], how)
        save(args.name, result)


if __name__ == "__main__":
    main()
