"""Write docs/results/gpu.md from docs/results/gpu.json, which `benchmarks/gpu.py` writes.

python benchmarks/report_gpu.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from report import RESULTS, load, table

TRAINING = "IDDP 4500 steps"
NAMES = {"filter": "iddp, its learned filter", "iddp": "iddp, its own steps"}
CUT = {"stopped", "model_of_steps"}  # in rows whose PSNR says nothing

HEAD = """# Results: GPU

`python benchmarks/gpu.py` runs every kind of work on one GPU in under eight minutes, without napari, and writes this page.
Seconds are those of the clock, memory what was allocated on the GPU at most. Single images are the shipped pair `fish`,
mirrored where larger; the stack is its clean image with five draws of Poisson noise; PSNR in dB for the range 255.
"""
NONE = """**No CUDA GPU was at hand: nothing of this project has run on one so far, nor on a Mac.** What stands for it until then
is the count below, that every method, training, application and restoration is run by the tests on a stand-in for a
device, which refuses float64 and runs out of memory, and that a step waits for nothing. What can be judged on a real GPU
alone, a CUDA graph or `torch.compile` for the step, is left out: nothing is shipped that was never run.
"""
COUNTED = """## What a step does on a device

Counted on the stand-in for a device of the tests (`tests/test_device.py`, whose limits may only fall), in a step that
neither looks at the whole image nor is one of every tenth, whose figures are read. *Waits*: how often a number is read from the device,
which has to finish all its work first. *Copies* come from the host's memory, pinned, and nothing waits for them. A GPU takes 5 to 10
microseconds to begin an operation, so that many operations on few pixels leave it idle.
"""
CPU = """The rows of a processor are of the same script (`--device cpu`), in CPU seconds, as other work on the machine makes
those of the clock longer. A training of 4500 steps and DIP `paper` take too long for it: IDDP on its 17 images reaches
{:.2f} dB on a processor (`benchmarks/iddp.py`), with which that of a GPU is compared.
"""


def main(results: Path = RESULTS) -> None:
    """Write the page beside the record."""
    record = json.loads((results / "gpu.json").read_text())
    devices = record["devices"]
    gpus = {name: one for name, one in devices.items() if one["about"]["device"] != "cpu"}
    others = {name: one for name, one in devices.items() if name not in gpus and one["rows"]}
    cpu = dict(next(iter(others.values()), {"rows": {}})["rows"])
    cpu[TRAINING] = {"psnr": trained_on_cpu()}
    parts = [HEAD, *([] if gpus else [NONE])]
    parts += [section(name, one, cpu) for name, one in gpus.items()]
    told = CPU.format(cpu[TRAINING]["psnr"])
    parts += [section(name, one, {}) + "\n" + told for name, one in others.items()]
    if record["counts"]:
        head = ["step of", "operations", "waits", "copies"]
        rows = [[NAMES.get(k, k), *map(str, one.values())] for k, one in record["counts"].items()]
        parts += [COUNTED, table(head, rows)]
    (results / "gpu.md").write_text("\n".join(parts))


def trained_on_cpu() -> float:
    """Return the recorded PSNR of IDDP on its 17 images."""
    rows = load("iddp_fmd")["rows"]
    own = [of for name, of in rows.items() if name.startswith("Implicit") and "alone" not in name]
    return float(np.mean([row[0] for images in own for row in images.values()]))


def section(name: str, one: dict[str, Any], cpu: dict[str, Any]) -> str:
    """Return a device's table."""
    about, machine, rows = one["about"], one["machine"], dict(one["rows"])
    card = rows.pop("card", None)
    unit = "CPU s" if about["device"] == "cpu" else "s"
    head = ["work", "steps", "steps a second", "s to the first picture", unit, "PSNR", "MB"]
    of = "cpu_seconds" if about["device"] == "cpu" else "seconds"
    lines = [[title, *cells(row, cpu.get(title, {}), of)] for title, row in rows.items()]
    text = f"## {name}\n\n`{about['device']}`, {about['precision']}, {about['threads']} thread(s), torch {machine['torch']}.\n"
    if card and about["device"] != "cpu":
        text += (
            f"The device itself: {card['microseconds_an_operation']:.1f} microseconds an operation, "
            f"{card['tflops']:.2f} TFLOP/s in a convolution, {card['gb_a_second']:.0f} GB/s in a copy.\n"
        )
    return text + ("\n" + table(head, lines) if lines else "")


def cells(row: dict[str, Any], cpu: dict[str, Any], of: str) -> list[str]:
    """Return a row's cells; the PSNR's difference to that of the CPU where both ran to the end."""
    if "error" in row:
        return [f"broke: {row['error']}", *[""] * 5]
    stopped, seconds = row.get("stopped", False), row.get(of, row["seconds"])
    steps = f"{row['steps']} of {row['of']}, stopped" if stopped else str(row["steps"])
    psnr = f"{row['psnr']:.2f}" if "psnr" in row and not CUT & row.keys() else ""
    if psnr and "psnr" in cpu and not CUT & cpu.keys() and row.get("data") != "fish":
        psnr += f" ({row['psnr'] - cpu['psnr']:+.2f})"
    first = f"{row['first']:.2f}" if "first" in row else ""
    return [
        steps,
        f"{row['steps'] / seconds:.1f}",
        first,
        f"{seconds:.1f}",
        psnr,
        f"{row['peak_mb']:.0f}",
    ]


if __name__ == "__main__":
    main()
