"""Two figures of the IDDP paper, measured again: what becomes of the noise (Figure 4), and the stop-gradient (Figure 7).

    python benchmarks/iddp_figures.py [--figures 4,7] [--steps 600] [--channels 32] [--threads 1]

Data: six photographs of Set12 with Gaussian noise of sigma 25, not clipped, so that the noise n is known.

Figure 4: histograms of n, of what the network removes, y - F(y), and of n2, the noise drawn again by new signs, after some shares of the
training, on the first photograph. How far two histograms are apart is given as their total variation distance: 0 the same, 1 apart.
Twice: the default preset, whose filter is learned first, and the start at a Gaussian blur, where all steps are IDDP's.

Figure 7: loss and PSNR (first photograph) over the steps with stop-gradient, without, and with Eq. 9 (alpha draws to the noisy image, not
to the blurred one), with the default's constants from a Gaussian blur and with the paper's from its start at zero. The watch is
switched off: these are the losses as they are. Nothing is averaged, neither weights nor orientations.

Written to docs/results/iddp_figures.json, iddp_figure_4.png and iddp_figure_7.png.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from common import DATA, RESULTS, machine, save, score

from napari_dip import IDDP, Model, add_gaussian, denoise, read
from napari_dip.noise.units import UNIT
from napari_dip.training import collapse as watch
from napari_dip.training.losses.iddp import signs, up_to_level
from napari_dip.training.train import iter_train

SIGMA = 25.0
PHOTOGRAPHS = (1, 2, 3, 4, 5, 6)
SHARES = (0.05, 0.25, 0.5, 1.0)  # of IDDP's own steps, at which Figure 4 looks
EDGES = np.linspace(-4, 4, 81)  # of the histograms, in units of sigma
CURVE = 24  # points of Figure 7
LOSSES: dict[str, dict[str, object]] = {
    "stop-gradient": {},
    "no stop-gradient": {"stop_gradient": False},
    "Eq. 9": {"target": "image"},
    "Eq. 4": {"target": "image-alone"},
}
COLOURS = {"stop-gradient": "C0", "no stop-gradient": "C3", "Eq. 9": "C1", "Eq. 4": "C2"}


def photographs() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return noisy and clean photographs."""
    clean = [
        np.asarray(read(DATA / "set12" / f"{k:02d}.png").pixels, np.float32) for k in PHOTOGRAPHS
    ]
    return [add_gaussian(x, sigma=SIGMA, seed=k) for k, x in enumerate(clean)], clean


def answer(y: np.ndarray, model: Model) -> np.ndarray:
    """Denoise in one orientation."""
    once = replace(model, settings=model.settings.model_copy(update={"orientations": 1}))
    return np.asarray(denoise(y, once, device="cpu"), dtype=np.float64)


def figure_4(how: IDDP) -> dict[str, object]:
    """Follow the histograms through one training."""
    noisy, clean = photographs()
    y, noise = noisy[0].astype(np.float64), (noisy[0].astype(np.float64) - clean[0]) / SIGMA
    own = how.steps - how.filter_steps
    looks = {how.filter_steps + max(1, round(share * own)) for share in SHARES} | {
        max(how.filter_steps, 1)
    }
    true = np.histogram(noise, EDGES, density=True)[0]
    rows = []
    for snap in iter_train(noisy, how, device="cpu"):
        if snap.step not in looks:
            continue
        image = answer(y, snap.model)
        removed = (y - image) / SIGMA
        drawn = redrawn(removed, how)
        found = [np.histogram(values, EDGES, density=True)[0] for values in (removed, drawn)]
        apart = [float(np.abs(h - true).sum() * np.diff(EDGES)[0] / 2) for h in found]
        rows.append(
            {
                "step": snap.step,
                "psnr": score(clean[0], image),
                "std_removed": float(removed.std()),
                "std_drawn": float(drawn.std()),
                "correlation_with_n": float(np.corrcoef(removed.ravel(), noise.ravel())[0, 1]),
                "apart_removed": apart[0],
                "apart_drawn": apart[1],
                "removed": [round(float(v), 4) for v in found[0]],
                "drawn": [round(float(v), 4) for v in found[1]],
            }
        )
        print(
            f"figure 4, {how.start}: step {snap.step}, {rows[-1]['psnr']:.2f} dB, apart {apart}",
            flush=True,
        )
    return {"settings": how.to_json(), "true": [round(float(v), 4) for v in true], "looks": rows}


def redrawn(removed: np.ndarray, how: IDDP) -> np.ndarray:
    """Draw the removed noise again as the loss does."""
    r = torch.from_numpy(removed / UNIT).float()[None, None]
    flipped = signs(r, torch.Generator().manual_seed(0)) * (
        up_to_level(r) if how.known_level else r
    )
    return (how.gain * flipped * UNIT)[0, 0].double().numpy()


def figure_7(how: IDDP) -> dict[str, object]:
    """Follow loss and PSNR through one training."""
    noisy, clean = photographs()
    every, losses, curve, mean = max(1, how.steps // CURVE), [], [], math.nan
    for snap in iter_train(noisy, how, device="cpu"):
        losses.append(snap.loss)
        if snap.step % every == 0 or snap.step in (1, how.steps):
            mean = float(np.mean(losses))
            curve.append(
                [
                    snap.step,
                    mean,
                    score(clean[0], answer(noisy[0], snap.model)),
                    snap.measures.get("passed"),
                ]
            )
            losses = []
    print(
        f"figure 7, {how.start}, {how.target}, stop {how.stop_gradient}: {curve[-1][2]:.2f} dB at last",
        flush=True,
    )
    return {"settings": how.to_json(), "raw": score(clean[0], noisy[0]), "curve": curve}


def plot_4(result: dict) -> None:
    """Draw one row a training, one panel a look."""
    import matplotlib.pyplot as plt

    trainings = result["figure_4"]
    columns = max(len(t["looks"]) for t in trainings.values())
    figure, axes = plt.subplots(
        len(trainings), columns, figsize=(3.1 * columns, 5.4), sharex=True, sharey=True
    )
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    for row, (name, training) in zip(axes, trainings.items(), strict=True):
        for panel, look in zip(row, training["looks"], strict=False):
            panel.fill_between(middle, training["true"], color="0.8", label="true noise n")
            panel.plot(middle, look["removed"], color="C0", label="removed, y - F(y)")
            panel.plot(middle, look["drawn"], color="C3", ls="--", label="drawn again, n2")
            panel.set_title(f"step {look['step']}, {look['psnr']:.2f} dB", fontsize=9)
            panel.set_ylim(0, 1.1 * max(training["true"]) * 1.35)
        for panel in row[len(training["looks"]) :]:
            panel.set_axis_off()
        row[0].set_ylabel(f"{name}\ndensity")
    for panel in axes[-1]:
        panel.set_xlabel("noise / sigma")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(RESULTS / "iddp_figure_4.png", dpi=80)


def plot_7(result: dict) -> None:
    """Draw the losses above, the PSNR below; a column for each choice of constants."""
    import matplotlib.pyplot as plt

    columns = result["figure_7"]
    figure, axes = plt.subplots(
        2, len(columns), figsize=(4.6 * len(columns), 6), sharex="col", squeeze=False
    )
    for number, (name, runs) in enumerate(columns.items()):
        above, below = axes[0][number], axes[1][number]
        for label, run in runs.items():
            step, loss, quality, _ = zip(*run["curve"], strict=True)
            above.plot(step, loss, color=COLOURS[label], label=label)
            below.plot(step, quality, color=COLOURS[label])
        below.axhline(run["raw"], color="0.5", ls=":", lw=1)
        below.text(step[-1], run["raw"], "raw", ha="right", va="bottom", fontsize=8, color="0.4")
        above.set(yscale="log", title=name, ylabel="loss")
        below.set(xlabel="step", ylabel="PSNR, dB")
        above.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "iddp_figure_7.png", dpi=80)


def main() -> None:
    """Run what is asked for, keep the rest of the record, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--figures", default="4,7")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--draw-only", action="store_true", help="draw the record again")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = RESULTS / "iddp_figures.json"
    result: dict = json.loads(path.read_text()) if path.exists() else {}
    size = {"steps": args.steps, "channels": args.channels, "held_out_share": 0.0}
    jobs: dict[str, Callable[[], None]] = {
        "4": lambda: _run_4(result, size),
        "7": lambda: _run_7(result, size),
    }
    for number in args.figures.split(","):
        if not args.draw_only:
            jobs[number]()
            result |= {"machine": machine(), "steps": args.steps, "channels": args.channels}
            save("iddp_figures", result)
        {"4": plot_4, "7": plot_7}[number](result)


def _run_4(result: dict, size: dict) -> None:
    trainings = {
        "filter learned first": IDDP(**size),
        "start at a blur": IDDP(**size, start="blur"),
    }
    result["figure_4"] = {name: figure_4(how) for name, how in trainings.items()}


def _run_7(result: dict, size: dict) -> None:
    watch.PASSED_ALARM, watch.CONTRAST_ALARM = math.inf, -math.inf
    bare = {**size, "averaging": 0.0, "stabilise": False}
    paper = {"alpha": 0.001, "known_level": False, "start": "zero"}
    columns = {
        "default's constants, start at a blur": {"start": "blur"},
        "paper's alpha, start at zero": paper,
    }
    result["figure_7"] = {
        name: {
            label: figure_7(IDDP(**bare, **column, **changes)) for label, changes in LOSSES.items()
        }
        for name, column in columns.items()
    }


if __name__ == "__main__":
    main()
