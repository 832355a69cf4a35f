"""Parts of docs/results/training.md that are no table of methods: stability, Figures 4 and 7, large data."""

from __future__ import annotations

import numpy as np
from report import load, made_by, table


def rates() -> str:
    """Which learning rate suits each method."""
    result = load("iddp_rates")
    if result is None:
        return ""
    tried = sorted({rate for found in result["psnr"].values() for rate in found}, key=float)
    rows = [
        [name, *(f"{found[r]:.2f}" if r in found else "" for r in tried)]
        for name, found in result["psnr"].items()
    ]
    return (
        f"## Learning rates\n\nMean PSNR on the 17 images of FMD after {result['steps']} steps of the default before, seed {result['seed']}; "
        "Noise2Void and Neighbor2Neighbor are compared at their best here, IDDP at 0.001 since (*What was tried*, in [Results](index.md)). The start, an averaging filter that is learned first, has a rate of its own.\n\n"
        + table(["method", *tried], rows)
        + "\n"
        + made_by(
            result,
            "python benchmarks/iddp.py --data fmd --seeds 0 --methods METHOD --set steps=1500 learning_rate=RATE filter_channels=32 depth=2 "
            "beta2=0.999 filter_share=0.8",
        )
    )


def stability() -> str:
    """Count the collapses, of short runs and of long ones."""
    short, long = load("stability"), load("stability_long")
    if short is None:
        return ""
    text = (
        "## Does it collapse?\n\nDefault preset but for what the command sets: a start at a plain blur, so that all steps are IDDP's own, and a narrow "
        "network, **a reduced size**; every run is a seed of its own. q is the share of the redrawn noise that the network lets "
        f"through; the watch alarms at {short['alarm_at']}. PSNR of one image a set, on W2S after an affine match; less than 1 dB over raw or "
        "more than 1 dB below the Gaussian counts as a collapse.\n\n"
        + table(COLLAPSE, _collapses(short))
        + "\n"
        + made_by(
            short,
            "python benchmarks/stability.py --steps 200 --set start=\"'blur'\" channels=16",
        )
        + RUNAWAY
    )
    if long is None:
        return text
    return (
        text
        + "\nTen times the steps that were the default then, seed 0: a start at a plain blur, 8 channels, 2 crops of 48 a step, **a reduced size**; all steps are "
        "IDDP's own, beta2 = 0.999.\n\n"
        + table(COLLAPSE, _collapses(long))
        + "\n"
        + made_by(
            long,
            "python benchmarks/stability.py --steps 60000 --seeds 0 --name stability_long --data gaussian25,fmd --set start=\"'blur'\" channels=8 batch=2 crop=48 depth=2 beta2=0.999 "
            "learning_rate=0.0015",
        )
    )


RUNAWAY = """
One of three full trainings by the default before (seed 2 of 6000 steps, below the default above) ran away: from one step to the next the gradient was 37 times
as long as usual, nine steps later the loss 300 times as large, and the contrast of the answer rose to 60 times the image's. The batch was ordinary; the likely cause is a step of Adam's that went too far
where its mean square of the gradients, over a thousand steps, was small. The watch saw it, went back and said so; the training ended 0.1 dB below the
others. Since then that mean is over a hundred steps (`beta2` = 0.99) and the learning rate is 0.001: the longest gradient of IDDP's own
steps was 0.04 instead of 42 in the runs that were watched (*What was tried*, in [Results](index.md)), and none of the three default trainings above
went back, nor one of the short runs of the table before. The long ones below were not repeated with it.
"""

COLLAPSE = [
    *("data", "steps", "runs", "collapsed in silence", "ended with the reason", "went back and on"),
    *("q at last, worst", "q smoothed, worst", "dB over raw", "dB over the Gaussian"),
]


def _collapses(result: dict) -> list[list[str]]:
    """Return a row for each data set and length."""
    groups: dict[tuple[str, int], list[dict]] = {}
    for run in result["runs"].values():
        groups.setdefault((run["data"], run["steps"]), []).append(run)
    rows = []
    for (data, steps), runs in groups.items():
        ended = [run for run in runs if run["ended_with"]]
        well = [run for run in runs if not run["ended_with"]]
        row = [
            data,
            str(steps),
            str(len(runs)),
            str(sum(run["collapsed"] for run in well)),
            str(len(ended)),
        ]
        row += [str(sum(bool(run["returns"]) for run in runs))]
        for key, form in (("q_last", "{:.3f}"), ("q_running_most", "{:.3f}")):
            found = [run[key] for run in runs if key in run]
            row.append(form.format(max(found)) if found else "")
        for key in ("over_raw", "over_gaussian"):
            found = [run[key] for run in well]
            row.append(f"{min(found):+.2f} to {max(found):+.2f}" if found else "")
        rows.append(row)
    return rows


def figures() -> str:
    """What becomes of the noise, and the stop-gradient."""
    result = load("iddp_figures")
    if result is None:
        return ""
    size = f"Six photographs, sigma 25; {result['steps']} steps and {result['channels']} channels, **a reduced size**"
    command = f"python benchmarks/iddp_figures.py --steps {result['steps']} --channels {result['channels']}"
    text = ""
    if "figure_4" in result:
        rows = [
            [
                name,
                str(look["step"]),
                f"{look['psnr']:.2f}",
                *(f"{look[k]:.3f}" for k in ("std_removed", "std_drawn", "correlation_with_n")),
                *(f"{look[k]:.3f}" for k in ("apart_removed", "apart_drawn")),
            ]
            for name, training in result["figure_4"].items()
            for look in training["looks"]
        ]
        head = [
            "training",
            "step",
            "PSNR",
            "std of removed / sigma",
            "std of n2 / sigma",
            "correlation of removed with n",
        ]
        head += ["removed apart from n", "n2 apart from n"]
        text += (
            "## What becomes of the noise (the paper's Figure 4)\n\nTrue noise n, what is removed, and n2, the noise drawn again, on the first "
            "photograph; *apart* is the total variation distance of two histograms, 0 to 1. "
            + size
            + ".\n\n![Histograms of the noise](iddp_figure_4.png)\n\n"
            + table(head, rows)
            + "\n"
        )
    if "figure_7" in result:
        rows = []
        for column, runs in result["figure_7"].items():
            for label, run in runs.items():
                curve = np.array(
                    [[v if v is not None else np.nan for v in point] for point in run["curve"]]
                )
                best = curve[int(np.argmax(curve[:, 2]))]
                rows.append(
                    [
                        column,
                        label,
                        f"{curve[-1, 1]:.4f}",
                        f"{best[2]:.2f} at {best[0]:.0f}",
                        f"{curve[-1, 2]:.2f}",
                        f"{curve[-1, 3]:.2f}",
                    ]
                )
        text += (
            "## With and without stop-gradient (the paper's Figure 7)\n\nRaw: "
            f"{run['raw']:.2f} dB. {size}, the watch off, nothing averaged.\n\n![Loss and PSNR over the steps](iddp_figure_7.png)\n\n"
            + table(
                [
                    "constants",
                    "loss",
                    "loss at last",
                    "best PSNR at step",
                    "PSNR at last",
                    "q at last",
                ],
                rows,
            )
            + "\n"
            + FOUND
        )
    return text + made_by(result, command)


FOUND = (
    "Without stop-gradient the answer loses its picture within 40 steps, or never gets one: the published reason for it holds. In these "
    "short runs, one seed and no learned filter, Eq. 9 is ahead of Eq. 11; whether it stays so at full length has not been measured.\n\n"
)


def large_data() -> str:
    """Memory and the time of crops."""
    result = load("large_data")
    if result is None:
        return ""
    rows = [
        [
            kind,
            f"{row['bytes'] / 1e9:.1f} GB in {row['files']}",
            f"{row['peak_mb']:.0f} MB",
            f"{row['draw_cpu_ms']:.0f} / {row['draw_wall_ms_mean']:.0f}",
            f"{row['step_cpu_ms']:.0f} / {row['step_wall_ms_mean']:.0f}",
            str(row["steps"]),
        ]
        for kind, row in result.items()
    ]
    head = [
        "stacks",
        "pixels in files",
        "greatest resident memory",
        "drawing a batch, ms of CPU / wall",
    ]
    head += ["the rest of a step, ms of CPU / wall", "steps"]
    return (
        "## More data than memory\n\nDefault IDDP on generated stacks of 2048 x 2048 uint16 planes. Mapped ones cost little; compressed ones are "
        "decoded by the strip. The machine had other work, so the wall times are long.\n\n"
        + table(head, rows)
        + "\n"
        + made_by(next(iter(result.values())), "python benchmarks/large_data.py")
    )
