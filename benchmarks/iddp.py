"""The trained methods on one network, crops, schedule and budget, blind on the very images that they are scored on.

    python benchmarks/iddp.py [--data fmd] [--methods iddp,n2v,nb2nb] [--seeds 0,1,2] [--threads 2] [--set key=value ...]

Data: `mixed` the 17 of `fmd` and the 4 of `widefield` together, `fmd` 17 raw images of FMD whose noise is independent (confocal, and two-photon BPAE), `widefield` its 4 wide-field
ones, `gaussian25`, `poisson30`, `speckle0.1` six photographs of Set12 with that noise, `w2s` six wide-field images, `repeats`
the 20 captures of one confocal field: IDDP and its like learn from one capture, Noise2Noise from all. Or **a path to the FMD data set as
it is downloaded**: the protocol of the papers' Table 3. Trained on the raw captures of all fields but 19, without the wide-field samples
and two-photon BPAE (`--samples all` takes them); scored on `test_mix` of the same samples at each of `--levels raw,avg2,avg4,avg8,avg16`, or,
where there is no `test_mix`, on the first 4 captures of field 19. The whole set is 40 GB and wants a GPU (`--device auto`).

Columns: PSNR for the range 255, clipped, on the whole images and on their centres of 256 x 256; PSNR after an affine
match (two-photon captures are brighter or darker than their ground truth by up to 20%); SSIM; seconds of training and of
applying. Of a method whose steps start from the filter that is learned through a blind spot, as IDDP's by default, the row *filter alone*
scores that, and the method's own row adds its own steps. Each method has a learning rate of its own (`RATES`): for Noise2Void and Neighbor2Neighbor chosen on `fmd` at 1500 steps with
the default of that time, a start at the filter (docs/results/iddp_rates.json), for IDDP with that of now (tried.md). Methods that are not there have their default. Baselines need no training. Written to docs/results/iddp_DATA.json after every model.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from common import (
    CONFOCAL,
    DATA,
    RESULTS,
    ROOT,
    centre,
    gat_blur,
    gaussian_j,
    machine,
    pair,
    save,
    score,
    vst_bm3d,
    vst_nlm,
)

from napari_dip import Model, denoise, psnr, read, ssim
from napari_dip.data_sets.fmd import PAPERS, TEST_FIELD, Capture, list_captures
from napari_dip.methods import registry
from napari_dip.training.train import iter_train

TRAINED = registry.settings_classes(registry.TRAINED)

TWO_PHOTON = tuple(f"TwoPhoton_BPAE_{colour}_{k}" for colour in "BGR" for k in (1, 2, 3, 4))
RATES: dict[str, float] = {
    "iddp": 0.001,
    "n2v": 0.0015,
    "nb2nb": 0.0015,
    "n2n": 0.0015,
    "supervised": 0.0015,
}
SIDE = 256
COLUMNS = ("psnr", "psnr_affine", "ssim", "psnr_centre")
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]
PER_SAMPLE = 4  # captures of field 19 that are scored


def fmd_tests(folder: Path, samples: list[str], levels: list[str]) -> Pairs:
    """Read what the models are scored on: test_mix, or the field that is held out."""
    found: list[Capture] = []
    for level in levels:
        trained_on = {c.sample for c in list_captures(folder, levels=[level], samples=samples)}
        if (folder / "test_mix").is_dir():
            for file in sorted((folder / "test_mix" / level).glob("*.png")):
                clean = folder / "test_mix" / "gt" / file.name
                if clean.is_file() and file.stem.startswith(tuple(trained_on)):
                    found.append(Capture(file.stem, TEST_FIELD, level, file, clean))
            continue
        rest = list_captures(folder, levels=[level], samples=samples, held_out=())
        for sample in sorted(trained_on):
            found += [c for c in rest if (c.sample, c.field) == (sample, TEST_FIELD)][:PER_SAMPLE]
    if not found:
        raise SystemExit(
            f"{folder} holds nothing to score on: no test_mix of its samples, and no field {TEST_FIELD}."
        )
    return {
        f"{c.level}/{c.sample}/{c.noisy.stem}": tuple(
            np.asarray(read(f).pixels, np.float32) for f in (c.noisy, c.clean)
        )
        for c in found
    }


def images(
    data: str, samples: list[str] | None = None, levels: tuple[str, ...] = ("raw",)
) -> Pairs:
    """Return (noisy, clean) by name."""
    if Path(data).is_dir():
        return fmd_tests(Path(data), samples or list(PAPERS), list(levels))
    if data == "fmd":
        return {name: pair(name, 512) for name in CONFOCAL + TWO_PHOTON}
    if data == "mixed":
        return images("fmd") | images("widefield")
    if data == "widefield":
        return {name: pair(name, 512) for name in (f"WideField_BPAE_R_{k}" for k in (1, 2, 3, 4))}
    if data == "w2s":
        files = sorted((DATA / "w2s_widefield_8bit").glob("input_avg1_*.tif"))
        clean = [file.with_name(file.name.replace("input_avg1", "target_avg400")) for file in files]
        pixels = [
            [np.asarray(read(f).pixels, np.float32) for f in both]
            for both in zip(files, clean, strict=True)
        ]
        return {
            file.stem: (noisy, clean) for file, (noisy, clean) in zip(files, pixels, strict=True)
        }
    if data == "repeats":
        folder = DATA / "fmd_confocal_bpae_b_fov01"
        clean = np.asarray(read(folder / "gt_avg50.png").pixels, np.float32)
        files = sorted(folder.glob("raw_*.png"))
        return {file.stem: (np.asarray(read(file).pixels, np.float32), clean) for file in files}
    return {f"set12/{k:02d}+{data}": pair(f"set12/{k:02d}+{data}", 512) for k in (1, 2, 3, 4, 5, 6)}


def scores(noisy: np.ndarray, clean: np.ndarray, answer: np.ndarray) -> list[float]:
    """Return the columns for one image."""
    image = np.clip(answer, 0, 255).astype(np.float32)
    affine = psnr(clean, image, data_range=255, affine=True)
    return [
        score(clean, image),
        affine,
        ssim(clean, image, data_range=255),
        score(centre(clean, SIDE), centre(image, SIDE)),
    ]


def trained(
    method: str,
    pairs: Pairs,
    data: str,
    seed: int,
    changes: dict[str, object],
    samples: list[str] | None,
    device: str,
) -> tuple[dict, dict, dict]:
    """Train one model (blind on the images, or on a tree of FMD), apply it to the images, and score it.

    The first table is that of the model, the second that of the filter that its steps start from, alone; empty where it has none.
    """
    rate = {"learning_rate": RATES[method]} if method in RATES else {}
    how = TRAINED[method](**{"seed": seed, **rate, **changes})
    source, targets, axes = [y for y, _ in pairs.values()], None, None
    if Path(data).is_dir():
        source = Path(data)
    elif method == "supervised":
        targets = [x for _, x in pairs.values()]
    elif data == "repeats" and method == "n2n":
        source, axes = [np.stack(source)[:, None]], "TZYX"
    if data == "repeats" and method != "n2n":
        source, targets = source[:1], targets[:1] if targets else None
    shown = dict(list(pairs.items())[:1]) if data == "repeats" else pairs
    started, filter_alone = time.perf_counter(), None
    for final in iter_train(
        source, how, targets=targets, device=device, axes=axes, samples=samples
    ):
        if final.step == how.filter_steps:
            filter_alone = final.model
    seconds = time.perf_counter() - started

    def scored(model: Model) -> dict:
        return {
            name: scores(y, x, denoise(y, model, device=device)) for name, (y, x) in shown.items()
        }

    started = time.perf_counter()
    rows = scored(final.model)
    run = {
        "train_seconds": seconds,
        "apply_seconds": time.perf_counter() - started,
        "settings": how.to_json(),
    }
    run |= {"own_steps": how.steps - how.filter_steps, "validation": final.criterion}
    alone = scored(filter_alone) if filter_alone else {}
    return rows, alone, run | {"measures": dict(final.measures)}


def baselines(pairs: Pairs, data: str, bm3d: bool) -> dict[str, dict[str, list[float]]]:
    """Score what needs no training; VST+BM3D on the centres alone, as it is slow."""
    methods = {
        "raw": lambda y: y,
        "Gaussian J": gaussian_j,
        "GAT+blur": gat_blur,
        "VST+NLM": vst_nlm,
    }
    shown = dict(list(pairs.items())[:1]) if data == "repeats" else pairs
    table = {
        label: {n: scores(y, x, method(y)) for n, (y, x) in shown.items()}
        for label, method in methods.items()
    }
    if bm3d and find_spec("bm3d"):
        cut = {n: (centre(y, SIDE), centre(x, SIDE)) for n, (y, x) in shown.items()}
        table["VST+BM3D"] = {
            n: [float("nan")] * 3 + [score(x, vst_bm3d(y))] for n, (y, x) in cut.items()
        }
    return table


def plain(value: float) -> float | None:
    """Return what JSON can hold."""
    return value if np.isfinite(value) else None


def line(label: str, rows: dict[str, list[float]]) -> str:
    """Return one row of the Markdown table: means."""
    return (
        f"| {label} | "
        + " | ".join(f"{v:.3f}" for v in np.mean(list(rows.values()), axis=0))
        + " |"
    )


def main() -> None:
    """Measure, print a Markdown table, and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="fmd")
    parser.add_argument("--methods", default="iddp,n2v,nb2nb")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--samples", default="", help="of a tree of FMD, such as Confocal,TwoPhoton_MICE, or all"
    )
    parser.add_argument("--levels", default="raw", help="noise levels of FMD that are scored")
    parser.add_argument("--name", default="")
    parser.add_argument(
        "--add", action="store_true", help="keep what the record of that name holds already"
    )
    parser.add_argument("--without-bm3d", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], help="settings to change, as key=value")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    changes = {
        key: ast.literal_eval(value) for key, value in (word.split("=") for word in args.set)
    }
    in_papers = list(PAPERS) if Path(args.data).is_dir() else None
    samples = args.samples.split(",") if args.samples else in_papers
    pairs = images(args.data, samples, tuple(args.levels.split(",")))
    data = "fmd_tree" if Path(args.data).is_dir() else args.data
    print("| method | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
    table = baselines(pairs, args.data, not args.without_bm3d)
    runs: dict[str, dict[str, object]] = {}
    for label, rows in table.items():
        print(line(label, rows), flush=True)
    name = args.name or f"iddp_{data}"
    if args.add and (before := RESULTS / f"{name}.json").exists():
        kept = json.loads(before.read_text())
        table |= {
            label: {n: [np.nan if v is None else v for v in r] for n, r in rows.items()}
            for label, rows in kept["rows"].items()
        }
        runs |= kept["runs"]
    for method in filter(None, args.methods.split(",")):
        for seed in map(int, args.seeds.split(",")):
            label = f"{TRAINED[method].title} seed {seed}"
            table[label], alone, runs[label] = trained(
                method, pairs, args.data, seed, changes, samples, args.device
            )
            if alone:
                table[f"{label}, filter alone"] = alone
                print(line(f"{label}, filter alone", alone))
            if args.data == "mixed":
                for kind in ("independent", "correlated"):
                    of_kind = {
                        n: row
                        for n, row in table[label].items()
                        if n.startswith("WideField") == (kind == "correlated")
                    }
                    print(line(f"{label}, {kind} noise", of_kind))
            print(line(label, table[label]), f"{runs[label]['train_seconds']:.0f} s", flush=True)
            rows = {
                label: {n: [plain(v) for v in row] for n, row in rows.items()}
                for label, rows in table.items()
            }
            result = {
                "machine": machine(),
                "columns": COLUMNS,
                "changed": changes,
                "runs": runs,
                "rows": rows,
            }
            path = save(name, result)
    if runs:
        print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
