"""Two protocols: FMD's own on its mixed test set, and images that a training has not seen.

    python benchmarks/protocols.py --protocol fmd FOLDER [--level raw] [--models a.safetensors,...] [--fits blind-spot,...] [--whole] [--rounded]
    python benchmarks/protocols.py --protocol unseen [--data fmd] [--methods iddp,n2v] [--seeds 0,1,2] [--leave BPAE_B,...] [--set key=value ...]

**fmd**: FOLDER is the data set as it is downloaded (``test_mix/raw``, ``test_mix/gt``), its ``test_mix``, or a folder of files such as ``X_1_raw.png`` and ``X_1_gt.png``.
As in the data set's benchmark each image of 512 x 512 is cut into four of 256, each is denoised for itself (`--whole`: the image, cut afterwards), the answer is clamped to
0..255 (`--rounded`: to whole numbers, too), and the PSNR for the range 255 is taken for each crop; then the mean over the crops, of each type and of all. *whole* is the PSNR of the
whole image, put together; for `raw` of all 48 images its mean is the 27.22 dB that is published. Where it is not, the images are others.

**unseen**: trained on all types but one, scored on that one: for each of the trained methods, types and seeds. Data: `fmd`, the 17 captures of eight types with
independent noise; or a noise, `gaussian`, `poisson` or `speckle`, fixed (25, 30, 0.1) or with `--random-levels` (sigma in (0, 50], peak in [5, 50], variance in (0, 0.2], drawn for each example):
trained on the photographs of `bsd68` with `--copies` examples of each, scored on `bsd300_test` and `set12` at the fixed level. Speckle is uniform, as published. Written to docs/results after every model.
"""

from __future__ import annotations

import argparse
import ast
import re
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from common import (
    CONFOCAL,
    DATA,
    ROOT,
    gat_blur,
    gaussian_j,
    machine,
    pair,
    save,
    vst_bm3d,
    vst_nlm,
)

from napari_dip import (
    add_gaussian,
    add_poisson,
    add_speckle,
    denoise,
    load_model,
    psnr,
    read,
    train,
)
from napari_dip.methods import registry

CROP = 256
BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "raw": lambda y: y,
    "Gaussian J": gaussian_j,
    "GAT+blur": gat_blur,
    "VST+NLM": vst_nlm,
    **({"VST+BM3D": vst_bm3d} if find_spec("bm3d") else {}),
}
FIXED = {"gaussian": 25.0, "poisson": 30.0, "speckle": 0.1}
RANDOM = {"gaussian": (0.0, 50.0), "poisson": (5.0, 50.0), "speckle": (0.0, 0.2)}
TWO_PHOTON = tuple(f"TwoPhoton_BPAE_{colour}_{k}" for colour in "BGR" for k in (1, 2, 3, 4))
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def pixels(path: Path) -> np.ndarray:
    """Read an image as float32."""
    return np.asarray(read(path).pixels, np.float32)


def mixed_test_set(folder: Path, level: str = "raw") -> dict[str, tuple[Path, Path]]:
    """Return the noisy and the clean file of each image of FMD's mixed test set, by name."""
    folder = folder / "test_mix" if (folder / "test_mix").is_dir() else folder
    found = {}
    for noisy in sorted((folder / level).glob("*.png")):
        found[noisy.stem] = noisy, folder / "gt" / noisy.name
    for noisy in sorted(folder.glob(f"*_{level}.png")):
        name = noisy.stem.removesuffix(f"_{level}")
        first = f"{kind(name)}_1_gt.png"  # the clean files of a type are the same
        files = (folder / f"{name}_gt.png", folder / first, folder / f"{name}_gt.tif")
        found[name] = noisy, next((file for file in files if file.is_file()), files[0])
    missing = [clean.name for _, clean in found.values() if not clean.is_file()]
    if not found or missing:
        raise SystemExit(f"{folder} lacks {missing[0] if missing else 'noisy images'}.")
    return found


def kind(name: str) -> str:
    """Return the type of an image: its name without the number of the capture."""
    return re.sub(r"_\d+$", "", name)


def crops(image: np.ndarray) -> list[np.ndarray]:
    """Cut the four corners of 256 x 256 out of an image."""
    sides = (slice(CROP), slice(-CROP, None))
    return [image[rows, columns] for rows in sides for columns in sides]


def fmd_score(
    noisy: np.ndarray,
    clean: np.ndarray,
    method: Callable[[np.ndarray], np.ndarray],
    *,
    whole: bool = False,
    rounded: bool = False,
) -> tuple[list[float], float]:
    """Return the PSNR of each crop, and that of the whole image."""

    def clamped(image: np.ndarray) -> np.ndarray:
        image = np.clip(image, 0, 255)
        return np.round(image) if rounded else image

    answers = crops(method(noisy)) if whole else [method(y) for y in crops(noisy)]
    answers = [clamped(answer) for answer in answers]
    scores = [psnr(x, a, data_range=255) for x, a in zip(crops(clean), answers, strict=True)]
    tiled = np.block([[answers[0], answers[1]], [answers[2], answers[3]]])
    exact = clean.shape == tiled.shape
    return scores, psnr(clean, tiled, data_range=255) if exact else float("nan")


def fmd_table(
    files: dict[str, tuple[Path, Path]],
    methods: dict[str, Callable[[np.ndarray], np.ndarray]],
    **how: bool,
) -> dict[str, dict[str, float]]:
    """Return for each method the mean over crops, of each type and of all, and that of whole images."""
    table = {}
    for label, method in methods.items():
        by_type, whole = defaultdict(list), []
        for name, (noisy, clean) in files.items():
            scores, score = fmd_score(pixels(noisy), pixels(clean), method, **how)
            by_type[kind(name)] += scores
            whole.append(score)
        row = {name: float(np.mean(scores)) for name, scores in by_type.items()}
        row["all"] = float(np.mean([*chain(*by_type.values())]))
        table[label] = row | {"whole": float(np.mean(whole))}
        print(
            f"| {label} | " + " | ".join(f"{v:.2f}" for v in table[label].values()) + " |",
            flush=True,
        )
    return table


def run_fmd(args: argparse.Namespace) -> None:
    """Score on FMD's mixed test set."""
    files, methods = mixed_test_set(Path(args.folder), args.level), dict(BASELINES)
    for path in filter(None, args.models.split(",")):
        model = load_model(path)
        methods[Path(path).stem] = lambda y, model=model: denoise(y, model, device=args.device)
    for name in filter(None, args.fits.split(",")):
        how = registry.METHODS[name].settings(seed=int(args.seeds.split(",")[0]))
        methods[how.title] = lambda y, how=how: denoise(y, how, device=args.device)
    names = [*dict.fromkeys(map(kind, files)), "all", "whole"]
    print("| method | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    how = {"whole": args.whole, "rounded": args.rounded}
    result = {"level": args.level, "images": len(files), **how, "machine": machine()}
    save(args.name or "fmd_protocol", result | {"rows": fmd_table(files, methods, **how)})


def with_noise(noise: str, clean: np.ndarray, seed: int, *, random: bool = False) -> np.ndarray:
    """Add noise of the fixed level, or of one drawn for this example."""
    least, most = RANDOM[noise]
    level = FIXED[noise]
    if random:  # most and not least is in the range, but for photons both
        level = most - (most - least) * np.random.default_rng([seed, 1]).random()
    if noise == "speckle":
        return add_speckle(clean, level, distribution="uniform", seed=seed, clip=(0, 255))
    add = {"gaussian": add_gaussian, "poisson": add_poisson}[noise]
    return add(clean, level, seed=seed, clip=(0, 255))


def unseen(args: argparse.Namespace) -> dict[str, tuple[list, list, Pairs]]:
    """Return what each training is given (noisy, clean) and is scored on, by what is left out."""
    if args.data == "fmd":
        every = {name: pair(name, 512) for name in CONFOCAL + TWO_PHOTON}
        types = [t for t in dict.fromkeys(map(kind, every)) if not args.leave or t in args.leave]
        return {
            left: (
                [y for name, (y, _) in every.items() if kind(name) != left],
                [x for name, (_, x) in every.items() if kind(name) != left],
                {name: both for name, both in every.items() if kind(name) == left},
            )
            for left in types
        }
    clean = [pixels(f) for f in sorted((DATA / "bsd68").glob("*.png"))] * args.copies
    noisy = [with_noise(args.data, x, k, random=args.random_levels) for k, x in enumerate(clean)]
    tests = [*sorted((DATA / "bsd300_test").glob("*.png")), *sorted((DATA / "set12").glob("*.png"))]
    images = {f"{f.parent.name}/{f.stem}": pixels(f) for f in tests}
    scored = {
        name: (with_noise(args.data, x, 1000 + k), x) for k, (name, x) in enumerate(images.items())
    }
    return {"photographs": (noisy, clean, scored)}


def run_unseen(args: argparse.Namespace) -> None:
    """Train on some images and score others."""
    changes = {k: ast.literal_eval(v) for k, v in (word.split("=") for word in args.set)}
    suffix = "_random" if args.random_levels else ""
    result: dict = {"machine": machine(), "data": args.data + suffix, "changed": changes}
    result |= {"rows": defaultdict(dict), "seconds": {}, "own_steps": {}}
    for left, (noisy, clean, tests) in unseen(args).items():
        for label, method in BASELINES.items():
            result["rows"][label] |= {n: clipped(x, method(y)) for n, (y, x) in tests.items()}
        for name in args.methods.split(","):
            record = registry.TRAINED[name]
            for seed in map(int, args.seeds.split(",")):
                how, started = record.settings(**{"seed": seed, **changes}), time.perf_counter()
                targets = clean if record.target == "clean" else None
                model = train(noisy, how, targets=targets, device=args.device)
                label = f"{how.title} seed {seed}"
                result["seconds"][f"{label}, {left}"] = time.perf_counter() - started
                result["own_steps"][label] = how.steps - how.filter_steps
                rows = {
                    n: clipped(x, denoise(y, model, device=args.device))
                    for n, (y, x) in tests.items()
                }
                result["rows"][label] |= rows
                print(f"{label}, {left} unseen: {np.mean(list(rows.values())):.2f} dB", flush=True)
                path = save(args.name or f"unseen_{args.data}{suffix}", result)
    for label, rows in result["rows"].items():
        print(f"| {label} | {np.mean(list(rows.values())):.2f} |")
    print(f"written to {path.relative_to(ROOT)}")


def clipped(clean: np.ndarray, answer: np.ndarray) -> float:
    """Return the PSNR for the range 255 of an answer that is clamped to it."""
    return psnr(clean, np.clip(answer, 0, 255), data_range=255)


def main() -> None:
    """Run a protocol, print its table and save it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", default=str(DATA / "fmd_test_mix"))
    parser.add_argument("--protocol", choices=("fmd", "unseen"), required=True)
    parser.add_argument("--level", default="raw", help="noise level of FMD")
    parser.add_argument("--models", default="", help="files of trained models")
    parser.add_argument("--fits", default="", help="methods that are fitted to each image")
    parser.add_argument("--whole", action="store_true", help="denoise whole images, cut afterwards")
    parser.add_argument("--rounded", action="store_true", help="score whole numbers, as in a file")
    parser.add_argument("--data", default="fmd", choices=("fmd", *FIXED))
    parser.add_argument("--random-levels", action="store_true")
    parser.add_argument("--copies", type=int, default=4, help="noisy examples of each photograph")
    parser.add_argument("--methods", default="iddp,n2v,nb2nb")
    parser.add_argument("--leave", default="", help="types of FMD to be left out, one at a time")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--name", default="", help="of the record")
    parser.add_argument("--set", nargs="*", default=[], help="settings to change, as key=value")
    args = parser.parse_args()
    args.leave = [name for name in args.leave.split(",") if name]
    torch.set_num_threads(args.threads)
    {"fmd": run_fmd, "unseen": run_unseen}[args.protocol](args)


if __name__ == "__main__":
    main()
