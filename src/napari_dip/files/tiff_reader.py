"""Read TIFF: plain, ImageJ and OME, with axes, scale, units and our own record.

Axes are named by what the file says; what it leaves unnamed is taken as Z, then T, then C. Singleton axes of
a file are dropped, as tifffile does, unless our record or the caller names them.
"""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_dip.files.channel_names import named, names_of_labels
from napari_dip.files.lazy_tiff import LazyPages
from napari_dip.files.pixel_sizes import (
    Calibration,
    imagej_calibration,
    ome_calibration,
    ome_header,
)
from napari_dip.files.provenance import Record, restore, unpack
from napari_dip.images.image import LETTERS, RGB_SIZES, Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAP_FROM = 1 << 25
"""Bytes from which uncompressed pixels stay on disk; smaller files are copied, as they may change or go."""

PAGED_FROM = 1 << 28
"""Bytes from which pixels that can't be mapped, such as compressed ones, are decoded only where they are wanted."""

_BROKEN = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(EOFError, RuntimeError, NotImplementedError, struct.error, zlib.error),
)
_SIGNS_OF_DAMAGE = (
    "invalid page offset",
    "corrupted",
    "invalid value offset",
    "is missing",
    "index out of range",
)
_SIGNS_OF_MISSING_FILES = ("failed to read",)


@dataclass(frozen=True)
class _Raw:
    """What a TIFF holds, before its axes are settled: unsqueezed pixels and their letters."""

    pixels: Any
    letters: str
    calibration: Calibration
    record: Record | None
    channels: tuple[str, ...] = ()


def read_tiff(path: Path, axes: str | None = None) -> Image:
    """Read the first image of a TIFF file; see `napari_dip.files.read_write.read`."""
    raw = _load(path)
    name = path.name.split(".")[0] or path.stem
    if raw.record is not None and axes in (None, raw.record.axes):
        letters, pixels = _named_colour(raw)
        image = restore(raw.record, pixels, letters, raw.calibration, name, raw.channels)
        if image is not None:
            return image
    pixels, letters = _by_letters(raw, path) if axes is None else _by_request(raw, axes.upper())
    sizes = [raw.calibration.get(a, (1.0, "pixel")) for a in letters]
    return Image(
        pixels,
        letters,
        scale=tuple(size for size, _ in sizes),
        units=tuple(unit for _, unit in sizes),
        name=name,
        provenance=raw.record.provenance if raw.record else {},
        channels=named(raw.channels, letters, pixels.shape)
        if len(letters) == len(pixels.shape)
        else (),
    )


def read_tiff_provenance(path: Path) -> dict[str, Any]:
    """Return the provenance in a TIFF file of ours, empty for others."""
    with _opened(path) as tif:
        record = unpack(_header(tif).texts)
    return record.provenance if record else {}


def _by_letters(raw: _Raw, path: Path) -> tuple[Any, str]:
    """Drop singletons, put colour last, and name what the file leaves unnamed."""
    letters, pixels = _named_colour(raw)
    unnamed = [a for a in letters if a not in LETTERS]
    free = [a for a in "ZTC" if a not in letters][: len(unnamed)]
    if len(unnamed) > len(free) or len(set(letters)) != len(letters) - len(unnamed) + len(
        set(unnamed)
    ):
        shape = tuple(pixels.shape)
        raise ValueError(
            f"{path.name} has axes {shape} that are more than T, Z, C, Y and X: split it into files first."
        )
    names = iter(a for a in "TZC" if a in free)
    return pixels, "".join(a if a in LETTERS else next(names) for a in letters)


def _by_request(raw: _Raw, axes: str) -> tuple[Any, str]:
    """Name the axes as the caller wants them; singleton axes of the file count only where they are named."""
    shape = raw.pixels.shape
    kept = [
        i for i, (a, n) in enumerate(zip(raw.letters, shape, strict=True)) if n > 1 or a in "YX"
    ]
    if len(axes) == len(kept):
        return raw.pixels.reshape([shape[i] for i in kept]), axes
    have = {a: n for a, n in zip(raw.letters, shape, strict=True) if n > 1 or a in "YX"}
    if [a for a in axes if a in have] == list(have):
        return raw.pixels.reshape([have.get(a, 1) for a in axes]), axes
    if len(axes) == len(shape):
        return raw.pixels, axes
    return raw.pixels.reshape([shape[i] for i in kept]), axes  # Image refuses it, with the reason


def _named_colour(raw: _Raw) -> tuple[str, Any]:
    """Drop singleton axes and turn samples (S) into C: last where they are colours, else before Y."""
    kept = [
        i
        for i, (a, n) in enumerate(zip(raw.letters, raw.pixels.shape, strict=True))
        if n > 1 or a in "YX"
    ]
    letters = "".join(raw.letters[i] for i in kept)
    pixels = raw.pixels.reshape([raw.pixels.shape[i] for i in kept])
    if "S" not in letters or "C" in letters:
        return letters, pixels
    at = letters.index("S")
    rest = letters.replace("S", "")
    to = len(rest) if pixels.shape[at] in RGB_SIZES else rest.index("Y")
    return rest[:to] + "C" + rest[to:], np.moveaxis(pixels, at, to)


def _load(path: Path) -> _Raw:
    with _opened(path) as tif:
        series = tif.series[0]
        if len(tif.series) > 1:
            warnings.warn(
                f"{path.name} holds {len(tif.series)} images; the first one is read.", stacklevel=4
            )
        header = _header(tif)
        letters, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
        if 0 in shape:
            raise _Damaged
        pixels = _pixels(tif, path, series)
        if (
            isinstance(pixels, LazyPages) and letters[-1] == "S"
        ):  # of grey pages; their last axes are Y and X
            letters, shape = letters[:-1], shape[:-1]
        names = header.channels or names_of_labels(header.labels, letters, shape)
        return _Raw(pixels.reshape(shape), letters, header.calibration, unpack(header.texts), names)


def _pixels(tif: tifffile.TiffFile, path: Path, series: tifffile.TiffPageSeries) -> Any:
    """Map the pixels where they lie in one piece; else read them, a large stack by parts."""
    offset = series.dataoffset
    if (
        offset is None
        or series.is_multifile
        or series.nbytes < MAP_FROM
        or series.transform is not None
    ):
        paged = (
            LazyPages.of(path, series, _cut_short(path)) if series.nbytes >= PAGED_FROM else None
        )
        return series.asarray() if paged is None else paged
    if offset + series.nbytes > path.stat().st_size:
        raise _Damaged
    return np.memmap(path, series.dtype.newbyteorder(tif.byteorder), "r", offset, series.shape)


@dataclass(frozen=True)
class _Header:
    """What the tags say: sizes, the texts among which our record may be, and the names of channels or planes."""

    calibration: Calibration
    texts: list[object]
    channels: tuple[str, ...] = ()
    labels: object = None


def _header(tif: tifffile.TiffFile) -> _Header:
    if tif.is_ome:
        attributes, names, comments = ome_header(tif.ome_metadata or "")
        return _Header(ome_calibration(attributes), list(comments), tuple(names))
    if tif.is_imagej:
        metadata = tif.imagej_metadata or {}
        tags = tif.pages.first.tags
        sizes = {
            key.lower(): tags.valueof(key)
            for key in ("XResolution", "YResolution", "ResolutionUnit")
        }
        info = metadata.get("Info", "")
        texts = info if isinstance(info, list) else [info]
        return _Header(
            imagej_calibration({**metadata, **sizes}), texts, labels=metadata.get("Labels")
        )
    return _Header({}, [])


class _Damaged(Exception):
    """Pixels are missing."""


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF; what goes wrong inside becomes one sentence that never repeats the header's text."""
    with _overheard() as said:
        try:
            with tifffile.TiffFile(path) as tif:
                yield tif
        except tifffile.TiffFileError:
            raise ValueError(_not_a_tiff(path)) from None
        except _Damaged:
            raise ValueError(_cut_short(path)) from None
        except OSError as error:
            raise OSError(
                f"{path.name} could not be read ({error.strerror or 'input/output error'})."
            ) from None
        except _BROKEN as error:
            if "imagecodecs" in str(error):
                raise ValueError(
                    f"{path.name} is compressed in a way that needs the package imagecodecs: install it "
                    "(pip install imagecodecs) or save the file without compression."
                ) from None
            raise ValueError(_cut_short(path)) from None
    if any(sign in line for line in said for sign in _SIGNS_OF_MISSING_FILES):
        raise ValueError(
            f"{path.name} is one of several OME-TIFF files that belong together; put the others beside it."
        )
    if any(sign in line for line in said for sign in _SIGNS_OF_DAMAGE):
        raise ValueError(_cut_short(path))


def _cut_short(path: Path) -> str:
    return f"{path.name} is a damaged TIFF: cut short, or with pages missing; copy it again from its source."


def _not_a_tiff(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (b"II", b"MM"):
        return _cut_short(path)
    return f"{path.name} is not a TIFF file, though its name says so; give an image in TIFF or PNG."


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread: it reports missing pages there and fills them with zeros."""
    said: list[str] = []
    me = threading.get_ident()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == me:
                # Without the leading "<TiffFile 'name'>": a name is free to contain any word.
                said.append(record.getMessage().partition(">")[2])

    logger, ear = logging.getLogger("tifffile"), Ear(logging.WARNING)
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)
