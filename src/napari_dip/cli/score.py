"""The verb ``score``: PSNR and SSIM against a clean image, with the range that they were measured with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dip.cli.talk import DONE, Talk, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dip.images.image import Image


def run(clean_path: Path, restored_path: Path, data_range: float | None, affine: bool, talk: Talk) -> int:
    """Score one file against another and return the exit code.

    Raises
    ------
    UsageError
        When the given range is none.
    ValueError, OSError
        With a sentence, when a file can't be read, the shapes differ, or no range is known.
    """
    import numpy as np

    from napari_dip.images.files import read
    from napari_dip.images.metrics import psnr, ssim

    clean, restored = read(clean_path), read(restored_path)
    span, origin = _range(clean, data_range)
    values = [np.asarray(image.pixels) for image in (clean, restored)]
    scores = {
        "psnr": psnr(*values, data_range=span, affine=affine),
        "ssim": ssim(*values, data_range=span, affine=affine),
    }
    matched = ", gain and offset matched" if affine else ""
    talk.say(f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}  (range {span:g}, {origin}{matched})")
    talk.result({**scores, "data_range": span, "data_range_from": origin, "affine": affine})
    return DONE


def _range(clean: Image, given: float | None) -> tuple[float, str]:
    """Return the span of possible values and where it comes from; never that of the values that occur."""
    import numpy as np

    if given is not None:
        if not 0 < given < float("inf"):
            raise UsageError(f"--data-range is {given}; it must be positive, such as 255 for 8-bit images.")
        return given, "as given"
    if clean.dtype.kind not in "ui":
        raise ValueError(
            f"The clean image is {clean.dtype}, whose range is not known: give it, such as --data-range 255."
        )
    limits = np.iinfo(clean.dtype)
    return float(limits.max) - float(limits.min), f"that of the clean image's type {clean.dtype}"
