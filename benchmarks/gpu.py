"""Every kind of work on one GPU in under eight minutes: speed, time, quality, memory; no napari is needed.

    python benchmarks/gpu.py [--device auto] [--parts card,blind-spot-512,...] [--seconds 45] [--again]
                             [--reference FOLDER] [--steps small] [--results FOLDER]

Each part runs in a process of its own, which warms up first, and is recorded as soon as it has ended: an interrupted run
goes on where it was (`--again` runs parts anew). A part that takes longer than `--seconds` is stopped there, and the record
says so; one that breaks is recorded with its error. Single images are the shipped pair `fish` (512 x 512, mirrored where larger), the
stack is its clean image with five draws of Poisson noise. IDDP is trained on the 17 images of `benchmarks/iddp.py` where
`$NAPARI_DIP_DATA` has them, else on `fish`, and then applied. `card` measures the card itself: an operation on few numbers, a
convolution, a copy. `reference` needs the folder of your own copy of the repository of Deep Image Prior
(`--reference`), see `benchmarks/dip_step.py`: its step at 512 x 512. `counts` counts what a step does on
a device, on the tests' stand-in for one. `--steps small` shrinks everything, to try the script: such a run isn't recorded in docs/results.

Written to docs/results/gpu.json, by the name of the device, and docs/results/gpu.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import report_gpu
import torch
from common import DATA, RESULTS, ROOT, machine, score
from dip_step import reference_steps, seconds_a_step

import napari_dip
from napari_dip import DIP, IDDP, BlindSpot, PatchDIP, denoise, iter_denoise, iter_train
from napari_dip.engine.device import describe_device, pick_device

Row = dict[str, Any]
SHIPPED = Path(napari_dip.__file__).parent / "data"
SMALL_STEPS = 4
PEAK = 40.0  # photons at the brightest pixel of the stack
IN_STACK = 5
WARM_UP, TIMED = 10, 40  # steps of the reference


def fish(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the shipped pair (noisy, clean) at a size, mirrored where that is larger."""
    images = (np.asarray(napari_dip.read(SHIPPED / f"fish_{k}.tif").pixels) for k in ("raw", "gt"))
    padded = (
        np.pad(image, (0, max(0, side - len(image))), mode="symmetric")[:side, :side].astype(
            np.float32
        )
        for image in images
    )
    noisy, clean = padded
    return noisy, clean


def stack(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return five noisy captures of one clean image, and that image as often."""
    clean = fish(side)[1]
    noisy = [napari_dip.add_poisson(clean, peak=PEAK, seed=seed) for seed in range(IN_STACK)]
    return np.stack(noisy), np.stack([clean] * IN_STACK)


def follow(snapshots: Iterable[Any], seconds: float) -> tuple[Any, Row]:
    """Read a stream to its end or so many seconds; return the last snapshot and what it took."""
    synchronise()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    cpu, wall, first, final, stopped = time.process_time(), time.perf_counter(), 0.0, None, False
    for snapshot in snapshots:
        final = snapshot
        first = first or time.perf_counter() - wall
        stopped = time.perf_counter() - wall > seconds
        if stopped:
            break
    _ = final.image
    synchronise()
    wall = time.perf_counter() - wall
    row = {
        "steps": final.step,
        "of": final.total,
        "first": first,
        "seconds": wall,
        "steps_a_second": final.step / wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }
    return final, row | ({"stopped": True} if stopped and final.step < final.total else {})


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_mb() -> float:
    """Return the largest memory so far: allocated on the GPU, else resident in the computer."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit(how: Any, side: int, device: str, seconds: float, small: bool, *, planes: int = 1) -> Row:
    """Fit one image, or the stack."""
    side = side // 8 if small else side
    how = how.model_copy(update={"steps": SMALL_STEPS}) if small else how
    noisy, clean = fish(side) if planes == 1 else stack(side)
    denoise(fish(64)[0], how.model_copy(update={"steps": 5}), device=device)
    axes = "YX" if planes == 1 else "TYX"
    final, row = follow(iter_denoise(noisy, how, axes=axes, device=device), seconds)
    return row | {"psnr": score(clean, np.asarray(final.image.pixels))}


def training(device: str, seconds: float, small: bool) -> dict[str, Row]:
    """Train IDDP on its 17 images, score it on them, and apply it to larger images and the stack."""
    pairs, data = {"fish": fish(512)}, "fish"
    if (DATA / "fmd_test_mix").is_dir() and not small:
        from iddp import images

        pairs, data = images("fmd"), "fmd, 17 images"
    how = IDDP(steps=4500)
    if small:
        how, pairs = IDDP(steps=SMALL_STEPS, channels=4), {"fish": fish(64)}
    noisy = [raw for raw, _ in pairs.values()]
    denoise(
        noisy[0],
        napari_dip.train(noisy[:1], IDDP(steps=4, channels=4), device=device),
        device=device,
    )
    final, row = follow(iter_train(noisy, how, device=device), seconds)
    model = final.model
    answers = [score(clean, denoise(raw, model, device=device)) for raw, clean in pairs.values()]
    rows = {report_gpu.TRAINING: row | {"psnr": float(np.mean(answers)), "data": data}}
    cut = {"model_of_steps": row["steps"]} if "stopped" in row else {}
    for name, (raw, clean) in {
        "applied, 512": fish(64 if small else 512),
        "applied, 1024": fish(128 if small else 1024),
        "applied, stack of five": stack(64 if small else 512),
    }.items():
        axes = "TYX"[-raw.ndim :]
        final, row = follow(iter_denoise(raw, model, axes=axes, device=device), seconds)
        rows[name] = row | cut | {"psnr": score(clean, np.asarray(final.image.pixels))}
    return rows


def card(device: str, seconds: float, small: bool) -> dict[str, Row]:
    """Measure an operation on few numbers, a convolution and a copy: no fit can be faster."""
    where, side = pick_device(device), 64 if small else 512
    few, image = torch.ones(8, device=where), torch.randn(1, 64, side, side, device=where)
    weight = torch.randn(64, 64, 3, 3, device=where)

    def timed(work: Callable[[], Any], count: int) -> float:
        for _ in range(3):
            work()
        synchronise()
        began = time.perf_counter()
        for _ in range(count):
            work()
        synchronise()
        return (time.perf_counter() - began) / count

    operation = timed(lambda: few.add_(1), 200 if small else 5000)
    count = 2 if small else 10
    convolution = timed(
        lambda: torch.nn.functional.conv2d(image, weight, padding=1),
        count if where.type == "cpu" else 100,
    )
    copy = timed(image.clone, count if where.type == "cpu" else 100)
    flops = 2 * 64 * 64 * 9 * side**2
    return {
        "card": {
            "microseconds_an_operation": operation * 1e6,
            "tflops": flops / convolution / 1e12,
            "gb_a_second": 2 * image.numel() * 4 / copy / 1e9,
        }
    }


def reference(
    device: str, seconds: float, small: bool, folder: Path | None = None
) -> dict[str, Row]:
    """Time a step of the network of somebody's copy of the reference repository."""
    if folder is None:
        return {}
    where, side = pick_device(device), 64 if small else 512
    warm, count = (1, SMALL_STEPS) if where.type == "cpu" else (WARM_UP, TIMED)
    steps = reference_steps(str(folder), fish(side)[0] / 255, device)
    seconds_a_step(steps, warm, time.perf_counter)
    each = seconds_a_step(steps, count, time.perf_counter)  # it reads the loss, so nothing is left
    return {
        "reference, a step": {
            "steps": count,
            "seconds": count * each,
            "steps_a_second": 1 / each,
            "peak_mb": peak_mb(),
        }
    }


def counts(device: str, seconds: float, small: bool) -> dict[str, Row]:
    """Count operations, waits and copies in a step, on the stand-in for a device of the tests."""
    sys.path.insert(0, str(ROOT / "tests"))
    import pytest
    from test_device import STEPS, count_steps

    rows: dict[str, Row] = {}
    for method, (begin, *_) in list(STEPS.items())[: 1 if small else None]:
        plain = count_steps(begin, pytest.MonkeyPatch())
        rows[method] = {
            "operations": min(count for _, count in plain),
            "waits": max(waits.get("read", 0) for waits, _ in plain),
            "copies": max(waits.get("copied", 0) for waits, _ in plain),
        }
    return {"counts": rows}


def one(name: str, how: Any, side: int, **more: Any) -> Callable[..., dict[str, Row]]:
    """Return a part that is one fit."""
    return lambda *given: {name: fit(how, side, *given, **more)}


PARTS: dict[str, Callable[..., dict[str, Row]]] = {
    "counts": counts,
    "card": card,
    "blind-spot-512": one("BlindSpot 512", BlindSpot(), 512),
    "blind-spot-2048": one("BlindSpot 2048", BlindSpot(), 2048),
    "stack": one("BlindSpot, stack of five", BlindSpot(), 512, planes=IN_STACK),
    "iddp": training,
    "patchdip-512": one("PatchDIP 512", PatchDIP(), 512),
    "dip-paper-512": one("DIP paper 512", DIP.preset("paper"), 512),
    "reference": reference,
}


def run_part(name: str, args: argparse.Namespace) -> dict[str, Row]:
    """Run a part in a process of its own; return its rows."""
    command = [sys.executable, __file__, "--one", name, "--device", args.device]
    command += ["--seconds", str(args.seconds), "--steps", args.steps]
    command += ["--reference", str(args.reference)] if args.reference else []
    try:  # a process that hangs is no reason to lose the other parts
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=4 * args.seconds + 120, check=True
        )
    except subprocess.TimeoutExpired:
        return {name: {"error": "It did not end."}}
    except subprocess.CalledProcessError as error:
        return {name: {"error": (error.stderr.strip().splitlines() or ["It broke."])[-1]}}
    return json.loads(done.stdout.splitlines()[-1])


def parse(given: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--steps", choices=("full", "small"), default="full")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args(given)
    unknown = {*args.parts.split(",")} - {*PARTS}
    if unknown:
        parser.error(f"There is no part {min(unknown)!r}; give some of {', '.join(PARTS)}.")
    if args.steps == "small" and args.results == RESULTS and not args.one:
        parser.error("A run with --steps small tries the script: give --results another folder.")
    return args


def main(given: list[str] | None = None) -> None:
    """Run what is not recorded yet, and write the record and the page after each part."""
    args = parse(given)
    small = args.steps == "small"
    if args.one:
        warnings.simplefilter("ignore")
        part = PARTS[args.one]
        part = partial(part, folder=args.reference) if args.one == "reference" else part
        print(json.dumps(part(args.device, args.seconds, small)))
        return
    about = describe_device(pick_device(args.device))
    path = args.results / "gpu.json"
    record = json.loads(path.read_text()) if path.exists() else {"counts": {}, "devices": {}}
    mine = record["devices"].setdefault(about["device_name"], {"done": [], "rows": {}})
    mine |= {"about": about, "machine": machine()}
    for name in args.parts.split(","):
        known = record["counts"] if name == "counts" else name in mine["done"]
        if (known and not args.again) or (name == "reference" and not args.reference):
            continue
        rows = run_part(name, args)
        if name == "counts" and "error" not in rows["counts"]:
            record["counts"] = rows.pop("counts")
        mine["rows"] |= rows
        broken = any("error" in row for row in rows.values())
        mine["done"] = sorted({*mine["done"], name} - ({name} if broken else set()))
        print(name, json.dumps(rows), flush=True)
        args.results.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        report_gpu.main(args.results)


if __name__ == "__main__":
    main()
