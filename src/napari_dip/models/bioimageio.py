"""Write a trained model in the format of the BioImage Model Zoo, for other programs.

The weights are TorchScript, and hold all that `denoise` does around the network (see
`napari_dip.models.torchscript`): intensities in, intensities out, no preprocessing, no code of ours
needed. The description is written here, since the zoo's own library does not write under pydantic
2.14; where it is installed (extra ``zoo``), it tests the package.

Reference: Ouyang et al., BioImage Model Zoo, 2022, doi:10.1101/2022.06.07.495102; model
specification 0.5.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
import zipfile
from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.atomic import atomic_path
from napari_dip.files.target import check_target
from napari_dip.models.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Parts = dict[str, bytes]  # the files of a package by name

SUFFIX = ".zip"
FORMAT, SIDE = "0.5.4", 128  # of the description; of the test image
README = """# {name}

{description}

A denoiser trained with napari-dip by {method}. Give it raw intensities, at least {least} x {least}
pixels: it measures the noise of each image for itself, makes it even, denoises in {orientations}
orientation(s), averages them, and brings the result back to intensities. Give whole images rather
than tiles, since the noise is measured on what is given. Hot pixels are not repaired, and the noise
of neighbouring pixels is taken to be independent (napari-dip deals with both).

## Trained on

{training}

## Validation

Compare with an average of many captures of the same field, or look at the difference between input
and output: it should look like noise, without structure.

Licence: {licence}
"""
REFERENCES = (
    (
        "Laine et al., High-Quality Self-Supervised Deep Image Denoising, NeurIPS 2019",
        "10.48550/arXiv.1901.10277",
    ),
    ("Ronneberger et al., U-Net, MICCAI 2015", "10.48550/arXiv.1505.04597"),
)


def export_model(
    model: Model,
    path: str | PathLike[str],
    *,
    image: Any = None,
    name: str = "napari-dip denoiser",
    authors: Sequence[str] = ("napari-dip user",),
    overwrite: bool = False,
) -> Path:
    """Write a model as a package of the BioImage Model Zoo.

    Parameters
    ----------
    model : Model
        What was trained.
    path : path-like
        With the suffix ``.zip``.
    image : array-like, optional
        A noisy image for the package's test and cover, (Y, X) or (C, Y, X), at least 64 pixels
        wide; its middle is taken. By default a part of the image that comes with napari-dip.
    name : str
        A title of 5 to 128 letters, digits, spaces or ``_+-()``.
    authors : sequence of str
        Who made it.
    overwrite : bool
        Whether a file of that name may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If a name or the image won't do, or the model is for correlated noise alone or sees
        neighbouring planes.
    OSError
        If the file can't be written.

    Notes
    -----
    The exported model answers as ``denoise(image, model)`` does, up to rounding, for whole planes
    without hot pixels and without padding of one value, whose noise is independent: of a model
    that was also trained on images of correlated noise, the network for those is left out.
    """
    target = Path(path)
    if target.suffix.lower() != SUFFIX:
        raise ValueError(
            f"{target.name} must end with {SUFFIX}, the format of a package of the BioImage Model "
            "Zoo."
        )
    check_target(target, overwrite)
    if not re.fullmatch(r"[A-Za-z0-9_+\- ()]{5,128}", name):
        raise ValueError(
            f"The name {name[:60]!r} won't do: give 5 to 128 letters, digits, spaces or _+-()."
        )
    if not authors or any(not author or "/" in author for author in authors):
        raise ValueError("Give at least one author, each a name without a slash.")
    if 0 not in model.net.holes:
        raise ValueError(
            "This model was trained on images of correlated noise alone, whose level an exported "
            "model does not measure: apply it with napari-dip."
        )
    if model.settings.neighbours:
        raise ValueError(
            "This model sees neighbouring planes, which the format's single planes don't have: "
            "apply it with napari-dip, or export one trained with neighbours = 0."
        )
    parts = _parts(model, _example(image, model), name)
    description = _description(model, parts, name, authors)
    parts["rdf.yaml"] = json.dumps(description, indent=1).encode()  # JSON is YAML
    with (
        atomic_path(target, sum(map(len, parts.values()))) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as package,
    ):
        for file, content in parts.items():
            package.writestr(file, content)
    return target


def zoo_test(package: Path) -> str:
    """Let the zoo's own library load a package and compare its answer with the test output.

    Returns
    -------
    str
        ``"passed"``, or a sentence that says what went wrong or why it could not be tested.
    """
    try:
        from bioimageio.core import test_model
        from loguru import logger
    except ImportError:
        return 'Not tested by the library of the zoo: pip install "napari-dip[zoo]" brings it.'
    for library in ("bioimageio.spec", "bioimageio.core"):
        logger.disable(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = test_model(package, weight_format="torchscript", devices=["cpu"])
    if summary.status == "passed":
        return "passed"
    faults = " ".join(error.msg for detail in summary.details for error in detail.errors)
    if "index_key" in faults:  # what bioimageio.spec 0.5.12 hands on wrongly
        return (
            "Not tested: this library of the zoo fails under pydantic 2.14; install pydantic below "
            "2.14 for it."
        )
    found = " ".join(faults.split())[:300]
    return f"The library of the zoo finds the package {summary.status}: {found}"


def _example(image: Any, model: Model) -> NDArray[np.float32]:
    """Return the middle of the test image, (C, Y, X)."""
    if image is None:
        from napari_dip.files.read_write import read

        image = read(Path(__file__).parents[1] / "data" / "fish_raw.tif")
        image = np.stack([np.asarray(image)] * model.channels)
    pixels = np.asarray(image, dtype=np.float32)
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or len(pixels) != model.channels or min(pixels.shape[1:]) < 64:
        raise ValueError(
            f"The test image has the shape {np.shape(image)}; give {model.channels} channel(s) of "
            "64 x 64 pixels or more, (Y, X) or (C, Y, X)."
        )
    height, width = (min(SIDE, n // 16 * 16) for n in pixels.shape[1:])
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return np.ascontiguousarray(pixels[:, top : top + height, left : left + width])


def _parts(model: Model, example: NDArray[np.float32], name: str) -> Parts:
    """Make weights, test tensors, a cover and a README."""
    import torch
    from PIL import Image as Picture

    from napari_dip.models.torchscript import smallest_side, to_torchscript
    from napari_dip.noise.units import UNIT

    s = model.settings
    module = to_torchscript(model.net, UNIT, s.orientations, s.stabilise, model.channels)
    answer = module(torch.from_numpy(example)[None]).numpy()
    weights, cover = BytesIO(), BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but what the zoo's format asks for
        torch.jit.save(module, weights)
    both = np.concatenate([example[0], answer[0, 0]], axis=1)
    low, high = np.quantile(both, (0.001, 0.999))
    grey = (np.clip((both - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
    Picture.fromarray(grey).resize((512, 256)).save(cover, "PNG")
    training = "\n".join(
        f"- {key}: {value}" for key, value in model.training.items() if key != "versions"
    )
    text = README.format(
        name=name,
        description=model.description,
        method=s.title,
        least=smallest_side(model.net),
        orientations=s.orientations,
        training=training or "not recorded",
        licence=model.licence or "not given",
    )
    return {
        "weights.pt": weights.getvalue(),
        "input.npy": _npy(example[None]),
        "output.npy": _npy(answer),
        "cover.png": cover.getvalue(),
        "README.md": text.encode(),
    }


def _npy(array: NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


def _description(model: Model, parts: Parts, name: str, authors: Sequence[str]) -> dict[str, Any]:
    """Describe the package in the words of the zoo's specification."""
    import torch

    from napari_dip.models.torchscript import smallest_side

    many = model.channels > 1
    channels = [f"channel{i}" for i in range(model.channels)] if many else ["intensity"]
    title = f"Denoiser trained by {model.settings.title} with napari-dip"
    tags = ["denoising", "image-restoration", "unet", "2d", "pytorch", "napari"]

    def file(part: str) -> dict[str, str]:
        return {"source": part, "sha256": hashlib.sha256(parts[part]).hexdigest()}

    def tensor(name: str, part: str, sizes: dict[str, dict[str, Any]]) -> dict[str, Any]:
        space = [{"type": "space", "id": axis, "size": size} for axis, size in sizes.items()]
        return {
            "id": name,
            "axes": [{"type": "batch"}, {"type": "channel", "channel_names": channels}, *space],
            "data": {"type": "float32"},
            "test_tensor": file(part),
        }

    sizes = {axis: {"min": smallest_side(model.net), "step": 1} for axis in "yx"}
    same = {axis: {"tensor_id": "noisy", "axis_id": axis} for axis in "yx"}
    version = torch.__version__.split("+")[0]
    description: dict[str, Any] = {
        "format_version": FORMAT,
        "type": "model",
        "name": name,
        "description": (model.description or title)[:1024],
        "authors": [{"name": author} for author in authors],
        "cite": [{"text": text, "doi": doi} for text, doi in REFERENCES],
        "tags": [*tags, model.settings.method],
        "documentation": "README.md",
        "covers": ["cover.png"],
        "inputs": [tensor("noisy", "input.npy", sizes)],
        "outputs": [tensor("denoised", "output.npy", same)],
        "weights": {"torchscript": {**file("weights.pt"), "pytorch_version": version}},
    }
    # An SPDX identifier; other texts stand in the README alone.
    if re.fullmatch(r"[A-Za-z0-9.+-]+", model.licence):
        description["license"] = model.licence
    return description
