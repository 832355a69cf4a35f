"""Inpainting, super-resolution, guided restoration: the experiments of the Deep Image Prior paper beside what others do.

    python benchmarks/restorations.py inpaint | upscale | guided | holes [--full] [--device cuda:0] [--steps N]
    python benchmarks/restorations.py page

By default a reduced size for two CPU cores: 256 x 256 crops and the presets `fast`. `--full` takes the whole images and
the presets made for them, for a GPU. Writes docs/results/restorations_TASK.json and, where there is something to see, a
small picture beside it; `page` writes docs/results/restorations.md from them. Scores are for the range 255 (guided: the image's own peak).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, RESULTS, centre, machine, save
from PIL import Image as Picture
from scipy import ndimage

from napari_dip import (
    BlindSpot,
    Guided,
    Inpaint,
    Upscale,
    denoise,
    inpaint,
    psnr,
    restore_guided,
    upscale,
)

HALF = ("set12/01", "set12/02", "set12/09")
SMALL = ("dip_tasks/zebra_GT", "set12/02", "set12/09")
HEAD = """# Results: restorations

This page is written by `benchmarks/restorations.py page` from the records beside it. PSNR in dB for the range 255 unless said
otherwise; seconds are wall time on a machine with much other work. The records were made before BlindSpot and DIP were two methods: in them
BlindSpot is `method: dip` with `net: blind-spot`, and their labels were renamed since.
"""
INPAINT = (
    "PSNR of the whole image, known pixels kept, beside `skimage.restoration.inpaint_biharmonic`."
)
UPSCALE = (
    "Downsampled by 4 with Pillow's Lanczos filter, restored, beside Pillow's bicubic enlargement."
)
GUIDED = """A channel dimmed to a peak of 20 photons (Poisson noise drawn from seed 0), with the bright channel BPAE_R as guide. BPAE_R shows
other structures than BPAE_G; the blank image has none at all; the last row is the channel's own bright capture as guide. PSNR for the
range of 20 photons / correlation of the error with the guide's fine structure, where the image is dark and the guide bright
(painting would make it positive) / root mean square error there, in photons. *unguided*: `BlindSpot`."""
CAPTIONS = {
    "inpaint": "Barbara, middle: what was given, biharmonic, `inpaint`, the truth.",
    "upscale": "Zebra, middle: bicubic, `upscale`, the truth.",
    "guided": "The guide, the dim channel, restored without guide, restored with guide, the truth.",
}
PICTURES = {
    "vase": "## Holes\n\nThe paper's vase at half size: given and filled (preset `holes`, reduced).",
    "library": "The paper's library at half size: given and filled (preset `holes`, reduced).",
    "cave": "## Flash and no flash\n\nThe paper's cave, a corner of it: flash (the guide), no flash, restored (preset `flash`, reduced).",
}
TASKS = DATA / "dip_tasks"
SIDE = 256


def gray(name: str, size: int | None) -> np.ndarray:
    """Read a picture of the development set as gray float32 in [0, 255]; the centre `size` x `size` if given."""
    picture = np.asarray(Picture.open(DATA / f"{name}.png").convert("L"), np.float32)
    return picture if size is None else centre(picture, size)


def score(clean: np.ndarray, image: np.ndarray) -> float:
    """PSNR for the range 255, clipped as a file would be."""
    return round(psnr(clean, np.clip(image, 0, 255), data_range=255), 2)


def run_inpaint(args: argparse.Namespace) -> dict[str, Any]:
    """Half of the pixels missing at random, known ones kept, against inpaint_biharmonic."""
    from skimage.restoration import inpaint_biharmonic

    how = Inpaint.preset("fast", **steps_of(args))
    rows = []
    for name in args.images or HALF:
        clean = gray(name, None if args.full else SIDE)
        mask = np.random.default_rng(0).random(clean.shape) < 0.5
        started = time.monotonic()
        answer = inpaint(np.where(mask, 0, clean), mask, how, device=args.device)
        seconds = time.monotonic() - started
        other = np.where(
            mask, inpaint_biharmonic(np.where(mask, 0, clean / 255), mask) * 255, clean
        )
        row = {
            "image": name,
            "size": list(clean.shape),
            "psnr": score(clean, answer),
            "psnr_missing": score(clean[mask], answer[mask]),
            "psnr_biharmonic": score(clean, other),
            "psnr_missing_biharmonic": score(clean[mask], other[mask]),
            "seconds": round(seconds),
        }
        rows.append(row | {"gain": round(row["psnr"] - row["psnr_biharmonic"], 2)})
        print(rows[-1], flush=True)
        if name == "set12/09":
            picture("inpaint", [np.where(mask, 0, clean), other, answer, clean], crop=128)
    return {"settings": how.to_json(), "missing": 0.5, "images": rows}


def run_upscale(args: argparse.Namespace) -> dict[str, Any]:
    """Four times super-resolution of Lanczos-downsampled pictures, against bicubic."""
    how = Upscale.preset("paper" if args.full else "fast", **steps_of(args))
    rows = []
    for name in args.images or SMALL:
        clean = gray(name, None if args.full else SIDE)
        height, width = (n // 4 * 4 for n in clean.shape)
        clean = clean[:height, :width]
        small = Picture.fromarray(clean).resize(
            (width // 4, height // 4), Picture.Resampling.LANCZOS
        )
        bicubic = np.asarray(small.resize((width, height), Picture.Resampling.BICUBIC))
        started = time.monotonic()
        answer = upscale(np.asarray(small), 4, how, device=args.device)
        row = {
            "image": name,
            "size": [height, width],
            "psnr": score(clean, answer),
            "psnr_bicubic": score(clean, bicubic),
            "seconds": round(time.monotonic() - started),
        }
        rows.append(row | {"gain": round(row["psnr"] - row["psnr_bicubic"], 2)})
        print(rows[-1], flush=True)
        if "zebra" in name:
            picture("upscale", [bicubic, answer, clean], crop=160)
    return {"settings": how.to_json(), "factor": 4, "images": rows}


def run_guided(args: argparse.Namespace) -> dict[str, Any]:
    """A dim channel with a bright one as guide, against the same without one; then flash / no-flash.

    `painted` is the correlation of the error with the guide's fine structure, and `rms` the error, where the image is
    dark and the guide bright; `blank` is an image without any structure.
    """
    how = Guided.preset("paper" if args.full else "fast", **steps_of(args))
    folder = DATA / "fmd_confocal_fov01"
    bright, other = (
        centre(
            np.asarray(Picture.open(folder / f"BPAE_{c}_gt.tif"), np.float32),
            512 if args.full else SIDE,
        )
        for c in "RG"
    )
    fine = bright - ndimage.gaussian_filter(bright, 6)
    rows = []
    own = centre(np.asarray(Picture.open(folder / "BPAE_G_raw.tif"), np.float32), len(other))
    peak = 20.0
    for name, clean, guide in (
        ("BPAE_G with BPAE_R", other / 255 * peak, bright),
        ("blank with BPAE_R", np.full_like(other, 5.0), bright),
        ("BPAE_G with its bright capture", other / 255 * peak, own),
    ):
        if args.images and name not in args.images:
            continue
        dim = np.random.default_rng(0).poisson(clean).astype(np.float32)
        dark = ndimage.gaussian_filter(clean, 2) <= np.quantile(
            ndimage.gaussian_filter(clean, 2), 0.4
        )
        dark &= bright > np.quantile(bright, 0.8)
        answers = {
            "noisy": dim,
            "unguided": denoise(dim, BlindSpot(**steps_of(args)), device=args.device),
            "guided": restore_guided(dim, guide, how, device=args.device),
        }
        row: dict[str, object] = {"image": name, "peak_photons": peak}
        for kind, image in answers.items():
            error = (image - clean)[dark]
            row[kind] = {
                "psnr": round(psnr(clean, image, data_range=peak), 2),
                "painted": round(float(np.corrcoef(error, fine[dark])[0, 1]), 3),
                "rms": round(float(np.sqrt(np.mean(error**2))), 3),
            }
        rows.append(row)
        print(row, flush=True)
        if name == "BPAE_G with BPAE_R":
            shown = [
                image / peak * 255 for image in (dim, answers["unguided"], answers["guided"], clean)
            ]
            picture("guided", [bright, *shown], crop=128)
    if args.images and "cave" not in args.images:
        return {"settings": how.to_json(), "images": rows}
    noflash, flash = (
        np.asarray(Picture.open(TASKS / f"cave01_0{i}_{kind}.jpg").convert("RGB"), np.float32)
        for i, kind in ((1, "noflash"), (0, "flash"))
    )
    if not args.full:
        noflash, flash = (image[:SIDE, :SIDE] for image in (noflash, flash))
    how_flash = Guided.preset(
        "paper" if args.full else "flash"
    )  # neighbouring pixels of a JPEG share their noise
    restored = restore_guided(noflash, flash, how_flash, axes="YXC", device=args.device)
    picture("cave", [flash, noflash, restored], crop=192)
    return {"settings": how.to_json(), "images": rows}


def run_holes(args: argparse.Namespace) -> dict[str, Any]:
    """The paper's vase and library: the holes of the given masks, to look at."""
    how = Inpaint.preset("holes", **steps_of(args))
    for name in args.images or ("vase", "library"):
        colour = np.asarray(Picture.open(TASKS / f"{name}.png").convert("RGB"))
        mask = (
            np.asarray(Picture.open(TASKS / f"{name}_mask.png").convert("L")) < 128
        )  # white is known there
        if not args.full:
            colour, mask = colour[::2, ::2], mask[::2, ::2]
        answer = inpaint(colour, mask, how, axes="YXC", device=args.device)
        picture(name, [np.where(mask[..., None], 0, colour), answer], crop=400)
    return {"settings": how.to_json()}


def steps_of(args: argparse.Namespace) -> dict[str, int]:
    return {"steps": args.steps} if args.steps else {}


def picture(name: str, images: list[np.ndarray], crop: int) -> None:
    """Put the centres of images side by side into docs/results."""
    shown = []
    for image in images:
        top, left = (max(0, (n - crop) // 2) for n in image.shape[:2])
        part = np.clip(image[top : top + crop, left : left + crop], 0, 255)
        part = part if part.ndim == 3 else np.repeat(part[..., None], 3, axis=2)
        shown += [part, np.full((len(part), 4, 3), 255)]
    RESULTS.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.hstack(shown[:-1]).astype(np.uint8)).save(
        RESULTS / f"restorations_{name}.png", optimize=True
    )


def merged(task: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return this run's rows after those of other images that earlier runs with the same settings stored."""
    path = RESULTS / f"restorations_{task}.json"
    rows: list[dict[str, Any]] = result.get("images", [])
    old = json.loads(path.read_text()) if path.exists() else {}
    if old.get("settings") != result["settings"]:
        return rows
    return [
        row for row in old["images"] if row["image"] not in {new["image"] for new in rows}
    ] + rows


def page() -> Path:
    """Write the page of results from the records beside it."""
    lines = [HEAD]
    for task, title, columns, text in (
        (
            "inpaint",
            "Half of the pixels missing at random",
            ("psnr_biharmonic", "psnr", "gain", "seconds"),
            INPAINT,
        ),
        (
            "upscale",
            "Four times super-resolution",
            ("psnr_bicubic", "psnr", "gain", "seconds"),
            UPSCALE,
        ),
    ):
        record = _record(task)
        if record is None:
            continue
        lines += [f"## {title}", "", text, "", "| image | size | " + " | ".join(columns) + " |"]
        lines += ["|" + "---|" * (2 + len(columns))]
        for row in record["images"]:
            size = " x ".join(map(str, row["size"]))
            lines += [
                f"| {row['image']} | {size} | " + " | ".join(str(row[c]) for c in columns) + " |"
            ]
        lines += ["", *_made(task, record), ""]
    record = _record("guided")
    if record is not None:
        kinds = ("noisy", "unguided", "guided")
        lines += [
            "## A guide",
            "",
            GUIDED,
            "",
            "| image | " + " | ".join(kinds) + " |",
            "|" + "---|" * 4,
        ]
        for row in record["images"]:
            cells = (
                f"{row[k]['psnr']:.2f} / {row[k]['painted']:.3f} / {row[k]['rms']:.3f}"
                for k in kinds
            )
            lines += [f"| {row['image']} | " + " | ".join(cells) + " |"]
        lines += ["", *_made("guided", record), ""]
    for name, text in PICTURES.items():
        if (RESULTS / f"restorations_{name}.png").exists():
            lines += [text, "", f"![{name}](restorations_{name}.png)", ""]
    path = RESULTS / "restorations.md"
    path.write_text("\n".join(lines).rstrip() + "\n")
    return path


def _record(task: str) -> dict[str, Any] | None:
    path = RESULTS / f"restorations_{task}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _made(task: str, record: dict[str, Any]) -> list[str]:
    """Say how a table was made, with its picture if there is one."""
    m, s = record["machine"], record["settings"]
    size = "whole images" if record["full"] else "reduced size: the centre 256 x 256"
    made = f"`python benchmarks/restorations.py {task}`, {size}, {s['net']} with {s['channels']} channels, {s['steps']} steps, "
    made += f"seed {s['seed']}, {record['device']}, {m['processor']}, {m['threads']} thread(s), torch {m['torch']}."
    picture = [f"![{task}](restorations_{task}.png)", "", CAPTIONS[task], ""]
    return [made, "", *(picture if (RESULTS / f"restorations_{task}.png").exists() else [])]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=("inpaint", "upscale", "guided", "holes", "page"))
    parser.add_argument("--images", nargs="*")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    if args.task == "page":
        print(page())
        return
    started = time.monotonic()
    result = globals()[f"run_{args.task}"](args)
    result["images"] = merged(args.task, result)
    run = {"full": args.full, "device": args.device, "seconds": round(time.monotonic() - started)}
    print(save(f"restorations_{args.task}", {**result, **run, "machine": machine()}))


if __name__ == "__main__":
    main()
