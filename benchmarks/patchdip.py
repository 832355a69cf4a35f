"""PatchDIP beside what it is compared with in its paper: Figure 2 (denoising) and Figure 3 (fitting what does not repeat).

    python benchmarks/patchdip.py [--part denoise|fit] [--images set12/01+gaussian25,...] [--size 128] [--steps 900]
                                  [--channels 32] [--device cpu] [--name patchdip] [--columns "DIP, skip/PatchDIP"] [--seed 0]

denoise: Deep Decoder, DIP, non-local means, BM3D (where the extra bm3d-noncommercial is installed; its licence is
non-commercial) and PatchDIP. *DIP, skip* and *PatchDIP, random start* have the same network (skip, 4 scales), rate and
schedule, and as many steps; at 128 x 128 a step of either fits as many pixels. *BlindSpot* is the default method,
*PatchDIP* has the preset ``fast``; those of other seeds stand as ``PatchDIP, seed 1``. Only the columns asked for are made, the others stay. Given is
the peak PSNR of the averaged answer of each ("peak") and that of the answer which the stopping rule takes, 5 per cent of the pixels being hidden from the fit ("stopped").
fit: the loss over the steps, with uniform noise (left) and with the patches of one photograph against patches of as many
photographs (right). The paper's size is ``--size 512 --channels 128 --steps 3000 --device cuda --name patchdip_full``.
Results are added to docs/results/NAME.json after every image, so that the table can be made in pieces.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from unittest import mock

import numpy as np
import torch
from common import RESULTS, gat_blur, gaussian_j, machine, pair, save, score, vst_bm3d, vst_nlm

from napari_dip import DIP, BlindSpot, Image, PatchDIP, denoise
from napari_dip.engine.filters import early_stopped
from napari_dip.engine.loop import Step
from napari_dip.engine.malloc import keep_freed_memory
from napari_dip.engine.plane import Plane
from napari_dip.methods import dip
from napari_dip.methods.patchdip import fit as patchdip
from napari_dip.planes.image_statistics import measure_image

IMAGES = ",".join(
    [
        *(f"set12/{n}+gaussian25" for n in ("01", "05", "08", "11")),
        "BPAE_G",
        "fish",
        "TwoPhoton_BPAE_B_1",
    ]
)
PHOTOGRAPHS = [f"set12/{n:02d}+gaussian25" for n in range(1, 10)]


# Deep Image Prior without what its preset fast adds: one fit, the measured image not weighed in.
PLAIN = {"jitter": 1 / 30, "input_channels": 32, "weigh": False, "restarts": 1, "dropout": 0.1}


def steps_of(
    y: torch.Tensor,
    how: DIP | PatchDIP,
    watch: Callable[[Step], None] | None = None,
    noise: float = 1.0,
) -> Iterator[Step]:
    """Yield the steps of a fit, and let `watch` see each before the stopping rule does."""
    method = dip if isinstance(how, DIP) else patchdip

    def watched(steps: Iterator[Step]) -> Iterator[Step]:
        for step in steps:
            if watch is not None:
                watch(step)
            yield step

    def rule(steps: Iterator[Step], *args: object, **kwargs: object) -> Iterator[Step]:
        return early_stopped(watched(steps), *args, **kwargs)

    with mock.patch.object(method, "early_stopped", rule):
        yield from method.fit(Plane(y, noise), how)


def fitted(
    noisy: np.ndarray, clean: np.ndarray, how: DIP | PatchDIP, device: str
) -> dict[str, float]:
    """Return the best PSNR that the averaged answer has on the way, its step, and the PSNR of the answer taken."""
    unit = measure_image(Image(noisy), stabilise=how.stabilise).unit_ranges[0]
    y = torch.as_tensor(unit.to_unit(noisy[None].astype(np.float64)), dtype=torch.float32).to(
        device
    )
    scores: dict[int, float] = {}

    def psnr_of(step: Step) -> float:
        return score(clean, unit.from_unit(step.answer[0].double().cpu().numpy()))

    def watch(step: Step) -> None:
        if step.output is not None and (isinstance(how, PatchDIP) or step.index % 10 == 0):
            scores[step.index] = psnr_of(step)

    with keep_freed_memory(y.device):
        for step in steps_of(y, how, watch, unit.noise):
            last = step
    at = max(scores, key=scores.get)
    return {
        "peak": scores[at],
        "stopped": psnr_of(last),
        "peak_step": at,
        "stopped_step": last.chosen,
    }


def denoisers(args: argparse.Namespace) -> dict[str, object]:
    """Return each column's function of (noisy, clean): an image, or a peak."""
    same = {
        "steps": args.steps,
        "channels": args.channels,
        "scales": 4,
        "learning_rate": 0.01,
        "patience": args.steps,
    }
    plain = {"averaging": 0.97, **PLAIN}
    skip = DIP(net="skip", **plain, **same)
    decoder = DIP(net="decoder", **plain, **{**same, "channels": 2 * args.channels})
    columns = {"Gaussian J": gaussian_j, "GAT+blur": gat_blur, "VST+NLM": vst_nlm}
    if find_spec("bm3d"):
        columns["VST+BM3D"] = vst_bm3d
    columns["BlindSpot"] = partial(denoise, how=BlindSpot(), device=args.device)
    columns = {
        name: partial(lambda f, y, x: {"stopped": score(x, f(y))}, f) for name, f in columns.items()
    }
    fast = f"PatchDIP, seed {args.seed}" if args.seed else "PatchDIP"
    for name, how in (
        ("Deep Decoder", decoder),
        ("DIP, skip", skip),
        ("PatchDIP, random start", PatchDIP(start="random", averaging=0.95, **same)),
        (fast, PatchDIP(seed=args.seed)),
    ):
        columns[name] = partial(fitted, how=how, device=args.device)
    wanted = [name for name in args.columns.split("/") if name]
    return {name: column for name, column in columns.items() if not wanted or name in wanted}


def compare(args: argparse.Namespace, result: dict[str, object]) -> None:
    """Fill in Figure 2."""
    columns = denoisers(args)
    print("| image | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for name in args.images.split(","):
        noisy, clean = pair(name, args.size)
        row = {"raw": {"stopped": score(clean, noisy)}, **result["denoise"].get(name, {})}
        for label, column in columns.items():
            started, used = time.perf_counter(), time.process_time()
            found = {key: round(value, 3) for key, value in column(noisy, clean).items()}
            wall, cpu = time.perf_counter() - started, time.process_time() - used
            row[label] = {**found, "seconds": round(wall, 1), "cpu_seconds": round(cpu, 1)}
        result["denoise"][name] = row
        cells = [
            " / ".join(f"{row[c][k]:.2f}" for k in ("peak", "stopped") if k in row[c])
            for c in columns
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        save(args.name, result)


def losses(image: np.ndarray, how: DIP | PatchDIP, device: str) -> list[float]:
    """Return the loss of every tenth step, the mean of ten."""
    y = torch.as_tensor(image[None], dtype=torch.float32).to(device)
    with keep_freed_memory(y.device):
        loss = [step.loss.item() for step in steps_of(y, how)]
    return [round(float(np.mean(loss[i : i + 10])), 6) for i in range(0, len(loss), 10)]


def block(tiles: list[np.ndarray]) -> np.ndarray:
    """Put nine tiles together."""
    return np.block([tiles[3 * i : 3 * i + 3] for i in range(3)])


def fit(args: argparse.Namespace, result: dict[str, object]) -> None:
    """Fill in Figure 3."""
    same = {
        "steps": args.steps,
        "channels": args.channels,
        "scales": 4,
        "learning_rate": 0.01,
        "schedule": "constant",
    }
    how = {"stop": "never", "held_out_share": 0.0, "stabilise": False, **same}
    noise = np.random.default_rng(0).uniform(0, 1, (args.size, args.size))
    apart = PatchDIP(start="random", stride=64, **how)  # no patch shares a pixel with another
    photographs = [pair(name, 192)[1] / 255 for name in PHOTOGRAPHS]
    tiles = [
        [p[64 * i : 64 * i + 64, 64 * j : 64 * j + 64] for i in range(3) for j in range(3)]
        for p in photographs
    ]
    mosaics = [[tiles[photograph][place] for photograph in range(9)] for place in range(9)]
    for name, image, settings in (
        ("noise, DIP", noise, DIP(net="skip", **{**PLAIN, "jitter": 0}, **how)),
        ("noise, PatchDIP", noise, PatchDIP(start="random", **how)),
        *((f"nine patches of photograph {n}", block(tiles[n]), apart) for n in (0, 4, 7)),
        *((f"patch {n} of nine photographs", block(mosaics[n]), apart) for n in (0, 4, 7)),
    ):
        variance = float(image.var())
        curve = losses(image, settings, args.device)
        result["fit"][name] = {"variance": variance, "loss": curve}
        print(
            name,
            "variance",
            round(variance, 4),
            "loss / variance",
            np.round(np.array(curve) / variance, 3)[::5],
            flush=True,
        )
        save(args.name, result)


def main() -> None:
    """Measure the parts asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["denoise", "fit"], default="denoise")
    parser.add_argument("--images", default=IMAGES)
    parser.add_argument(
        "--columns", default="", help="names of columns between slashes; all by default"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the column PatchDIP")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="patchdip")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = RESULTS / f"{args.name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"denoise": {}, "fit": {}}
    result |= {
        "size": args.size,
        "channels": args.channels,
        "steps": args.steps,
        "machine": machine(),
    }
    (compare if args.part == "denoise" else fit)(args, result)


if __name__ == "__main__":
    main()
