"""A model exported for the BioImage Model Zoo beside `denoise`, on the zebrafish image that is shipped.

    python benchmarks/export.py [--model FILE] [--steps 60]

Without a model a small one is trained on the image itself. Says the PSNR of `denoise`, of the exported module, the most
that a pixel differs, and what four tiles without overlap have, each of which measures its own noise. Written to
docs/results/export.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from common import machine, save, score

from napari_dip import IDDP, denoise, export_model, load_model, read, train


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    shipped = Path(str(files("napari_dip"))) / "data"
    noisy, clean = (
        np.asarray(read(shipped / f"fish_{kind}.tif").pixels, np.float32) for kind in ("raw", "gt")
    )
    model = (
        load_model(args.model) if args.model else train(noisy, IDDP(steps=args.steps), device="cpu")
    )
    with tempfile.TemporaryDirectory() as folder:
        package = export_model(model, Path(folder) / "model.zip")
        with zipfile.ZipFile(package) as archive:
            module = torch.jit.load(BytesIO(archive.read("weights.pt")))

    def exported(image: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(np.ascontiguousarray(image))[None, None])[0, 0].numpy()

    ours, theirs = denoise(noisy, model, device="cpu"), exported(noisy)
    tiles = np.block(
        [
            [exported(part) for part in np.array_split(row, 2, axis=1)]
            for row in np.array_split(noisy, 2)
        ]
    )
    found = {
        "denoise": score(clean, ours),
        "exported": score(clean, theirs),
        "most_difference": float(np.abs(ours - theirs).max()),
        "four_tiles": score(clean, tiles),
    }
    print(json.dumps(found, indent=1))
    save("export", {"machine": machine(), "settings": model.settings.to_json(), **found})


if __name__ == "__main__":
    main()
