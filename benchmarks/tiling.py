"""A trained network in tiles against the whole plane at once: time, memory and difference.

python benchmarks/tiling.py --side 2048
Each of the two runs is a process of its own, so that each has a peak of memory of its own; the weights are random.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import machine, save
from torch import nn

from napari_dip.models.tiled_apply import TILE, _margin, apply_in_tiles
from napari_dip.nets.filter_unet import BlurredUNet
from napari_dip.settings import IDDP

NETS = {"default": IDDP(), "channels 8": IDDP(channels=8, filter_channels=8)}


def network(settings: IDDP) -> BlurredUNet:
    """Build the network of these settings, its weights random but not 0."""
    names = ("channels", "depth", "start", "blur", "filter_channels", "filter_layers")
    torch.manual_seed(0)
    net = BlurredUNet(1, **{name: getattr(settings, name) for name in names}).eval()
    nn.init.normal_(net.unet.last.weight, std=0.1)
    return net


def one(name: str, side: int, tile: int, runs: int, out: Path) -> None:
    """Apply the network and print CPU seconds, the peak of memory, and where the answer lies."""
    torch.set_num_threads(1)
    net, y = (
        network(NETS[name]),
        torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, side, side))).float(),
    )
    times = []
    with torch.no_grad():
        net(y[..., :256, :256])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(runs):
            started = time.process_time()
            answer = apply_in_tiles(net, y, tile)
            times.append(time.process_time() - started)
    np.save(out, answer.numpy())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": min(times),
                "peak_bytes": peak * 1024,
                "grown_bytes": (peak - before) * 1024,
            }
        )
    )


def main() -> None:
    """Measure each network at once and in tiles, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--one", nargs=3, metavar=("NET", "TILE", "OUT"), help=argparse.SUPPRESS)
    choices = parser.parse_args()
    if choices.one:
        name, tile, out = choices.one
        one(name, choices.side, int(tile), choices.runs, Path(out))
        return
    rows = {}
    for name in choices.nets.split(","):
        row: dict[str, object] = {"margin": _margin(network(NETS[name]))}
        answers = {}
        with tempfile.TemporaryDirectory() as folder:
            for label, tile in (("whole", choices.side), ("tiles", TILE)):
                out = Path(folder) / f"{label}.npy"
                command = [
                    sys.executable,
                    __file__,
                    "--side",
                    str(choices.side),
                    "--runs",
                    str(choices.runs),
                ]
                done = subprocess.run(
                    [*command, "--one", name, str(tile), str(out)], check=True, capture_output=True
                )
                row[label], answers[label] = json.loads(done.stdout), np.load(out)
        row["overhead"] = row["tiles"]["seconds"] / row["whole"]["seconds"]
        row["largest_difference"] = float(
            np.abs(answers["tiles"] - answers["whole"]).max() / np.ptp(answers["whole"])
        )
        rows[name] = row
        print(name, row, flush=True)
    print(
        "wrote",
        save(
            "tiling",
            {
                "side": choices.side,
                "tile": TILE,
                "rows": rows,
                "machine": {**machine(), "threads": 1},
            },
        ),
    )


if __name__ == "__main__":
    main()
