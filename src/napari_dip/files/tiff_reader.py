"""Read TIFF: plain, ImageJ and OME, with axes, scale, units and our own record.

Axes are named by what the file says; what it leaves unnamed is taken as Z, then T, then C. Samples
of a pixel are colours only where the file says RGB.
Singleton axes of a file are dropped, as tifffile does, unless our record or the caller names them.
"""

from __future__ import annotations

import logging
import struct
import threading
import zlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tifffile

from napari_dip.files.asked_axes import new_names, take_axes
from napari_dip.files.channel_names import fitting_names, names_from_labels
from napari_dip.files.imagej_display import with_labels
from napari_dip.files.lazy_tiff import LazyPages
from napari_dip.files.ome_files import (
    companion_of,
    described_by,
    is_tiff,
    names_of_files,
    read_companion,
    tiff_of,
)
from napari_dip.files.pixel_sizes import scale_and_units
from napari_dip.files.provenance import apply_record, read_provenance, read_record
from napari_dip.files.raised_by import is_bug
from napari_dip.files.raw_pixels import RawPixels
from napari_dip.files.series import Series, SeriesError, choose_series
from napari_dip.files.tiff_axes import name_axes, squeeze, without_false_colours
from napari_dip.files.tiff_checks import check_planes, check_segments
from napari_dip.files.tiff_header import Header, is_inverted, read_header
from napari_dip.images.image import Image, printable_name
from napari_dip.images.part import PartOf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAP_FROM = 1 << 25
"""Bytes from which pixels stay on disk; smaller files are read at once: they may change."""

LAZY_FROM = 1 << 28
"""Bytes from which other pixels are decoded when they are wanted."""

POSITIONS = {"lsm": "MP", "mmstack": "R", "ndtiff": "R"}
"""Axes of tifffile's kinds of series that number positions of the stage and tiles."""

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
    "circular reference",
    "OME series expected",
)
_SIGN_OF_MISSING_FILES = "failed to read"


def read_tiff(path: Path, axes: str | None = None, series: int | str | None = None) -> Image:
    """Read an image of a TIFF file; see `napari_dip.files.read_write.read`."""
    path = tiff_of(path)
    with _open(path) as tif:
        images = _images(tif)
        found = [_outline(tif, one) for one in images]
        chosen = choose_series(found, series, path.name)
        number, image_series, place = images[chosen]
        header = read_header(tif, number)
        pixels, letters = _at(place, *_pixels(tif, image_series, path))
        remarks = _remarks_on_files(tif, image_series, path)
        inverted = is_inverted(image_series.keyframe)
    channels = header.channels or names_from_labels(header.labels, letters, pixels.shape)
    record = read_record(header.texts) if len(images) == 1 else None
    name = path.name.split(".")[0] or path.stem
    if len(images) > 1:
        name = f"{name} {printable_name(found[chosen].name) or chosen}"
    if record is not None and (axes or record.axes).upper() == record.axes:
        short, short_letters = squeeze(pixels, letters)
        image = apply_record(record, short, short_letters, header.calibration, name, channels)
        if image is not None:
            return _with_details(replace(image, remarks=remarks), header, inverted)
    if axes is None:
        pixels, letters = name_axes(*squeeze(pixels, letters), path)
    else:
        said = letters.replace("S", "C")
        names = new_names(said, pixels.shape, axes.upper())
        header = replace(header, details=header.details.rename(names))
        pixels, letters, more = take_axes(pixels, said, axes, path.name)
        remarks += more
    image = Image(
        pixels,
        letters,
        **scale_and_units(header.calibration, letters),
        name=name,
        provenance=record.provenance if record else {},
        channels=fitting_names(channels, letters, pixels.shape),
        remarks=remarks,
    )
    return _with_details(image, header, inverted)


def _with_details(image: Image, header: Header, inverted: bool) -> Image:
    """Return the image with what its header says of colours, ranges, planes."""
    details = header.details
    if inverted and not image.is_rgb:
        count = image.shape[image.axes.index("C")] if "C" in image.axes else 1
        about = details.channels if len(details.channels) == count else ({},) * count
        details = replace(details, channels=tuple({**one, "Inverted": True} for one in about))
    return with_labels(replace(image, details=details), header.labels)


def list_tiff_series(path: Path) -> list[Series]:
    """Return what images a TIFF file holds."""
    with _open(tiff_of(path)) as tif:
        return [_outline(tif, one) for one in _images(tif)]


def list_tiff_files(path: Path) -> list[Path]:
    """Return the files of the OME-TIFF image that a file is one of, the one to be read first.

    Of an image in one file, and of one whose other files are not there, the file itself.
    """
    path = tiff_of(path)
    with _open(path) as tif:
        xml, companion = _ome_xml(tif), companion_of(path, tif.pages.first.description)
    head = described_by(xml)
    if head is None or head == path.name:
        named = [path.with_name(name) for name in names_of_files(xml)]
        found = [file for file in named if file.is_file()]
        found = found if len(found) > 1 and path in found else [path]
        return found if companion is None else [*found, companion]
    first = path.with_name(head)
    files = list_tiff_files(first) if is_tiff(first) else []
    return [first, *(file for file in files if file != first)] if path in files else [path]


def _ome_xml(tif: tifffile.TiffFile) -> str:
    return (tif.ome_metadata or "") if tif.is_ome else ""


def _remarks_on_files(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path
) -> tuple[str, ...]:
    """Say that an image lies in several files; refuse one that is described elsewhere."""
    xml = _ome_xml(tif)
    head = described_by(xml)
    if head is not None and head != path.name and is_tiff(path.with_name(head)):
        raise SeriesError(
            f"{path.name} is a part of the image that {head} describes: give that file."
        )
    if head is not None and head != path.name:
        return (
            f"{path.name} is a part of an image that {head} describes, which is not read: the "
            "other parts are left out, and sizes and names that stand there.",
        )
    if not series.is_multifile:
        return ()
    return (f"The image lies in {len(names_of_files(xml))} files, of which {path.name} is one.",)


class _Found(NamedTuple):
    """An image in a file: a series, or one position in a series."""

    number: int
    series: tifffile.TiffPageSeries
    place: dict[str, int]


def _images(tif: tifffile.TiffFile) -> list[_Found]:
    """Return the images of a file, without thumbnails."""
    if tif.is_ome:
        check_planes(tif.ome_metadata or "")
    numbered = list(enumerate(tif.series))
    whole = [(i, one) for i, one in numbered if not one.keyframe.is_reduced] or numbered
    if not whole:
        raise ValueError("no images")
    return [_Found(i, one, place) for i, one in whole for place in _positions(one)]


def _positions(series: tifffile.TiffPageSeries) -> list[dict[str, int]]:
    """Return the places along axes of positions and tiles, which are images of their own."""
    axes = [a for a in POSITIONS.get(series.kind, "") if a in series.axes]
    lengths = [series.shape[series.axes.index(a)] for a in axes]
    return [dict(zip(axes, place, strict=True)) for place in np.ndindex(*lengths)]


def _at(place: dict[str, int], pixels: Any, letters: str) -> tuple[Any, str]:
    """Return the pixels of one position."""
    if not place:
        return pixels, letters
    left = "".join(a for a in letters if a not in place)
    if isinstance(pixels, np.ndarray):
        return pixels[tuple(place.get(a, slice(None)) for a in letters)], left
    taken = {letters.index(a): [n] for a, n in place.items()}
    return PartOf(pixels, taken, list(taken)), left


def _outline(tif: tifffile.TiffFile, found: _Found) -> Series:
    """Return name, axes and shape; a name that tifffile has made up is none."""
    series, place = found.series, found.place
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if a not in place]
    name = " ".join(f"{'tile' if a == 'M' else 'position'} {n}" for a, n in place.items())
    name = name or (str(series.name or "") if tif.is_ome else "")
    return Series(name, "".join(a for a, _ in kept), tuple(n for _, n in kept))


def read_tiff_provenance(path: Path) -> dict[str, Any]:
    """Return the provenance in a TIFF file of ours, empty for others."""
    with _open(tiff_of(path)) as tif:
        return read_provenance(read_header(tif).texts)


def _pixels(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> tuple[Any, str]:
    """Return the pixels with all axes that the file names, and their letters.

    Large pixels that lie in one piece, and other large stacks, are read when wanted, the rest now.
    """
    letters, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    letters = without_false_colours(tif, series.keyframe, letters)
    if 0 in shape:
        raise ValueError("no pixels")
    check_segments(series)
    offset = series.dataoffset
    scattered = offset is None or series.is_multifile or series.transform is not None
    if not scattered and series.nbytes >= MAP_FROM:
        assert offset is not None
        if offset + series.nbytes > path.stat().st_size:
            raise ValueError("pixels are missing")
        dtype = series.dtype.newbyteorder(tif.byteorder)
        return RawPixels(path, np.dtype(dtype), offset, shape, _damaged(path)), letters
    if series.nbytes >= LAZY_FROM:
        pages = LazyPages.of(path, series, _damaged(path))
        if pages is not None:
            grey = letters.endswith("S")  # of one sample; the last axes are Y and X
            return pages.reshape(shape[:-1] if grey else shape), letters[: -1 if grey else None]
    return series.asarray().reshape(shape), letters


@contextmanager
def _open(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF; what goes wrong becomes one sentence that never repeats the header's text."""
    with _tifffile_log() as lines:
        try:
            with tifffile.TiffFile(path) as tif:
                companion = companion_of(path, _ome_xml(tif))
            xml = None if companion is None else read_companion(companion)
            with tifffile.TiffFile(path, omexml=xml) as tif:
                yield tif
        except SeriesError:
            raise
        except tifffile.TiffFileError:
            raise ValueError(_not_a_tiff(path)) from None
        except OSError as error:
            raise OSError(
                f"{path.name} could not be read ({error.strerror or 'input/output error'})."
            ) from error
        except _BROKEN as error:
            if is_bug(error):
                raise
            if "imagecodecs" in str(error):
                raise ValueError(
                    f"{path.name} is compressed in a way that needs the package imagecodecs: "
                    "install it (pip install imagecodecs) or save the file without compression."
                ) from error
            raise ValueError(_damaged(path)) from error
    if any(_SIGN_OF_MISSING_FILES in line for line in lines):
        raise ValueError(
            f"{path.name} belongs together with other OME-TIFF files; put the others beside it."
        )
    if any(sign in line for line in lines for sign in _SIGNS_OF_DAMAGE):
        raise ValueError(_damaged(path))


def _damaged(path: Path) -> str:
    return f"{path.name} is a damaged TIFF: cut short, or with pages missing; copy it again."


def _not_a_tiff(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (b"II", b"MM"):
        return _damaged(path)
    return f"{path.name} is not a TIFF file, though its name says so; give an image in TIFF or PNG."


@contextmanager
def _tifffile_log() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread, such as pages that it fills with zeros."""
    lines: list[str] = []
    me = threading.get_ident()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == me:
                # Without the leading "<TiffFile 'name'>": a name is free to contain any word.
                lines.append(record.getMessage().partition(">")[2])

    logger, collector = logging.getLogger("tifffile"), Collector(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield lines
    finally:
        logger.removeHandler(collector)
