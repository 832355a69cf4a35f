"""Training in two processes against one with the same whole batch: the loss curves of 200 steps, on generated images.

    python benchmarks/ranks.py                     # writes docs/results/ranks.json

Each run is a process (or two, started by torchrun) of one thread on the CPU. Adam divides each gradient by its own size,
so that the rounding of small ones is blown up: two runs that differ in the last bit drift apart. Therefore three
comparisons: in float64, where rounding is out of the way; in float32; and, to know what that is worth, one process
against itself with its first weights changed in the last bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from napari_dip import IDDP, N2V, Image

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "ranks.json"
SIZES = {
    "steps": 200,
    "channels": 8,
    "filter_channels": 8,
    "filter_layers": 2,
    "batch": 4,
    "crop": 48,
}
HOWS = {"iddp": IDDP(**SIZES), "n2v": N2V(start="blur", **SIZES)}
RUNS = {  # processes, type, whether the first weights are changed in the last bit
    "one, float64": (1, "float64", False),
    "two, float64": (2, "float64", False),
    "one, float32": (1, "float32", False),
    "two, float32": (2, "float32", False),
    "one, float32, last bit changed": (1, "float32", True),
}


def data() -> Image:
    """Return four noisy images of one pattern."""
    y, x = np.mgrid[:256, :256]
    clean = 60 + 40 * np.sin(y / 5) * np.cos(x / 7)
    return Image(
        np.random.default_rng(0).poisson(np.broadcast_to(clean, (4, 256, 256))).astype("uint16"),
        "TYX",
    )


def curve(method: str, kind: str, changed: bool) -> dict[str, object]:
    """Train in this process, and return the losses."""
    import torch

    from napari_dip.data_sets.build_dataset import build_dataset
    from napari_dip.training.crops import Batch, Crops
    from napari_dip.training.processes import current_group
    from napari_dip.training.state import State
    from napari_dip.training.steps import training_steps

    class Typed(Crops):
        def draw(self, *arguments: object) -> Batch:
            batch = super().draw(*arguments)  # type: ignore[arg-type]
            return Batch(batch.noisy.to(dtype))

    torch.set_num_threads(1)
    dtype, how = getattr(torch, kind), HOWS[method]
    state = State(how, 1, torch.device("cpu"))
    for net in (state.net, state.mean):
        net.to(dtype)
    with torch.no_grad():
        for weight in state.net.parameters():
            weight.mul_(1 + 2**-23 if changed else 1)
    crops = Typed(
        build_dataset(data()).with_noise(True),
        how.crop,
        stabilise=True,
        held_out_share=0.0,
        generator=state.generator,
    )
    cpu = time.process_time()
    losses = [float(step.loss) for step in training_steps(state, crops, {}, current_group())]
    return {"loss": losses, "cpu_seconds_of_a_process": time.process_time() - cpu}


def run(method: str, processes: int, kind: str, changed: bool) -> dict[str, object]:
    """Train in so many processes, and return the curve of the first."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "curve.json"
        words = [__file__, "--part", method, kind, str(int(changed)), str(file)]
        command = [sys.executable, *(launch if processes > 1 else []), *words]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return json.loads(file.read_text())


def part(method: str, kind: str, changed: str, file: str) -> None:
    """Be one of the processes."""
    from napari_dip.training.processes import ALONE, join_group

    with join_group("cpu") if "RANK" in os.environ else nullcontext(ALONE) as group:
        found = curve(method, kind, changed == "1")
        if group.is_first:
            Path(file).write_text(json.dumps(found))


def main() -> None:
    """Compare both methods and write the record."""
    record: dict[str, object] = {"settings": SIZES}
    for method in HOWS:
        runs = {name: run(method, *what) for name, what in RUNS.items()}
        losses = {name: np.array(found["loss"]) for name, found in runs.items()}
        pairs = (
            ("one, float64", "two, float64"),
            ("one, float32", "two, float32"),
            ("one, float32", [*RUNS][4]),
        )
        record[method] = {
            "greatest difference of the loss": {
                f"{a} - {b}": {
                    f"steps 1 to {end}": float(np.abs(losses[a] - losses[b])[:end].max())
                    for end in (20, 50, 100, 200)
                }
                for a, b in pairs
            },
            "cpu_seconds_of_a_process": {
                name: found["cpu_seconds_of_a_process"] for name, found in runs.items()
            },
            "losses_every_10_steps": {name: found["loss"][9::10] for name, found in runs.items()},
        }
        print(
            method,
            json.dumps(record[method]["greatest difference of the loss"], indent=1),
            flush=True,
        )
    RESULT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    part(*sys.argv[2:]) if "--part" in sys.argv else main()
