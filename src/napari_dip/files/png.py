"""The formats PNG (read and written) and JPEG (read).

Of a palette PNG the data ARE the indices: its colours are only how it was shown.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.asked_axes import take_axes
from napari_dip.files.dtypes import cast_pixels
from napari_dip.files.format import Format
from napari_dip.files.png_rows import SIGNATURE, is_whole
from napari_dip.files.provenance import (
    KEY,
    apply_record,
    read_record,
    write_record,
)
from napari_dip.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import PIL.Image
    from numpy.typing import NDArray


def read_picture(path: Path, axes: str | None = None) -> Image:
    """Read a PNG or JPEG file."""
    if _is_deep_colour(path):
        raise ValueError(
            f"{path.name} is a colour PNG of 16 bits, which cannot be read whole: give a TIFF."
        )
    with _open(path) as picture:
        pixels = _pixels(picture)
        if not is_whole(path):
            raise ValueError("rows are missing")
        record = read_record([picture.info.get(KEY)])
    letters = "YX" if pixels.ndim == 2 else "YXC"
    if record is not None and axes is None:
        image = apply_record(record, pixels, letters, {}, path.stem)
        if image is not None:
            return image
    provenance = record.provenance if record else {}
    pixels, letters, remarks = take_axes(pixels, letters, axes, path.name)
    return Image(pixels, letters, name=path.stem, provenance=provenance, remarks=remarks)


def read_picture_provenance(path: Path) -> dict[str, Any]:
    """Return the provenance in a PNG file of ours, empty for others."""
    with _open(path) as picture:
        picture.load()  # texts may stand after the pixels
        record = read_record([picture.info.get(KEY)])
    return record.provenance if record else {}


def write_png(path: Path, image: Image, dtype: np.dtype[Any]) -> int:
    """Write one plane, gray or colour, and return the number of clipped values."""
    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    check_png(image, dtype)
    page_axes = "YXC" if image.is_rgb else "YX"
    stack_axes = "".join(a for a in image.axes if a not in page_axes)
    ((_, page),) = image.pages(stack_axes, page_axes)
    pixels, clipped = cast_pixels(page, dtype)
    texts = PngInfo()
    texts.add_text(KEY, write_record(image, {}))
    PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(path, format="PNG", pnginfo=texts)
    return clipped


def check_png(image: Image, dtype: np.dtype[Any]) -> None:
    """Refuse what a PNG cannot hold."""
    if len(image.plane_indices()) > 1:
        raise ValueError(
            f"A PNG holds one plane, the image has {image.shape} ({image.axes}): write a TIFF."
        )
    if dtype.name not in PNG.dtypes:
        raise ValueError(
            f"A PNG holds uint8 or uint16, not {dtype.name}: give one of them, or write a TIFF."
        )
    if image.is_rgb and dtype.name != "uint8":
        raise ValueError(
            "A colour PNG is written with 8 bits a channel only: give dtype uint8, or write a TIFF."
        )


@contextmanager
def _open(path: Path) -> Iterator[PIL.Image.Image]:
    import PIL.Image

    damage = (OSError, SyntaxError, ValueError, EOFError, PIL.Image.DecompressionBombError)
    try:
        with PIL.Image.open(path, formats=("PNG", "JPEG")) as picture:
            yield picture
    except damage as error:
        raise ValueError(
            f"{path.name} cannot be read as PNG or JPEG: it is damaged, cut short, too large or "
            "something else."
        ) from error


def _pixels(picture: PIL.Image.Image) -> NDArray[Any]:
    """Return the stored numbers: gray, palette indices, RGB or RGBA."""
    if picture.mode in ("L", "P", "RGB", "RGBA"):
        return np.array(picture)
    if picture.mode.startswith("I"):  # 16-bit gray; older versions of Pillow open it with 32 bits
        return np.array(picture).astype(np.uint16)
    if picture.mode in ("1", "LA", "PA"):
        return np.array(picture.convert("L") if picture.mode != "PA" else picture.getchannel("P"))
    return np.array(picture.convert("RGB"))  # CMYK and the like, of JPEG


def _is_deep_colour(path: Path) -> bool:
    """Return whether a PNG's header says 16 bits and more than one channel."""
    with path.open("rb") as file:
        start = file.read(26)
    is_png = start[:8] == SIGNATURE and len(start) == 26
    return is_png and start[24] == 16 and start[25] in (2, 4, 6)


PNG = Format(
    "PNG",
    (".png",),
    read_picture,
    write_png,
    check_png,
    read_provenance=read_picture_provenance,
    dtypes=("uint8", "uint16"),
)
JPEG = Format("JPEG", (".jpg", ".jpeg"), read_picture, read_provenance=read_picture_provenance)
