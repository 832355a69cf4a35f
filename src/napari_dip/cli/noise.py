"""The verb ``noise``: how strong an image's noise is, and what that means for the method."""

from pathlib import Path
from typing import Annotated

from napari_dip.cli.flags import FILES, Axes, Json, flag
from napari_dip.cli.output import DONE, Output
from napari_dip.cli.part_options import NO_PART, PartOptions
from napari_dip.errors import UsageError


def noise(
    file: Annotated[Path, flag("An image file.", group=FILES)],
    /,
    *,
    plot: Annotated[
        Path | None,
        flag(
            "A PNG to write: variance over intensity, correlation between pixels and, where it "
            "varies over the field, how strong the noise is where.",
            group=FILES,
        ),
    ] = None,
    overwrite: Annotated[bool, flag("Replace a plot that exists.", group=FILES)] = False,
    axes: Axes = None,
    part_options: PartOptions = NO_PART,
    json: Json = False,
) -> int:
    """Measure the noise of an image, and say what it means for the choice of method.

    Nothing is denoised.
    """
    from napari_dip.files.atomic import write_bytes
    from napari_dip.files.read_write import read
    from napari_dip.files.registry import images_under, is_one_image
    from napari_dip.planes.noise_report import noise_report

    if file.is_dir() and not is_one_image(file):
        images = [str(one) for one in images_under(file)]
        more = f" and {len(images) - 3} more" if len(images) > 3 else ""
        raise UsageError(
            f"{file} is a folder; give one image at a time"
            + (f", of {', '.join(images[:3])}{more}." if images else ": it holds none.")
        )
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise UsageError(f"--plot is {plot}; give a name that ends in .png.")
        if plot.is_dir():
            raise UsageError(f"--plot is {plot}, a folder; give the name of a file in it.")
        if plot.exists() and file.exists() and plot.samefile(file):
            raise UsageError(f"--plot is the image itself, {plot}; choose another name.")
        if plot.exists() and not overwrite:
            raise UsageError(f"{plot} exists: choose another --plot or say --overwrite.")
        if not plot.absolute().parent.is_dir():
            raise UsageError(f"There is no folder {plot.absolute().parent} for --plot.")
    image, output = read(file, axes=axes, **part_options.part.given()), Output(json)
    for remark in image.remarks:
        output.note(remark)
    report = noise_report(image)
    for line in [str(file), *str(report).splitlines()]:
        output.print(line)
    if plot is not None:
        write_bytes(plot, report.png())
        output.print(f"  plot -> {plot}")
    output.print_json(
        {
            "file": str(file),
            "plot": plot and str(plot),
            "note": " ".join(image.remarks),
            **report.to_json(),
        }
    )
    return DONE
