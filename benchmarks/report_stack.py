"""Write the part of docs/results/stack.md on neighbouring planes, from the JSON files in docs/results.

python benchmarks/report_stack.py

They are left by stacks_neighbours.py (stack_neighbours.json), by the comparison with other programs (stack_peers.json) and by
stack_training.py (stack_training.json); what is not there is left out. The part stands between two marks; the rest of the page
is written by hand.
"""

from __future__ import annotations

import numpy as np
from report import RESULTS, load, made_by, table
from scenes import TEST, TUNING

BEGIN, END = "<!-- neighbours -->", "<!-- end of neighbours -->"
SIDES = ("0", "1", "2")
Runs = dict[str, dict]  # by the seed, then by "noisy" or the number of neighbours


def neighbours() -> str:
    """Scenes with and without the planes before and after."""
    result = load("stack_neighbours")
    if result is None:
        return ""
    rows = result["rows"]
    text = (
        f"Moving scenes with truth (`benchmarks/scenes.py`), {result['frames']} frames of 128 x 128, each denoised in one call; PSNR in dB, "
        "the mean over frames and seeds (in brackets the standard deviation over seeds), for 0, 1 and 2 planes before and after. "
        "Settings of the neighbours were tuned on the scenes of the first table alone; those of the method itself were chosen on single images of some of the same "
        "fields (benchmarks/tried.md).\n"
    )
    for title, names in (("Tuned on", TUNING), ("Kept apart", TEST)):
        lines = [psnr_row(name, rows[name]) for name in names if name in rows]
        if lines:
            head = [title, "seeds", "noisy", *SIDES, "gain of 2", "CPU s, 0", "CPU s, 2"]
            text += "\n" + table(head, lines)
    for part in (flicker, blinking, beads):
        text += part(rows)
    note = f" {result['note']}" if "note" in result else ""
    return f"{text}\n{made_by(result, 'python benchmarks/stacks_neighbours.py')}{note}\n"


def psnr_row(name: str, runs: Runs) -> list[str]:
    """Return one line of the table of a scene."""
    scores = {key: values(runs, key, "psnr") for key in ("noisy", *SIDES)}
    pairs = [
        run["2"]["psnr"] - run["0"]["psnr"] for run in runs.values() if {"0", "2"} <= run.keys()
    ]
    seconds = (mean(values(runs, key, "cpu_seconds"), 0) for key in ("0", "2"))
    gain = f"{np.mean(pairs):+.2f}" if pairs else ""
    return [name, str(len(runs)), *(mean(s, 2) for s in scores.values()), gain, *seconds]


def flicker(rows: dict[str, Runs]) -> str:
    """Still fields: how far a pixel of the answer moves over time."""
    lines = [
        [
            name,
            *(mean(values(runs, key, "flicker"), 3) for key in ("noisy", *SIDES)),
            mean(values(runs, "noisy", "flicker_of_blur"), 3),
        ]
        for name, runs in rows.items()
        if values(runs, "noisy", "flicker")
    ]
    if not lines:
        return ""
    return (
        "\nStill fields: the standard deviation over time of a pixel that does not change, root mean square over the pixels, beside "
        "that of a Gaussian blur calibrated frame by frame.\n\n"
        + table(["scene", "noisy", *SIDES, "blur"], lines)
    )


def blinking(rows: dict[str, Runs]) -> str:
    """Spots in one frame only: what is left of them, and what of them is seen beside."""
    keys = ("own", "beside", "far")
    lines = [
        [name, side, *(mean(values(runs, side, key), 1) for key in keys)]
        for name, runs in rows.items()
        for side in SIDES
        if values(runs, side, "own")
    ]
    if not lines:
        return ""
    return (
        "\nSpots that light up in one frame only: their height in the answer in that frame, in the frames before and after, and further "
        "away (two frames or more: where there are two neighbours on each side, those two away see it too), in % of the true height.\n\n"
        + table(["scene", "neighbours", "own frame", "beside", "further"], lines)
    )


def beads(rows: dict[str, Runs]) -> str:
    """Beads in a z stack: whether their profile along z is kept."""
    runs = rows.get("z_stack", {})
    keys = ("correlation", "correlation_least", "bright", "dim")
    lines = [
        [side, *(mean(values(runs, side, key), 3) for key in keys)]
        for side in SIDES
        if values(runs, side, "dim")
    ]
    if not lines:
        return ""
    return (
        "\nBeads of the z stack: the correlation of their profile along z with the truth (mean, least), and the share of their intensity that "
        "is kept in planes where it is 40% or more of the brightest (*bright*), and 5 to 40% (*dim*).\n\n"
        + table(["neighbours", "correlation", "least", "bright", "dim"], lines)
    )


def peers() -> str:
    """Other programs that use the frames before and after."""
    result = load("stack_peers")
    if result is None:
        return ""
    lines = []
    for name, row in result["rows"].items():
        for run in row.get("runs", [row]):
            seconds = run.get("cpu_seconds", 0) + sum(
                run.get(f"{part}_cpu_seconds", 0) for part in ("train", "apply")
            )
            trained = f"trained for {run.get('train_cpu_seconds', 0):.0f} s"
            lines.append(
                [name, run.get("setting", trained), f"{seconds:.0f}", f"{run['psnr']:.2f}"]
            )
    why = " ".join(f"{name}: {row['why']}." for name, row in result["not_run"].items())
    movie = result["movie"]
    return (
        f"## Beside other programs\n\n{movie['scene']}, noisy {movie['raw']:.2f} dB. {result['how']}\n\n"
        + table(["program", "settings", "CPU seconds", "PSNR"], lines)
        + f"\nNot run to an end: {why}\n"
    )


def training() -> str:
    """Trained methods that see the frames before and after."""
    result = load("stack_training")
    if result is None:
        return ""
    sides = sorted(
        {
            side
            for ms in result["rows"].values()
            for m in ms.values()
            for s in m.values()
            for side in s
        }
    )
    lines = [
        [
            content,
            method,
            str(len(runs)),
            mean([run[sides[0]]["psnr_noisy"] for run in runs.values()], 2),
            *(mean(values(runs, side, "psnr"), 2) for side in sides),
            *(mean(values(runs, side, "seconds_a_frame"), 1) for side in sides),
        ]
        for content, methods in result["rows"].items()
        for method, runs in methods.items()
    ]
    head = ["field", "method", "seeds", "noisy", *sides, *(f"s a frame, {s}" for s in sides)]
    return (
        f"## Trained on the frames before\n\nThe first two thirds of {result['frames']} frames are trained on ({result['steps']} steps), the rest is "
        "denoised; PSNR in dB on these, for so many planes before and after.\n\n"
        + table(head, lines)
        + "\n"
        + made_by(result, result.get("command", "python benchmarks/stack_training.py"))
        + (f"At {result['code']}.\n" if "code" in result else "")
    )


def section(title: str, text: str, head: list[str], lines: list[list[str]], made: str) -> str:
    """Return a part of the page: what was done, its table, what made it."""
    return f"## {title}\n\n{text}\n\n{table(head, lines)}\n{made}"


def guides() -> str:
    """Another image of the same place."""
    result = load("guides")
    if result is None:
        return ""
    psnr = {(row["field"], row["seed"], row["guide"]): row["psnr"] for row in result["rows"]}
    lines = []
    for field in dict.fromkeys(row["field"] for row in result["rows"]):
        seeds = sorted({seed for name, seed, _ in psnr if name == field})
        alone = mean([psnr[field, seed, "alone"] for seed in seeds], 2)
        gains = [
            ", ".join(
                f"{psnr[field, seed, guide] - psnr[field, seed, 'alone']:+.2f}" for seed in seeds
            )
            for guide in ("twin", "stranger", "truth")
        ]
        lines.append([field, alone, *gains])
    text = (
        "`restore_guided` beside the default method alone, one frame of 128 x 128; the gain in dB for each seed, with "
        "another capture of the same place (*twin*), a frame of another field (*stranger*, which was left out each time) and the truth."
    )
    head = ["field", "alone", "twin", "stranger", "truth"]
    made = made_by(result, "python benchmarks/guides.py")
    return section("With a guide", text, head, lines, made)


def film() -> str:
    """Blind errors of a film without truth."""
    result = load("film_without_truth")
    if result is None:
        return ""
    sides = list(result["rows"])
    errors = [np.multiply(result["rows"][side]["blind_errors"], 1e5) for side in sides]
    lines = [
        [str(number), *(f"{e:.2f}" for e in frame)]
        for number, frame in enumerate(zip(*errors, strict=True))
    ]
    text = (
        "Lysosomes: the least mean squared error on pixels that are hidden from the loss, in 1e-5 of the stabilised range "
        "squared, for so many frames before and after. Most of it is the noise of the hidden pixels."
    )
    made = made_by(result, "python benchmarks/film_without_truth.py")
    return section("A film without truth", text, ["frame", *sides], lines, made)


def memory() -> str:
    """Memory against the length of a stack."""
    result = load("stack_memory")
    if result is None:
        return ""
    lines = [
        [str(row["planes"]), f"{row['megabytes']:.0f}", f"{row['cpu_seconds'] / row['planes']:.2f}"]
        for row in result["rows"]
    ]
    steps, channels = result["steps"], result["channels"]
    text = (
        f"The command line on planes of {result['side']} x {result['side']}, {result['neighbours']} neighbours on each side, "
        f"{steps} step(s) of {channels} channels: largest resident memory."
    )
    made = made_by(
        result, f"python benchmarks/stack_memory.py --steps {steps} --channels {channels}"
    )
    return section("Memory", text, ["planes", "MB", "CPU s a plane"], lines, made)


def values(runs: Runs, side: str, key: str) -> list[float]:
    """Return a figure of every seed that has it."""
    return [run[side][key] for run in runs.values() if key in run.get(side, {})]


def mean(numbers: list[float], digits: int) -> str:
    """Format a mean, with the standard deviation of several."""
    if not numbers:
        return ""
    spread = f" ({np.std(numbers, ddof=1):.{digits}f})" if len(numbers) > 1 and digits else ""
    return f"{np.mean(numbers):.{digits}f}{spread}"


def main() -> None:
    """Write the part of the page."""
    page = RESULTS / "stack.md"
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    written = neighbours()
    parts = [
        f"## With the planes before and after\n\n{written}" if written else "",
        peers(),
        training(),
        guides(),
        film(),
        memory(),
    ]
    middle = "\n".join(part for part in parts if part)
    page.write_text(f"{before}{BEGIN}\n\n{middle}\n{END}{after}")


if __name__ == "__main__":
    main()
