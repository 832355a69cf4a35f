"""Make a data set out of files, folders, patterns, arrays and Images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from napari_dip.data_sets.dataset import SMALLEST, Dataset, Scene
from napari_dip.data_sets.fmd import PAPERS, Capture, left_out_note, list_captures, looks_like_fmd
from napari_dip.data_sets.sources import Plane, Source
from napari_dip.files.inputs import one_of_each_image, resolve_pattern, series_numbers
from napari_dip.files.registry import images_under, is_image_folder, is_one_image, readable_suffixes
from napari_dip.images.as_image import as_image
from napari_dip.images.image import Image
from napari_dip.images.part import WHOLE, Part

COMPARED = 16  # pairs whose pixels are compared, to find images that are their own targets


def build_dataset(
    data: Any,
    targets: Any = None,
    *,
    second: str = "",
    together: bool = False,
    axes: str | None = None,
    samples: Sequence[str] | None = None,
    keep_hot_pixels: bool = False,
    part: Part = WHOLE,
) -> Dataset:
    """Make a data set out of files, folders, patterns, arrays and Images, or lists of them.

    Parameters
    ----------
    data : path-like, array-like, Image or sequence of these
        A folder is searched to the bottom. A pattern such as ``"*.tif"`` is resolved. Planes along
        T, Z and further axes are samples of their own.
    targets : like `data`, optional
        The second capture or the clean image of each one, in the same order and of the same shapes.
    second : {"", "capture", "clean"}
        What a method needs beside each noisy image: another capture, which may be another plane
        along T or another capture of FMD's field, or a clean image.
    together : bool
        Whether the colours of RGB images belong together; else each is a plane of its own, as other
        channels are.
    axes : str, optional
        Letters for arrays and files that do not say.
    samples : sequence of str, optional
        That folders are those of the FMD data set, and which samples of it to take, see
        `napari_dip.data_sets.fmd.list_captures`.
    keep_hot_pixels : bool
        Whether hot and dead pixels of all images stay as they are.
    part : Part
        Which part of each image is taken; of targets that lack one of its axes, all along that.
    """
    items = _one_of_each(_list_items(data, axes, samples))
    if samples is not None and not any(map(_is_fmd_folder, items)):
        raise ValueError(
            f"Samples ({', '.join(samples)}) are chosen of the FMD data set, and none was found "
            "here: leave them out, or give the data set's folder."
        )
    notes = _fmd_hints(data) if samples is None else []
    scenes: list[Scene] = []
    for item in items:
        if samples is not None and _is_fmd_folder(item):
            captures = list_captures(item, samples=samples)
            notes.append(left_out_note(item, captures))
            scenes += _fmd_scenes(captures, together)
        else:
            for source in _sources(item, axes, part):
                scenes += _scenes(source, second == "capture", together)
    if targets is not None:
        others = [
            plane
            for item in _one_of_each(_list_items(targets, axes))
            for source in _sources(item, axes, part, lenient=True)
            for plane in _planes(source, together)
        ]
        scenes = _pair(_planes_of(scenes), others, second == "clean")
    scenes = [scene for scene in scenes if scene.shortest_side >= SMALLEST]
    if not scenes:
        raise ValueError(
            f"There is nothing to train on: no plane has at least {SMALLEST} x {SMALLEST} pixels."
        )
    for scene in scenes:
        for plane in (*scene.captures, *([scene.clean] if scene.clean else [])):
            plane.source.keep_hot_pixels = keep_hot_pixels
    sources = dict.fromkeys(plane.source for scene in scenes for plane in scene.captures)
    notes += dict.fromkeys(remark for source in sources for remark in source.remarks)
    dataset = Dataset(tuple(scenes), _channel_count(scenes), notes=tuple(filter(None, notes)))
    if targets is not None:
        _check_differ(dataset)
    return dataset


def _list_items(
    data: Any, axes: str | None, samples: Sequence[str] | None = None
) -> list[Path | Image]:
    """Resolve folders and patterns; folders of FMD stay where `samples` are given."""
    if isinstance(data, Image):
        return [data]
    if isinstance(data, str | PathLike):
        return _list_paths(Path(data), samples)
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        return [as_image(data, axes)]
    if isinstance(data, Sequence) and len(data):
        return [item for one in data for item in _list_items(one, axes, samples)]
    raise ValueError(
        f"Training data are given as {type(data).__name__}; give files, folders, arrays or Images."
    )


def _list_paths(path: Path, samples: Sequence[str] | None) -> list[Path | Image]:
    if path.is_dir() and not is_one_image(path):
        if samples is not None and looks_like_fmd(path):
            return [path]
        found = images_under(path)
        if not found:
            raise ValueError(
                f"There is no image in the folder {path}: {', '.join(readable_suffixes())} are "
                "read."
            )
        return list(found)
    found = resolve_pattern(path)
    if found == [path]:
        return [path]
    return [item for match in found for item in _list_paths(match, samples)]


def _sources(
    item: Path | Image, axes: str | None, part: Part, *, lenient: bool = False
) -> list[Source]:
    """Return the part of an item that is wanted, or of each image of its file."""
    numbers = None if isinstance(item, Image) else series_numbers(item, part.series)
    parts = [part] if numbers is None else [replace(part, series=n) for n in numbers]
    if lenient and parts != [WHOLE]:
        letters = [Source(item, axes, Part(series=one.series)).letters for one in parts]
        parts = [one.along(of) for one, of in zip(parts, letters, strict=True)]
    return [Source(item, axes, one) for one in parts]


def _one_of_each(items: list[Path | Image]) -> list[Path | Image]:
    """Leave out files of images that others stand for."""
    files = [item for item in items if isinstance(item, Path)]
    kept = dict(one_of_each_image(files))
    return [
        kept[item] if isinstance(item, Path) else item
        for item in items
        if isinstance(item, Image) or item in kept
    ]


def _is_fmd_folder(item: Path | Image) -> TypeGuard[Path]:
    """Return whether an item is a folder of FMD; `_list_items` lists the images of all others."""
    return isinstance(item, Path) and item.is_dir() and not is_image_folder(item)


def _fmd_hints(data: Any) -> list[str]:
    """Return a sentence for each folder that looks like FMD: its clean images are used."""
    items = data if isinstance(data, list | tuple) else [data]
    folders = [Path(item) for item in items if isinstance(item, str | PathLike)]
    return [
        f"All images in {folder.name} are trained on, those named gt too. If this is the FMD data "
        f"set, choose its samples ({', '.join(PAPERS)} or all): only noisy captures are taken then."
        for folder in folders
        if folder.is_dir() and looks_like_fmd(folder)
    ]


def _scenes(source: Source, repeats: bool, together: bool) -> list[Scene]:
    """Return the scenes of an image; where `repeats`, planes along T are captures of one scene."""
    groups: dict[tuple[Any, ...], list[Plane]] = {}
    for number, plane in enumerate(_planes(source, together)):
        key = tuple(
            "all" if a == "T" else str(i) for a, i in zip(source.letters, plane.index, strict=True)
        )
        groups.setdefault(key if repeats else (number,), []).append(plane)
    return [Scene(tuple(planes)) for planes in groups.values()]


def _fmd_scenes(captures: Sequence[Capture], together: bool) -> list[Scene]:
    fields: dict[tuple[str, str], list[Plane]] = {}
    clean: dict[tuple[str, str], Plane] = {}
    for capture in captures:
        key = capture.sample, capture.field
        fields.setdefault(key, []).extend(_planes(Source(capture.noisy), together))
        if capture.clean is not None and key not in clean:
            clean[key] = _planes(Source(capture.clean), together)[0]
    return [Scene(tuple(planes), clean.get(key)) for key, planes in fields.items()]


def _planes(source: Source, together: bool) -> list[Plane]:
    """List the planes in the order of storage; channels that are not together are apart."""
    together = together and source.is_rgb
    whole = "YXC" if together else "YX"
    lengths = [1 if a in whole else n for a, n in zip(source.letters, source.shape, strict=True)]
    at = source.letters.find("C")
    planes = []
    for numbers in np.ndindex(*lengths):
        index = tuple(
            slice(None) if a in whole else i for a, i in zip(source.letters, numbers, strict=True)
        )
        planes.append(Plane(source, index, None if together or at < 0 else numbers[at]))
    return planes


def _channel_count(scenes: list[Scene]) -> int:
    """Return how many channels all planes have, or refuse other numbers of them."""
    counts = set()
    for plane in _planes_of(scenes):
        at = plane.source.letters.find("C")
        together = at >= 0 and isinstance(plane.index[at], slice)
        counts.add(plane.source.shape[at] if together else 1)
    if len(counts) > 1:
        raise ValueError(
            f"The images have {' and '.join(map(str, sorted(counts)))} colours; to train one model "
            "on them, take the colours apart."
        )
    return counts.pop()


def _planes_of(scenes: list[Scene]) -> list[Plane]:
    return [plane for scene in scenes for plane in scene.captures]


def _pair(noisy: list[Plane], others: list[Plane], clean: bool) -> list[Scene]:
    if [p.size for p in noisy] != [p.size for p in others]:
        raise ValueError(
            f"The {len(noisy)} planes and their {len(others)} targets do not match in number or "
            "size; give one target for each image, sorted the same way."
        )
    pairs = zip(noisy, others, strict=True)
    return [Scene((a,), b) if clean else Scene((a, b)) for a, b in pairs]


def _check_differ(data: Dataset) -> None:
    """Refuse images that are their own targets: a network would learn to pass the noise on.

    Names are compared for all pairs, pixels for a few that are evenly spread.
    """
    compared = set(range(0, len(data.scenes), -(-len(data.scenes) // COMPARED)))
    for number, scene in enumerate(data.scenes):
        noisy, target = scene.captures[0], scene.clean or scene.captures[-1]
        pixels = noisy.middle(data.cache) if number in compared else None
        same = _identity(noisy) == _identity(target)
        same = same or (pixels is not None and np.array_equal(pixels, target.middle(data.cache)))
        # Blank images are alike, and left out later.
        if same and (pixels is None or np.ptp(pixels) > 0):
            raise ValueError(
                f"{noisy.source.name} is its own target ({target.source.name} holds the same "
                "pixels): give another capture of the same view, or its clean image."
            )


def _identity(plane: Plane) -> tuple[object, ...]:
    image = plane.source.image
    return image.resolve() if isinstance(image, Path) else id(image.pixels), *map(str, plane.index)
