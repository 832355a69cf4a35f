"""The planes before and after in a stack: what they bring, and what they must not do.

    python benchmarks/stacks_neighbours.py [--scenes mice_0.8,mice_blink] [--seeds 0,1,2] [--neighbours 0,1,2]
                                           [--frames 12] [--set steps=600] [--name stack_neighbours]

Scenes are those of scenes.py: `tuning` and `test` name its two parts. The seed is that of the scene and of the fit; each
stack is denoised in one call. PSNR in dB for the range 255, or that of the truth where it is no field of FMD, over the
frames where something was measured; CPU seconds; what the answer's provenance says of steps and neighbours. And:

still, captures: `flicker`, the standard deviation over time of a still pixel (root mean square over pixels), and that of a
Gaussian blur calibrated frame by frame, and of the noisy stack.
blink: `own`, the height of a spot in the answer in its own frame, `beside`, in the frames before and after, and `far`, two
frames away or more (neighbours too, where there are two on each side); in % of its height in the truth, the mean over spots.
z_stack: `correlation` of the profile of a bead along z with that in the truth (mean and least over beads), and `dim`: the
share of the beads' intensity kept in planes where it is 5 to 40% of that in the brightest.
"""

from __future__ import annotations

import argparse
import ast
import json
import time

import numpy as np
import torch
from common import RESULTS, gaussian_j, machine, save
from scenes import SCENES, TEST, TUNING, WIDTH

from napari_dip import BlindSpot, iter_denoise, last, psnr

Result = dict[str, object]
OWN_RANGE = ("cells", "z_stack")  # the others are fields of FMD, range 255
HALF = 4  # pixels on each side of a spot that are looked at


def by_frame(name: str, clean: np.ndarray, image: np.ndarray) -> list[float | None]:
    """Return the PSNR of each frame; None where nothing was measured, or nothing is wrong."""
    top = float(np.ptp(clean)) if name in OWN_RANGE else 255.0
    scores = [
        float(psnr(c, i, data_range=top)) if np.isfinite(c).all() else np.inf
        for c, i in zip(clean, image, strict=True)
    ]
    return [round(s, 3) if np.isfinite(s) else None for s in scores]


def mean(scores: list[float | None]) -> float:
    """Return the mean of what is there."""
    return round(float(np.mean([s for s in scores if s is not None])), 3)


def flicker(stack: np.ndarray) -> float:
    """Return the standard deviation over time, root mean square over pixels."""
    return round(float(np.sqrt(stack.var(axis=0, ddof=1).mean())), 4)


def spots(clean: np.ndarray, answer: np.ndarray, places: np.ndarray) -> Result:
    """Fit each spot's shape to what the answer has there in every frame, and compare the heights."""
    y, x = np.mgrid[-HALF : HALF + 1, -HALF : HALF + 1]
    shape = np.exp(-(y**2 + x**2) / (2 * WIDTH**2))
    shape -= shape.mean()  # a window that is brighter all over has no spot
    frames = np.arange(len(clean))
    heights: dict[str, list[float]] = {"own": [], "beside": [], "far": []}
    for own, top, left in places:
        window = (..., slice(top - HALF, top + HALF + 1), slice(left - HALF, left + HALF + 1))
        around = np.delete(clean[window], own, axis=0).mean(axis=0)  # still, apart from the spot
        found, true = (((stack[window] - around) * shape).sum((1, 2)) for stack in (answer, clean))
        found = 100 * found / true[own]
        away = np.abs(frames - own)
        for key, where in (("own", away == 0), ("beside", away == 1), ("far", away > 1)):
            heights[key].append(float(found[where].mean()))
    result: Result = {key: round(float(np.mean(value)), 2) for key, value in heights.items()}
    error = np.std(heights["beside"], ddof=1) / np.sqrt(len(places))
    return result | {"beside_error": round(float(error), 2), "spots": len(places)}


def beads(clean: np.ndarray, answer: np.ndarray, places: np.ndarray) -> Result:
    """Compare the intensity of beads, summed around them in each plane, with that in the truth.

    Left out are those with part of a cell in the ring around that tells the background.
    """
    y, x = np.mgrid[-6:7, -6:7]
    near, ring = np.hypot(y, x) < 3.5, np.hypot(y, x) > 4.5
    windows = [
        (..., slice(t - 6, t + 7), slice(u - 6, u + 7)) for t, u in places[:, 1:].astype(int)
    ]
    windows = [w for w in windows if np.ptp(clean[w][:, ring]) < 0.1 * np.ptp(clean[w][:, near])]
    true, found = (
        np.stack(
            [stack[w][:, near].sum(1) - near.sum() * stack[w][:, ring].mean(1) for w in windows]
        )
        for stack in (clean, answer)
    )
    part = true / true.max(axis=1, keepdims=True)
    is_dim = (part > 0.05) & (part < 0.4)
    alike = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(true, found, strict=True)]
    return {
        "correlation": round(float(np.mean(alike)), 4),
        "correlation_least": round(min(alike), 4),
        "bright": round(float(found[part >= 0.4].sum() / true[part >= 0.4].sum()), 4),
        "dim": round(float(found[is_dim].sum() / true[is_dim].sum()), 4),
        "beads": len(windows),
    }


def figures(name: str, clean: np.ndarray, answer: np.ndarray, places: list[np.ndarray]) -> Result:
    """Return what the scene was made to show."""
    scores = by_frame(name, clean, answer)
    result: Result = {"psnr": mean(scores), "psnr_by_frame": scores}
    if name.endswith("still") or name.startswith("captures"):
        result["flicker"] = flicker(answer)
    elif "_blink" in name:
        result |= spots(clean, answer, *places)
    elif name == "z_stack":
        result |= beads(clean, answer, *places)
    return result


def run(
    name: str, seed: int, neighbours: int, frames: int, changed: dict[str, object]
) -> tuple[Result, Result]:
    """Denoise one scene; return what was measured on the answer, and on the scene before."""
    noisy, clean, *places = SCENES[name](seed=seed, frames=frames)
    known = {"neighbours": neighbours} if "neighbours" in BlindSpot.model_fields else {}
    how = BlindSpot.model_validate({"seed": seed, **known, **changed})
    axes = "ZYX" if name == "z_stack" else "TYX"
    started = time.process_time()
    final = last(iter_denoise(noisy, how, axes=axes, device="cpu"))
    row = {"cpu_seconds": round(time.process_time() - started, 1)}
    row |= figures(name, clean, np.asarray(final.image), places)
    said = ("steps_planned", "steps_chosen")
    row |= {k: v for k, v in final.provenance.items() if k in said or k.startswith("neighbour")}
    before = figures(name, clean, noisy, places)
    if "flicker" in before:
        before["flicker_of_blur"] = flicker(np.stack([gaussian_j(frame) for frame in noisy]))
    return row, before


def main() -> None:
    """Measure, print and save after every stack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--neighbours", default="0,1,2", help="planes on each side")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="stack_neighbours")
    parser.add_argument(
        "--set", nargs="*", default=[], help="settings of BlindSpot to change, as key=value"
    )
    args = parser.parse_args()
    sides = [int(n) for n in args.neighbours.split(",")]
    if any(sides) and "neighbours" not in BlindSpot.model_fields:
        parser.error("BlindSpot has no setting `neighbours` here: give --neighbours 0")
    torch.set_num_threads(args.threads)
    changed = {key: _value(word) for key, word in (pair.split("=") for pair in args.set)}
    path = RESULTS / f"{args.name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    result |= {"frames": args.frames, "machine": machine(), "changed": changed}
    groups = {"tuning": TUNING, "test": TEST}
    for name in (n for word in args.scenes.split(",") for n in groups.get(word, (word,))):
        for seed in args.seeds.split(","):
            for side in sides:
                row, before = run(name, int(seed), side, args.frames, changed)
                rows = result["rows"].setdefault(name, {}).setdefault(seed, {})
                rows |= {"noisy": before, str(side): row}
                save(args.name, result)
                print(name, seed, side, json.dumps(row), flush=True)


def _value(word: str) -> object:
    try:
        return ast.literal_eval(word)
    except ValueError:
        return word


if __name__ == "__main__":
    main()
