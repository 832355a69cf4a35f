"""Time a step of `DIP` preset `paper` beside a step of the reference implementation of Deep Image Prior.

    python benchmarks/dip_step.py --reference FOLDER [--size 256] [--steps 8] [--turns 3] [--device cpu]

FOLDER is a copy of github.com/DmitryUlyanov/deep-image-prior, which is no part of this project; its networks are
imported from there. Its step is what its notebook on denoising does in each one: the input is shaken, the network applied, the output averaged, the
squared error followed back, Adam's step taken; without the PSNRs and pictures that the notebook makes on the way. Ours is a step of the fit as users run it.
Both take turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from common import machine, save

from napari_dip import DIP, iter_denoise


def reference_steps(folder: str, y: np.ndarray, device: str) -> Iterator[float]:
    """Yield the loss of each step of the reference implementation, with its constants for denoising."""
    sys.path.insert(0, folder)
    from models import get_net

    target = torch.from_numpy(y)[None, None].to(device)
    torch.manual_seed(0)
    net = get_net(
        32,
        "skip",
        "reflection",
        n_channels=1,
        skip_n33d=128,
        skip_n33u=128,
        skip_n11=4,
        num_scales=5,
        upsample_mode="bilinear",
    ).to(device)
    start = torch.rand(1, 32, *y.shape, device=device) / 10
    noise, average = torch.empty_like(start), None
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    while True:
        optimiser.zero_grad()
        out = net(start + noise.normal_() / 30)
        seen = out.detach()
        average = seen if average is None else 0.99 * average + 0.01 * seen
        loss = torch.nn.functional.mse_loss(out, target)
        loss.backward()
        optimiser.step()
        yield loss.item()


def our_steps(y: np.ndarray, device: str) -> Iterator[float]:
    """Yield the loss of each step of ours."""
    how = DIP.preset("paper", stop="never", steps=100_000)
    for snapshot in iter_denoise(y, how, device=device):
        yield snapshot.loss


def seconds_a_step(steps: Iterator[float], count: int, clock: Callable[[], float]) -> float:
    """Return the time of a step."""
    started = clock()
    for _ in range(count):
        next(steps)
    return (clock() - started) / count


def main() -> None:
    """Let both take turns, and write docs/results/dip_step.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    # CPU seconds; on other devices the wall's, since loss.item() waits for them.
    clock = time.process_time if args.device == "cpu" else time.perf_counter
    shape = (args.size, args.size)
    y = np.random.default_rng(0).poisson(50, shape).astype(np.float32) / 100
    runs = {
        "reference": reference_steps(args.reference, y, args.device),
        "ours": our_steps(y, args.device),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(args.turns + 1):
        for name, steps in runs.items():
            seconds = seconds_a_step(steps, args.steps, clock)
            if turn:  # the first one warms up
                times[name].append(round(seconds, 4))
                print(name, times[name][-1], flush=True)
    ratio = min(times["ours"]) / min(times["reference"])
    print(f"ratio {ratio:.2f}")
    made = {"size": args.size, "device": args.device, "seconds_a_step": times, "machine": machine()}
    save(f"dip_step{'' if args.device == 'cpu' else '_gpu'}", {"ratio": round(ratio, 3), **made})


if __name__ == "__main__":
    main()
