"""The verb ``score``: PSNR and SSIM against a clean image, with the range that they were measured with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dip.cli.output import DONE, Talk
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def run(
    clean_path: Path, restored_path: Path, data_range: float | None, affine: bool, talk: Talk
) -> int:
    """Score one file against another and return the exit code.

    Raises
    ------
    UsageError
        When the given range is none, or none is given and the clean image's type has none.
    ValueError, OSError
        With a sentence, when a file can't be read or the shapes differ.
    """
    from napari_dip.files.read_write import read
    from napari_dip.images.metrics import data_range_of, psnr, ssim

    if data_range is not None and not 1e-30 <= data_range <= 1e30:
        raise UsageError(
            f"--data-range is {data_range}; it must be positive, 1e-30 to 1e30, such as 255 for 8-bit images."
        )
    clean, restored = read(clean_path), read(restored_path)
    if data_range is None and clean.dtype.kind == "f":
        raise UsageError(
            f"The clean image {clean_path} is {clean.dtype}, which has no range of its own: "
            "say --data-range, such as 255 for values on the scale of 8 bits."
        )
    span = data_range_of(clean, data_range)
    origin = (
        "as given" if data_range is not None else f"that of the clean image's type {clean.dtype}"
    )
    scores = {
        "psnr": psnr(clean, restored, data_range=span, affine=affine),
        "ssim": ssim(clean, restored, data_range=span, affine=affine),
    }
    matched = ", gain and offset matched" if affine else ""
    talk.say(
        f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}  (range {span:g}, {origin}{matched})"
    )
    talk.result({**scores, "data_range": span, "data_range_from": origin, "affine": affine})
    return DONE
