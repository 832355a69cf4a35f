"""The verb ``export``: a trained model as a package of the BioImage Model Zoo."""

from pathlib import Path
from typing import Annotated

from napari_dip.cli.flags import FILES, Json, flag
from napari_dip.cli.output import DONE, FAILED, Output
from napari_dip.errors import UsageError


def export(
    model: Annotated[
        Path, flag("A model that was trained here, a .safetensors file.", group=FILES)
    ],
    /,
    *,
    out: Annotated[Path, flag("The package to write, a .zip file.", "--out", "-o", group=FILES)],
    image: Annotated[
        Path | None,
        flag(
            "A noisy image for the package's test and cover; by default the one that comes with "
            "napari-dip.",
            group=FILES,
        ),
    ] = None,
    name: Annotated[
        str, flag("Its title: 5 to 128 letters, digits, spaces or _+-().", group=FILES)
    ] = "napari-dip denoiser",
    authors: Annotated[
        tuple[str, ...], flag("Who made it; may be given several times.", "--author", group=FILES)
    ] = ("napari-dip user",),
    overwrite: Annotated[bool, flag("Replace the file if it exists.", group=FILES)] = False,
    json: Json = False,
) -> int:
    """Write a trained model for other programs, in the format of the BioImage Model Zoo.

    The package takes intensities and gives intensities: what stands around the network is inside.
    Where the extra `zoo` is installed, the zoo's own library tests it.
    """
    from napari_dip.files.read_write import read
    from napari_dip.models.bioimageio import export_model, zoo_test
    from napari_dip.models.model import load_model, peek

    try:
        peek(model)  # cheap, and says what is wrong before torch is loaded
        noisy = None if image is None else read(image)
        example = None if noisy is None else noisy.plane(noisy.plane_indices()[0])
        made = export_model(
            load_model(model),
            out,
            image=example,
            name=name,
            authors=list(authors),
            overwrite=overwrite,
        )
    except FileExistsError:
        raise UsageError(f"{out} exists", "other output", "overwrite") from None
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    result, size, output = zoo_test(made), made.stat().st_size, Output(json)
    output.print(f"{model} -> {made}, {size / 1e6:.1f} MB")
    output.note("Tested by the library of the zoo." if result == "passed" else result)
    output.print_json({"output": str(made), "bytes": size, "zoo_test": result})
    return FAILED if result.startswith("The library of the zoo finds") else DONE
