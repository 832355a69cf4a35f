"""The verb ``demo``: the image that comes with the package, denoised and compared with its ground truth."""

from __future__ import annotations

import time
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from napari_dip.batch.checks import check_device, check_device_exists, check_writable
from napari_dip.batch.process_file import with_source
from napari_dip.cli.follow import consume_with_progress
from napari_dip.cli.output import DONE, FAILED, Talk
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dip.cli.picture import Point
    from napari_dip.settings import Settings

RANGE = 255.0  # the pair is 8-bit
CITATION = "Zhang et al., A Poisson-Gaussian Denoising Dataset with Real Fluorescence Microscopy Images, CVPR 2019"


def run(out: Path, how: Settings, device: str, talk: Talk) -> int:
    """Denoise the shipped capture, score it, and write the TIFF and the picture into `out`.

    Raises
    ------
    UsageError
        Before any work, when `out` or `device` can't be used.
    """
    from napari_dip.api import iter_denoise
    from napari_dip.cli.picture import draw, labels_of
    from napari_dip.files.checksum import sha256
    from napari_dip.files.read_write import read, write
    from napari_dip.images.metrics import psnr, ssim

    check_device(device)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out is a folder, but {out} is a file.")
    check_writable(out)
    check_device_exists(device)
    started = time.monotonic()
    data = files("napari_dip") / "data"
    with as_file(data / "fish_raw.tif") as noisy_path, as_file(data / "fish_gt.tif") as clean_path:
        noisy, clean = read(noisy_path), read(clean_path)
        curve: list[Point] = []
        final, _, interrupted = consume_with_progress(
            iter_denoise(noisy, how, device=device),
            "demo",
            talk,
            lambda shot: curve.append((shot.step, shot.loss, shot.criterion)),
        )
        answer = with_source(
            final, {"name": noisy_path.name, "sha256": sha256(noisy_path)}, interrupted
        )
    seconds = time.monotonic() - started
    scores = {
        f"{name}_{which}": measure(clean, image, data_range=RANGE)
        for name, measure in (("psnr", psnr), ("ssim", ssim))
        for which, image in (("noisy", noisy), ("denoised", answer))
    }
    out.mkdir(parents=True, exist_ok=True)
    tiff, png = out / "fish_denoised.tif", out / "fish_denoised.png"
    write(tiff, answer, dtype="float32", overwrite=True)
    titles = {
        w: f"PSNR {scores[f'psnr_{w}']:.2f} dB, SSIM {scores[f'ssim_{w}']:.3f}"
        for w in ("noisy", "denoised")
    }
    images = {"noisy": noisy, "denoised": answer, "clean": clean}
    draw(
        png,
        images,
        titles | {"clean": "average of 50 captures"},
        curve,
        final.chosen,
        RANGE,
        labels_of(how),
    )
    talk.say("Confocal zebrafish embryo, one capture against the average of 50.")
    talk.say(f"  {CITATION}.")
    for which in ("noisy", "denoised"):
        talk.say(
            f"  {which:9} PSNR {scores[f'psnr_{which}']:.2f} dB, SSIM {scores[f'ssim_{which}']:.4f}"
        )
    taken = f"step {final.chosen} of {final.step} was taken (range {RANGE:g})"
    talk.say(f"  {how.title}: {seconds:.1f} s, {taken}")
    talk.say(f"Wrote {tiff} and {png}.")
    if interrupted:
        talk.note("Interrupted: this is the answer so far.")
    extra = {
        "steps": final.step,
        "chosen": final.chosen,
        "interrupted": interrupted,
        "data_range": RANGE,
    }
    paths = {"tiff": str(tiff), "png": str(png)}
    talk.result(
        {
            **scores,
            "seconds": seconds,
            **extra,
            **paths,
            "settings": how.to_json(),
            "citation": CITATION,
        }
    )
    return FAILED if interrupted else DONE
