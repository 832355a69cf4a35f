"""The verb ``export``: a trained model as a package of the BioImage Model Zoo.

(No ``from __future__ import annotations``: cyclopts reads the annotations.)
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dip.cli.flags import FILES, JSON, annotated, flag
from napari_dip.cli.output import DONE, FAILED, Talk
from napari_dip.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_dip.images.image import Image

MODEL_FILE = flag(Path, "A model that was trained here, a .safetensors file.", group=FILES)
PACKAGE = flag(Path, "The package to write, a .zip file.", "--out", "-o", group=FILES)
IMAGE = flag(
    Path | None,
    "A noisy image for the package's test and cover; by default the one that comes with napari-dip.",
    group=FILES,
)
NAME = flag(str, "Its title: 5 to 128 letters, digits, spaces or _+-().", group=FILES)
REPLACE = flag(bool, "Replace the file if it exists.", "--overwrite", group=FILES)
AUTHORS = flag(list[str], "Who made it; may be given several times.", "--author", group=FILES)


def command() -> Callable[..., int]:
    """Make the verb ``export``."""

    def export(
        model: Path,
        /,
        *,
        out: Path,
        image: Path | None = None,
        name: str = "napari-dip denoiser",
        authors: list[str] = ["napari-dip user"],  # noqa: B006 - only read
        overwrite: bool = False,
        json: bool = False,
    ) -> int:
        """Write a trained model for other programs, in the format of the BioImage Model Zoo.

        The package takes intensities and gives intensities: what stands around the network is inside. Where the extra
        `zoo` is installed, the zoo's own library tests it.
        """
        return run(model, out, image, name, authors, overwrite, Talk(json))

    flags = {"image": IMAGE, "name": NAME, "authors": AUTHORS, "overwrite": REPLACE, "json": JSON}
    return annotated(export, model=MODEL_FILE, out=PACKAGE, **flags)


def run(
    path: Path,
    out: Path,
    image: Path | None,
    name: str,
    authors: list[str],
    overwrite: bool,
    talk: Talk,
) -> int:
    """Export, test where that can be done, and return the exit code.

    Raises
    ------
    UsageError
        When the call itself is wrong.
    """
    from napari_dip.files.read_write import read
    from napari_dip.models.bioimageio import export_model, zoo_test
    from napari_dip.models.model import load_model, peek

    try:
        peek(path)  # cheap, and says what is wrong before torch is loaded
        example = None if image is None else first_plane(read(image))
        made = export_model(
            load_model(path), out, image=example, name=name, authors=authors, overwrite=overwrite
        )
    except FileExistsError:
        raise UsageError(f"{out} exists: choose another OUT, or say --overwrite.") from None
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    found = zoo_test(made)
    talk.say(f"{path} -> {made}, {made.stat().st_size / 1e6:.1f} MB")
    talk.note("Tested by the library of the zoo." if found == "passed" else found)
    talk.result({"output": str(made), "bytes": made.stat().st_size, "zoo_test": found})
    return FAILED if found.startswith("The library of the zoo finds") else DONE


def first_plane(image: "Image") -> "NDArray[np.float64]":
    """Return the first plane, (C, Y, X)."""
    return image.plane(image.plane_indices()[0])
