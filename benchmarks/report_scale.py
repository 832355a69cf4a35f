"""Write docs/results/scale.md from the JSON files that tiling.py and large_stack.py left in docs/results.

python benchmarks/report_scale.py
"""

from __future__ import annotations

from report import RESULTS, load, made_by, table

HEAD = """# Results: large images and stacks

What large data cost in time and memory; written by `benchmarks/report_scale.py` from the JSON files beside it. CPU seconds on a
machine that was busy with other work. MB are 10^6 bytes.
"""


def tiling() -> str:
    """Tiles against the whole plane."""
    result = load("tiling")
    if result is None:
        return ""
    rows = [
        [
            name,
            str(row["margin"]),
            *(f"{row[how]['seconds']:.1f}" for how in ("whole", "tiles")),
            f"{row['overhead']:.2f}",
            *(f"{row[how]['peak_bytes'] / 1e6:.0f}" for how in ("whole", "tiles")),
            f"{row['largest_difference']:.1e}",
        ]
        for name, row in result["rows"].items()
    ]
    head = [
        "network",
        "overlap (pixels)",
        "whole (s)",
        "tiles (s)",
        "overhead",
        "whole (MB)",
        "tiles (MB)",
        "difference",
    ]
    return (
        f"## A trained network in tiles\n\nA plane of {result['side']} x {result['side']} pixels, tiles of {result['tile']}; asked: at most "
        "1.3 times the time and a difference under 1e-4 of the range. The tiles overlap by what the network sees, so a pixel gets the "
        "answer that it has in the whole plane and nothing is blended; what is left is rounding. Peak memory of the process.\n\n"
        + table(head, rows)
        + "\n"
        + made_by(result, f"python benchmarks/tiling.py --side {result['side']}")
    )


def stacks() -> str:
    """Stacks through the command line."""
    found = [(path.stem, load(path.stem)) for path in sorted(RESULTS.glob("large_stack*.json"))]
    rows = [
        [
            " x ".join(map(str, r["shape"])),
            f"{r['bytes'] / 1e6:.0f}",
            r["output"],
            f"{r['peak_bytes'] / 1e6:.0f}",
            f"{r['seconds'] / 60:.0f}",
            f"{r['cpu_seconds_children'] / (r['shape'][0] * r['shape'][1] * r['shape'][2]):.2f}",
            "yes" if all(r["right"].values()) else "NO",
            f"{r['largest_difference_to_alone']:.1g}",
        ]
        for _, r in found
    ]
    if not rows:
        return ""
    head = [
        "TZCYX",
        "input (MB)",
        "output",
        "peak memory (MB)",
        "minutes",
        "CPU s a plane",
        "shape, axes, scale, order right",
        "plane alone",
    ]
    some = found[0][1]
    return (
        "## A stack through the command line\n\nA generated uint16 OME-BigTIFF with scale, denoised by `napari-dip denoise --model` in a "
        "process of its own; the model is a small one (4 channels, one orientation), trained for it. *Plane alone*: the largest difference "
        "to that plane denoised alone at the stack's intensity map, by the range.\n\n"
        + table(head, rows)
        + "\nAn answer of 64 MB or more (1.07 GB when this was run) is made in a temporary file and written by the plane: the memory does not grow with the stack.\n\n"
        + made_by(some, "python benchmarks/large_stack.py --gigabytes 6 --threads 1")
    )


def workers() -> str:
    """Two workers against one."""
    result = load("workers")
    if result is None:
        return ""
    rows = [
        [name, f"{r['seconds']:.0f}", f"{r['files_a_minute']:.1f}", f"{r['fits']:.0f}"]
        for name, r in result["rows"].items()
    ]
    two, one = (result["rows"][f"--workers {n}"]["files_a_minute"] for n in (2, 1))
    return (
        f"## Workers\n\n{result['files']} images of {result['side']} x {result['side']}, {result['steps']} steps of BlindSpot each, {result['cores']} cores that did nothing "
        f"else, one thread a process (OMP_NUM_THREADS={result['threads_asked']}). Asked: two workers at least 1.7 times as fast as one; found {two / one:.2f}. "
        "The start of the program and of its workers is in the figure.\n\n"
        + table(["way", "seconds", "files a minute", "seconds of fits"], rows)
        + "\n"
        + made_by(
            result,
            f"OMP_NUM_THREADS=1 python benchmarks/workers.py --files {result['files']} --side {result['side']} --steps {result['steps']}",
        )
    )


def main() -> None:
    """Write the page."""
    (RESULTS / "scale.md").write_text(
        "\n".join(part for part in (HEAD, tiling(), stacks(), workers()) if part)
    )


if __name__ == "__main__":
    main()
