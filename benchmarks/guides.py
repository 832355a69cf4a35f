"""What a guide brings: another capture of the same place, a strange image, and the truth itself.

    python benchmarks/guides.py [--fields mice,fish,BPAE_G] [--seeds 0,1,2] [--name guides]

The field is one frame of `still` of scenes.py, 128 x 128, range 255; the twin is its next frame, with noise of its own; the
stranger is a frame of another field. PSNR in dB of the default fit alone and with each guide, and whether the guide was left
out. CPU seconds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from common import machine, save
from scenes import still

from napari_dip import BlindSpot, Guided, iter_denoise, iter_restore_guided, last, psnr

STRANGERS = {"mice": "fish", "fish": "BPAE_G", "BPAE_G": "mice"}


def main() -> None:
    """Run the fits and save them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fields", default="mice,fish,BPAE_G")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--name", default="guides")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for field in given.fields.split(","):
        for seed in map(int, given.seeds.split(",")):
            noisy, clean = still(field, seed, frames=2)
            stranger = still(STRANGERS[field], seed, frames=2)[0][0]
            guides = {"alone": None, "twin": noisy[1], "stranger": stranger, "truth": clean[0]}
            for name, guide in guides.items():
                began = time.process_time()
                how = BlindSpot(seed=seed) if guide is None else Guided(seed=seed)
                steps = (
                    iter_denoise(noisy[0], how, device="cpu")
                    if guide is None
                    else iter_restore_guided(noisy[0], guide, how, device="cpu")
                )
                notes: list[str] = []
                answer = last(notes.append(snapshot.note) or snapshot for snapshot in steps)
                row = {
                    "field": field,
                    "seed": seed,
                    "guide": name,
                    "psnr": round(
                        float(psnr(clean[0], np.asarray(answer.image.pixels), data_range=255)), 3
                    ),
                    "left_out": "left out" in " ".join(notes),
                    "cpu_seconds": round(time.process_time() - began, 1),
                }
                rows.append(row)
                print(row, flush=True)
    print(save(given.name, {"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
