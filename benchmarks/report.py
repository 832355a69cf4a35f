"""Write docs/results/index.md and its figure from the JSON files that the benchmarks left in docs/results.

python benchmarks/report.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
DOCK_TARGET = 0.95

HEAD = """# Results

Every figure names its data, seed, device and command; this page is written by `benchmarks/report.py` from the JSON files
beside it. Figures that fell short of what was hoped for are given as they were measured. PSNR in dB for the range 255,
images clipped to it. The images are the centre 256 x 256 of FMD (Zhang et al., CVPR 2019) and of Set12 photographs with
added noise; what is not shipped must be fetched from its source.

What made a figure stands in its table's head: *BlindSpot* is the default method, *DIP* is Deep Image Prior. The first
table is of the method as it is. The other fits by `BlindSpot` here were run before means of similar places were mixed into its answer, and
before it had that name: their records still call its settings `"method": "dip", "net": "blind-spot"`, and those of the restorations `"method": "dip"`.
"""


def load(name: str) -> dict | None:
    """Read a result, or None where that benchmark has not been run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def table(head: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def made_by(result: dict, command: str) -> str:
    """Say on what and how a result was measured."""
    m = result["machine"]
    return f"`{command}`, {m['processor']}, {m['threads']} thread(s), torch {m['torch']}.\n"


def quality(name: str = "quality") -> str:
    """BlindSpot beside today's alternatives."""
    result = load(name)
    if result is None:
        return ""
    names = list(next(iter(result["rows"].values())))
    rows = [
        [image, *(f"{row[n][0]:.2f} / {row[n][1]:.2f}" for n in names)]
        for image, row in result["rows"].items()
    ]
    confocal = [row for image, row in result["rows"].items() if "TwoPhoton" not in image]
    for label, chosen in (
        ("mean, confocal", confocal),
        ("mean, all", list(result["rows"].values())),
    ):
        means = np.mean([[row[n] for n in names] for row in chosen], axis=0)
        rows.append([f"**{label}**", *(f"{m[0]:.2f} / {m[1]:.2f}" for m in means)])
    seconds = np.mean([[row[n][2] for n in names] for row in result["rows"].values()], axis=0)
    rows.append(["seconds", *(f"{s:.1f}" for s in seconds)])
    lead = (
        result["rows"]["BPAE_R"]["GAT+blur"][0] - result["rows"]["BPAE_R"]["BlindSpot, seed 0"][0]
    )
    of_seeds = [n for n in names if n.startswith("BlindSpot")]
    above = np.mean(
        [row[n][0] - row["VST+BM3D"][0] for row in result["rows"].values() for n in of_seeds]
    )
    settings = result["settings"]["default"] | result["settings"]["changed"]
    if name != "quality":
        command = (
            f"python benchmarks/quality.py --name {name} --set channels={settings['channels']}"
        )
        return (
            f"### The same with {settings['channels']} channels, three seeds\n\n"
            + table(["image", *names], rows)
            + "\n"
            + made_by(result, command)
        )
    return (
        f"## Beside what a microscopist has today\n\nBlindSpot, the default method, {settings['channels']} channels. "
        "PSNR / SSIM. Gaussian J: width calibrated by J-invariance; GAT: generalised Anscombe transform, noise measured on "
        "the image; BM3D with its noise fixed at 1 (non-commercial licence, comparison only). Seconds are wall time on a "
        "machine that was busy with much other work.\n\n" + table(["image", *names], rows) + "\n"
        f"BlindSpot is on average {above:.2f} dB above VST+BM3D, and above the calibrated Gaussian. BPAE_R is the exception to look at: its noise is "
        "correlated along the scan line (0.12 between neighbours, the strongest of the set) and its average of 50 is dimmer "
        f"than the single capture; there a plain blur after GAT is ahead by {lead:.2f} dB.\n\n"
        + made_by(result, "python benchmarks/quality.py")
    )


def stopping() -> str:
    """Chosen step against the best one."""
    text = ""
    for name, title in (
        ("stopping", "BlindSpot"),
        ("stopping_paper_variance", "DIP, published network, reduced; rule: moving variance"),
        ("stopping_paper_heldout", "DIP, published network, reduced; rule: hidden pixels"),
    ):
        result = load(name)
        if result is None:
            continue
        rows = [
            [
                image,
                f"{r['noisy']:.2f}",
                f"{r['best'][1]:.2f} ({r['best'][0]})",
                f"{r['chosen'][1]:.2f} ({r['chosen'][0]})",
                f"{r['gap']:.2f}",
                f"{r['last'][1]:.2f}",
                str(r["steps_run"]),
            ]
            for image, r in result["rows"].items()
        ]
        gaps = [r["gap"] for r in result["rows"].values()]
        head = ["image", "noisy", "best (step)", "chosen (step)", "gap", "last step", "steps run"]
        s = result["settings"]
        text += (
            f"### {title[0].upper()}{title[1:]}\n\n"
            + table(head, rows)
            + f"\nMedian gap **{np.median(gaps):.2f} dB**, worst "
            f"**{max(gaps):.2f} dB** over {len(gaps)} images of {result['size']} x {result['size']}; seed {s['seed']}, "
            f"{s.get('net', s['method'])} network with {s['channels']} channels, at most {s['steps']} steps, stop {s['stop']}.\n\n"
        )
        words = ["python benchmarks/stopping.py", f"--images {','.join(result['rows'])}"]
        if name != "stopping":
            words += [f"--method dip --preset paper --size {result['size']} --name {name}"]
        words += [f"--set channels={s['channels']}"]
        if name != "stopping":
            words += [f"steps={s['steps']}", f"stop=\"'{s['stop']}'\""]
            words += [f"held_out_share={s['held_out_share']:g}"]
        command = " ".join(words)
        text += made_by(result, command) + "\n"
    return (
        "## Knowing when to stop\n\nPSNR of the answer that the rule chose, against the best averaged answer of the same run "
        "at any step.\n\n" + text
        if text
        else ""
    )


RUNS = {"blind-spot": "BlindSpot", "fast": "DIP, fast", "paper": "DIP, paper"}
COLOURS = {"blind-spot": "tab:orange", "fast": "tab:green", "paper": "tab:blue"}


def time_to_quality() -> str:
    """BlindSpot, and DIP's preset fast where it was run, against the published fit."""
    results = [json.loads(p.read_text()) for p in sorted(RESULTS.glob("time_to_quality_*.json"))]
    if not results:
        return ""
    figure({result["data"]: result for result in results})
    quick = [run for run in ("blind-spot", "fast") if any(run in result for result in results)]
    head = ["image", "noisy"]
    head += [cell for run in quick for cell in (RUNS[run], "CPU s")]
    head += ["DIP, paper, best", "at step", "CPU s"]
    head += [cell for run in quick for cell in (f"{RUNS[run]} - paper", "time")]
    paper = results[0]["paper"]["last"]
    return (
        "## Time to quality, against the published fit\n\n"
        "*BlindSpot* is the default method, *DIP, paper* Deep Image Prior as published. Same crop, "
        f"seed 0. The published fit needs {paper[1] / paper[0]:.1f} CPU seconds a step here.\n"
        "Where its best is marked *and rising* the run was cut short before its peak: the figure "
        "is a lower bound of its best PSNR and of its time.\n\n"
        + table(head, [_time_row(result, quick) for result in results])
        + (_fast_seeds(results) if "fast" in quick else "")
        + "\n![PSNR over CPU seconds](time_to_quality.png)\n\n"
        + made_by(results[0], "python benchmarks/time_to_quality.py --threads 1")
    )


def _time_row(result: dict, quick: list[str]) -> list[str]:
    """Return one image's answers of the quick fits, the best of the published one, and how they compare."""
    step, seconds, _, best = result["paper"]["best"]
    rising = " and rising" if step >= result["paper"]["last"][0] - 20 else ""
    answers = [result[run]["last"] if run in result else None for run in quick]
    row = [result["data"], f"{result['noisy']:.2f}"]
    for answer in answers:
        row += [f"{answer[3]:.2f}", f"{answer[1]:.0f}"] if answer else ["", ""]
    row += [f"{best:.2f}{rising}", f"{step:.0f}", f"{seconds:.0f}"]
    for answer in answers:
        row += [f"{answer[3] - best:+.2f}", f"1/{seconds / answer[1]:.0f}"] if answer else ["", ""]
    return row


def _fast_seeds(results: list[dict]) -> str:
    """Return a table of DIP fast from every recorded seed, against a tenth of paper's time."""
    rows = []
    for result in results:
        _, seconds, _, best = result["paper"]["best"]
        runs = [run for key, run in result.items() if key.split(",")[0] == "fast"]
        near = [
            next((point[1] for point in run["curve"] if point[3] >= best - 0.3), None)
            for run in runs
        ]
        rows.append(
            [
                result["data"],
                ", ".join(f"{run['last'][3]:.2f}" for run in runs),
                ", ".join(f"{run['last'][3] - best:+.2f}" for run in runs),
                ", ".join("never" if s is None else f"{s:.0f}" for s in near),
                ", ".join(f"{run['last'][1]:.0f}" for run in runs),
                f"{seconds / 10:.0f}",
            ]
        )
    head = ["image", "answer that the rule chose", "minus the best of paper"]
    head += ["within 0.3 dB of it after CPU s", "whole fit, CPU s", "a tenth of paper's CPU s"]
    return (
        "\nDIP, fast, from the seeds 0, 1 and 2 as far as they were run. The whole fit includes the "
        "steps in which the stopping rule waits.\n\n" + table(head, rows)
    )


def figure(curves: dict[str, dict]) -> None:
    """Draw PSNR over CPU seconds of each run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.4), squeeze=False)
    for ax, (name, result) in zip(axes[0], curves.items(), strict=True):
        for run, label in RUNS.items():
            if run in result:
                points = np.array(result[run]["curve"])
                ax.semilogx(points[:, 1], points[:, 3], color=COLOURS[run], label=label)
                ax.plot(points[-1, 1], points[-1, 3], "o", color=COLOURS[run])
        ax.axhline(result["noisy"], color="gray", ls=":", label="noisy")
        ax.set(title=name, xlabel="CPU seconds", ylabel="PSNR (dB)")
        ax.legend(loc="best", fontsize=8)
    drawing.tight_layout()
    drawing.savefig(RESULTS / "time_to_quality.png", dpi=110)


def responsiveness() -> str:
    """The window during a fit on the CPU."""
    result = load("responsiveness")
    if result is None:
        return ""
    rows = [
        [key.replace("_", " "), f"{value}"]
        for key, value in result.items()
        if not isinstance(value, (dict, list))
    ]
    return (
        "## The window during a fit on the CPU\n\nA 512 x 512 layer fitted by BlindSpot in the dock; ticks of a 50 ms timer of the main "
        f"thread (asked: {DOCK_TARGET:.0%} within 150 ms).\n\n"
        + table(["figure", "value"], rows)
        + "\n"
        + made_by(
            result, 'xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/responsiveness.py'
        )
    )


def start_up() -> str:
    """Import and help in fresh interpreters."""
    result = load("start_up")
    if result is None:
        return ""
    rows = [
        [name, f"{row['median']:.2f}", f"{row['shortest']:.2f}"]
        for name, row in result["rows"].items()
    ]
    return (
        f"## Starting up\n\nSeconds of a fresh interpreter, {result['runs']} runs each.\n\n"
        + table(["what", "median", "shortest"], rows)
        + "\n"
        + made_by(result, "python benchmarks/start_up.py")
    )


def tried() -> str:
    """What failed, too."""
    path = Path(__file__).parent / "tried.md"
    return path.read_text() if path.exists() else ""


def main() -> None:
    """Write the page."""
    parts = [
        HEAD,
        quality(),
        quality("quality_48_channels"),
        time_to_quality(),
        stopping(),
        responsiveness(),
        start_up(),
        tried(),
    ]
    (RESULTS / "index.md").write_text("\n".join(part for part in parts if part))


if __name__ == "__main__":
    main()
