"""The verb ``demo``: the image that comes with the package, denoised and scored."""

import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

from napari_dip.batch.check_options import check_device, check_device_exists, check_writable
from napari_dip.cli.flags import FILES, Device, Json, Quiet, build_settings, flag, with_settings
from napari_dip.cli.output import DONE, FAILED, Output
from napari_dip.errors import UsageError
from napari_dip.settings import Settings

RANGE = 255.0  # the pair is 8-bit
CITATION = (
    "Zhang et al., A Poisson-Gaussian Denoising Dataset with Real Fluorescence Microscopy Images, "
    "CVPR 2019"
)


def demo_verb(method: type[Settings]) -> Callable[..., int]:
    """Return the verb with the flags of one method."""

    def demo(
        *,
        out: Annotated[
            Path, flag("Folder for the TIFF and the picture.", "--out", "-o", group=FILES)
        ] = Path("napari-dip-demo"),
        preset: str = next(iter(method.presets)),
        device: Device = "auto",
        json: Json = False,
        quiet: Quiet = False,
        how: Settings | None = None,
    ) -> int:
        """Denoise the image that comes with the package and compare with its ground truth.

        A confocal capture of a zebrafish embryo and the average of 50 (FMD, Zhang et al., CVPR
        2019).
        """
        check_device(device)
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out is a folder, but {out} is a file.")
        check_writable(out)
        check_device_exists(device)
        return run(out, build_settings(method, preset, how), device, Output(json, quiet))

    return with_settings(demo, method)


def run(out: Path, how: Settings, device: str, output: Output) -> int:
    """Denoise the shipped capture, score it, and write the TIFF and the picture into `out`."""
    from napari_dip.api import iter_denoise
    from napari_dip.batch.process_file import with_source
    from napari_dip.cli.consume_with_progress import consume_with_progress
    from napari_dip.cli.demo_picture import Point, axis_labels, draw
    from napari_dip.files.checksum import sha256
    from napari_dip.files.read_write import read, write
    from napari_dip.images.metrics import psnr, ssim

    started, curve = time.monotonic(), list[Point]()
    data = files("napari_dip") / "data"
    with as_file(data / "fish_raw.tif") as noisy_path, as_file(data / "fish_gt.tif") as clean_path:
        noisy, clean = read(noisy_path), read(clean_path)
        final, _, interrupted = consume_with_progress(
            iter_denoise(noisy, how, device=device),
            "demo",
            output,
            lambda shot: curve.append((shot.step, shot.loss, shot.criterion)),
        )
        source = {"name": noisy_path.name, "sha256": sha256(noisy_path)}
    answer = with_source(final, source, interrupted)
    seconds = time.monotonic() - started
    images = {"noisy": noisy, "denoised": answer}
    scores = {
        f"{name}_{which}": measure(clean, image, data_range=RANGE)
        for name, measure in (("psnr", psnr), ("ssim", ssim))
        for which, image in images.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    tiff, png = out / "fish_denoised.tif", out / "fish_denoised.png"
    write(tiff, answer, dtype="float32", overwrite=True)
    titles = {
        which: f"PSNR {scores[f'psnr_{which}']:.2f} dB, SSIM {scores[f'ssim_{which}']:.3f}"
        for which in images
    }
    titles["clean"] = "average of 50 captures"
    draw(png, {**images, "clean": clean}, titles, curve, final.chosen, RANGE, axis_labels(how))
    _print_scores(scores, images, output)
    taken = f"step {final.chosen} of {final.step} was taken (range {RANGE:g})"
    output.print(f"  {how.title}: {seconds:.1f} s, {taken}")
    output.print(f"Wrote {tiff} and {png}.")
    if interrupted:
        output.note("Interrupted: this is the answer so far.")
    output.print_json(
        {
            **scores,
            "seconds": seconds,
            "steps": final.step,
            "chosen": final.chosen,
            "interrupted": interrupted,
            "data_range": RANGE,
            "tiff": str(tiff),
            "png": str(png),
            "settings": how.to_json(),
            "citation": CITATION,
        }
    )
    return FAILED if interrupted else DONE


def _print_scores(scores: dict[str, float], images: dict[str, Any], output: Output) -> None:
    output.print("Confocal zebrafish embryo, one capture against the average of 50.")
    output.print(f"  {CITATION}.")
    for which in images:
        psnr, ssim = scores[f"psnr_{which}"], scores[f"ssim_{which}"]
        output.print(f"  {which:9} PSNR {psnr:.2f} dB, SSIM {ssim:.4f}")
