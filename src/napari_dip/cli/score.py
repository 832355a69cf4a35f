"""The verb ``score``: PSNR and SSIM against a clean image, and the range they refer to."""

from pathlib import Path
from typing import Annotated, Any

from napari_dip.cli.flags import FILES, Json, flag
from napari_dip.cli.output import DONE, Output
from napari_dip.cli.part_options import NO_PART, PartOptions
from napari_dip.errors import UsageError


def score(
    clean: Annotated[Path, flag("The ground truth, or the best there is.", group=FILES)],
    restored: Annotated[Path, flag("The image to judge, of the same shape.", group=FILES)],
    /,
    *,
    data_range: Annotated[
        float | None,
        flag(
            "Span of possible values, in gray levels; by default that of the clean image's integer "
            "type."
        ),
    ] = None,
    affine: Annotated[
        bool, flag("First match gain and offset to the clean image by least squares.")
    ] = False,
    part_options: PartOptions = NO_PART,
    json: Json = False,
) -> int:
    """Print PSNR and SSIM of an image against a clean one, and the range that they refer to."""
    from napari_dip.files.read_write import read
    from napari_dip.images.metrics import data_range_of, psnr, ssim

    if data_range is not None and not 1e-30 <= data_range <= 1e30:
        raise UsageError(
            f"--data-range is {data_range}; it must be positive, 1e-30 to 1e30, such as 255 for "
            "8-bit images."
        )
    part: dict[str, Any] = dict(part_options.part.given())
    truth, image = read(clean, **part), read(restored)
    if part and image.shape != truth.shape:
        image = image.take(**part_options.part.along(image.axes).of_image())
    if data_range is None and truth.dtype.kind == "f":
        raise UsageError(
            f"The clean image {clean} is {truth.dtype}, which has no range of its own: "
            "say --data-range, such as 255 for values on the scale of 8 bits."
        )
    span = data_range_of(truth, data_range)
    origin = f"that of the clean image's type {truth.dtype}" if data_range is None else "as given"
    scores = {
        "psnr": psnr(truth, image, data_range=span, affine=affine),
        "ssim": ssim(truth, image, data_range=span, affine=affine),
    }
    matched = ", gain and offset matched" if affine else ""
    output = Output(json)
    output.print(
        f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}  "
        f"(range {span:g}, {origin}{matched})"
    )
    output.print_json({**scores, "data_range": span, "data_range_from": origin, "affine": affine})
    return DONE
