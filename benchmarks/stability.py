"""Does IDDP collapse? Many short trainings by the default preset, and long ones by a flag; each is judged by ground truth.

    python benchmarks/stability.py [--data fmd,w2s,gaussian25] [--seeds 0-9] [--steps 400] [--set key=value ...]
    python benchmarks/stability.py --long [--data fmd,gaussian25] [--seeds 0]        # ten times the default steps

The data sets are those of `benchmarks/iddp.py`, trained on blind. A run's record holds the final validation error; the share q of the
redrawn noise that the network lets through (its last value, its greatest, the greatest of the running mean that the watch sees, and
20 points of its course); whether the watch went back, or ended the run; and the PSNR of one image of the set against the raw image and
against the Gaussian calibrated by J-invariance. A run that ended well in its own eyes, but is less than 1 dB above raw or more than
1 dB below the Gaussian, is counted as a silent collapse. PSNR for the range 255; on W2S after an affine match.

Runs that stand in docs/results/stability.json are skipped, so the script may be stopped and started again; a long run goes on
from its checkpoint (`--checkpoints`, a folder that is kept out of the repository).
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, gaussian_j, machine, save
from iddp import Pairs, images

from napari_dip import IDDP, Model, denoise, psnr
from napari_dip.errors import DenoiseError
from napari_dip.training.collapse import MEMORY, PASSED_ALARM
from napari_dip.training.train import iter_train

SHOWN = {"fmd": "fish", "gaussian25": "set12/01+gaussian25"}  # else the first image
LEAST_GAIN, MOST_LOSS = 1.0, 1.0  # dB over raw, dB below the Gaussian
POINTS = 20


def seeds_of(text: str) -> list[int]:
    """Read ``0-9`` or ``0,3,5``."""
    first, dash, end = text.partition("-")
    return (
        list(range(int(first), int(end) + 1)) if dash else [int(word) for word in text.split(",")]
    )


def figure(clean: np.ndarray, image: np.ndarray, data: str) -> float:
    """PSNR for the range 255, after an affine match on W2S."""
    return psnr(clean, np.clip(image, 0, 255), data_range=255, affine=data == "w2s")


def course(passed: list[float]) -> dict[str, object]:
    """Sum up q, one value for each step of IDDP's own."""
    if not passed:
        return {}
    running, mean = [], math.nan
    for value in passed:
        mean = value if math.isnan(mean) else MEMORY * mean + (1 - MEMORY) * value
        running.append(mean)
    at = np.linspace(0, len(passed) - 1, POINTS).round().astype(int)
    return {
        "q_last": passed[-1],
        "q_most": max(passed),
        "q_running_last": running[-1],
        "q_running_most": max(running),
        "q_course": [round(passed[i], 4) for i in at],
    }


def run(data: str, how: IDDP, folder: Path | None) -> dict[str, object]:
    """Train once and judge the result."""
    pairs = images(data)
    noisy = [y for y, _ in pairs.values()]
    kept = None if folder is None else folder / f"{data}_{how.seed}_{how.steps}.safetensors"
    history = None if kept is None else kept.with_suffix(".json")
    before: dict = (
        json.loads(history.read_text()) if history is not None and history.exists() else {}
    )
    passed, notes = list(before.get("passed", [])), list(before.get("notes", []))
    resume = kept is not None and kept.exists()
    cpu, written, found, error, validation = time.process_time(), time.monotonic(), {}, "", []
    try:
        for snap in iter_train(noisy, how, device="cpu", checkpoint=kept, resume=resume):
            if "passed" in snap.measures:
                passed = [*passed[: snap.step - how.filter_steps - 1], snap.measures["passed"]]
            if snap.criterion is not None:
                validation.append(snap.criterion)
            notes += [snap.note] if snap.note else []
            if (
                snap.step == snap.total
            ):  # before the last checkpoint is written, from which nothing would go on
                found = judged(pairs, snap.model, data)
            if history is not None and time.monotonic() - written > 30:
                history.write_text(json.dumps({"passed": passed, "notes": notes}))
                written = time.monotonic()
    except DenoiseError as refused:
        error = str(refused)
    row = {
        "data": data,
        "seed": how.seed,
        "steps": how.steps,
        "of_iddp": how.steps - how.filter_steps,
        "cpu_seconds": time.process_time() - cpu,
        "validation": validation[-1] if validation else None,
        "returns": sum("went back" in note for note in notes),
        "notes": list(dict.fromkeys(notes)),
        "ended_with": error,
        **course(passed),
    }
    return row if error else row | found


def judged(pairs: Pairs, model: Model, data: str) -> dict[str, object]:
    """Say how far the model's answer is from the raw image and from the Gaussian, on one image."""
    name = SHOWN.get(data, next(iter(pairs)))
    y, x = pairs[name]
    raw, blur, found = (
        figure(x, image, data) for image in (y, gaussian_j(y), denoise(y, model, device="cpu"))
    )
    silent = found - raw < LEAST_GAIN or blur - found > MOST_LOSS
    return {
        "image": name,
        "psnr": found,
        "over_raw": found - raw,
        "over_gaussian": found - blur,
        "collapsed": silent,
    }


def line(row: dict) -> str:
    """Say one run in a line."""
    if row["ended_with"]:
        return f"{row['data']} seed {row['seed']}, {row['steps']} steps: ENDED: {row['ended_with']}"
    words = "COLLAPSED IN SILENCE" if row["collapsed"] else "well"
    return (
        f"{row['data']} seed {row['seed']}, {row['steps']} steps: {words}; {row['over_raw']:+.2f} dB over raw, "
        f"{row['over_gaussian']:+.2f} over the Gaussian, validation {row['validation'] or math.nan:.3f}, q last "
        f"{row.get('q_last', math.nan):.3f}, most {row.get('q_most', math.nan):.3f}, went back {row['returns']} times, "
        f"{row['cpu_seconds']:.0f} CPU s"
    )


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="fmd,w2s,gaussian25")
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument(
        "--long",
        action="store_true",
        help="ten times the default steps; seed 0 unless --seeds is given",
    )
    parser.add_argument(
        "--checkpoints", type=Path, default=Path(tempfile.gettempdir()) / "napari-dip-stability"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="stability")
    parser.add_argument("--set", nargs="*", default=[], help="settings to change, as key=value")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    changes = {
        key: ast.literal_eval(value) for key, value in (word.split("=") for word in args.set)
    }
    steps = 10 * IDDP().steps if args.long else args.steps
    seeds = [0] if args.long and args.seeds == parser.get_default("seeds") else seeds_of(args.seeds)
    folder = args.checkpoints if args.long else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{args.name}.json"
    runs: dict[str, dict] = json.loads(path.read_text())["runs"] if path.exists() else {}
    suffix = "".join(f" {word}" for word in sorted(args.set))
    for data in args.data.split(","):
        for seed in seeds:
            key = f"{data} seed {seed} steps {steps}{suffix}"
            if key not in runs:
                runs[key] = run(data, IDDP(**{**changes, "seed": seed, "steps": steps}), folder)
                save(args.name, {"machine": machine(), "alarm_at": PASSED_ALARM, "runs": runs})
                print(line(runs[key]), flush=True)
    ended, silent = (
        sum(bool(r.get(k)) for r in runs.values()) for k in ("ended_with", "collapsed")
    )
    back = sum(bool(r["returns"]) for r in runs.values())
    print(
        f"{len(runs)} runs: {silent} collapsed in silence, {ended} ended with the reason, {back} went back and on"
    )


if __name__ == "__main__":
    main()
