"""How long a fresh interpreter takes to import the package, and the command to print its help.

    python benchmarks/start_up.py [--runs 7]

The empty interpreter is timed beside them, run by run; medians and the shortest run are printed and saved in
docs/results/start_up.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
from common import machine, save

CASES = {
    "empty interpreter": ["-c", "pass"],
    "import napari_dip": ["-c", "import napari_dip"],
    "napari-dip --help": ["-m", "napari_dip", "--help"],
}


def main() -> None:
    """Time each case in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(runs):
        for name, words in CASES.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    rows = {
        name: {"median": float(np.median(s)), "shortest": min(s)} for name, s in seconds.items()
    }
    for name, row in rows.items():
        print(f"{name}: median {row['median']:.2f} s, shortest {row['shortest']:.2f} s")
    save("start_up", {"runs": runs, "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
